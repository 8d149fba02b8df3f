"""init, validate, render, schema: commands that need no cloud, no cluster and no engine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portable.cli.options import SPEC, Cloud, command, target_options
from portable.cli.session import Session
from portable.errors import Problem, SpecError, UsageError

if TYPE_CHECKING:
    from portable.target import Request


@command("init", "portable init\nportable init shop/portable.yaml --name shop")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default=Path("portable.yaml"))
@click.option("--name", help="What the app is called; default: as its folder.")
@click.pass_obj
def init(session: Session, file: Path, name: str | None) -> None:
    """Write a commented starter portable.yaml.

    Beside it goes the schema for editors, in .portable; nothing that is there is overwritten.
    """
    from portable.init import write_starter

    written = write_starter(file, name)
    if session.json:
        session.write_json({"file": str(file), "written": [str(path) for path in written]})
        return
    names = " and ".join(str(path) for path in written)
    click.echo(f"wrote {names}\nnext: portable validate, then portable up --cloud kind")


@command("validate", "portable validate\nportable validate score.yaml --cloud aws --cloud gke --output json")
@click.argument("file", type=SPEC, required=False)
@click.option("-e", "--environment", help="Only this environment; default: the spec and each of its environments.")
@click.option(
    "--cloud",
    "clouds",
    type=Cloud(),
    multiple=True,
    help="Also check what this cloud can do; may be repeated; `all`: every one.",
)
@click.pass_obj
def validate(session: Session, file: Path | None, environment: str | None, clouds: tuple[str, ...]) -> None:
    """Check a portable.yaml or score.yaml.

    Names every fault with its place, what is expected there, and a hint. Without --cloud each environment is checked on its
    own cloud, if it names one.
    """
    from portable.target import find_file
    from portable.validate import validate as check

    report = check(find_file(file), environment=environment, clouds=clouds)
    if report.errors:
        raise SpecError(report.problems, file=str(report.file))
    if session.json:
        session.write_json(report)
        return
    print_warnings(session, report.problems)
    click.echo(f"{report.file} is valid: {report.summary}")


@command("render", "portable render --cloud gke -o manifests\nportable render --cloud kind | kubectl diff -f -")
@target_options()
@click.option(
    "-o",
    "target",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A folder, for one file for each workload, or a file (*.yaml); default: standard output.",
)
@click.pass_obj
def render(session: Session, request: Request, target: Path | None) -> None:
    """Compile to plain Kubernetes YAML. Needs no cloud, no cluster and no engine.

    Secrets that must exist beforehand are listed in comments; `portable secret set` makes them.
    """
    from portable.render import render as render_spec
    from portable.render import write

    rendered = render_spec(request)
    print_warnings(session, rendered.warnings)
    if target is not None:
        names = write(rendered, target)
        folder = target if target.is_dir() else target.parent
        if session.json:
            session.write_json({"folder": str(folder), "files": names})
        elif folder is target:
            click.echo(f"wrote {len(names)} files to {folder}: {', '.join(names)}")
        else:
            click.echo(f"wrote {target}")
    elif session.json:
        session.write_json(rendered.document())
    else:
        # As bytes: a manifest is UTF-8 whatever the locale is.
        click.echo(rendered.text().encode(), nl=False)


@command("schema", "portable schema > app.v1.schema.json\nportable schema score.v1b1")
@click.argument("name", default="app.v1")
def schema(name: str) -> None:
    """Print the JSON Schema of the spec.

    NAME is app.v1 (a portable.yaml) or score.v1b1 (a score.yaml).
    """
    import portable_schemas

    if name not in portable_schemas.NAMES:
        raise UsageError(f"no schema is called {name!r}", fix=f"there are: {', '.join(portable_schemas.NAMES)}")
    click.echo(portable_schemas.text(name).encode(), nl=False)


def print_warnings(session: Session, problems: Sequence[Problem]) -> None:
    """Warnings go beside the result, so that a pipe holds only the result."""
    if problems and not session.json:
        from portable.terminal.problems import print_problems

        print_problems(session.err, problems)
