"""import, lint, compare: how portable a spec is, and where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portable.cli.options import ENVIRONMENT, SPEC, Cloud, command
from portable.cli.session import Session
from portable.cli.spec import print_warnings

if TYPE_CHECKING:
    from portable.importing.draft import Draft

_FILE = click.Path(path_type=Path, dir_okay=False)
_target = click.option("-o", "target", type=_FILE, metavar="FILE", help="Default: portable.yaml beside the input.")


@click.group("import")
def import_() -> None:
    """Make a portable.yaml of what you have.

    What could not be taken over is listed with its place, and stands as a comment where it belongs. No value of a secret is
    written.

    \b
    Example:
      portable import compose compose.yaml
    """


@command("compose", "portable import compose compose.yaml\nportable import compose compose.yaml --profile worker")
@click.argument("file", type=_FILE)
@click.option("--profile", "profiles", multiple=True, help="Services of this profile too; may be repeated; `*`: all.")
@_target
@click.pass_obj
def compose(session: Session, file: Path, profiles: tuple[str, ...], target: Path | None) -> None:
    """From a compose file.

    Values that look like secrets become secret resources; files of the host become files of the spec, named volumes volumes.
    """
    from portable.importing.compose import from_compose

    _write(session, from_compose(file, profiles=profiles), file, target)


@command(
    "manifests",
    "portable import manifests k8s/*.yaml\nkubectl kustomize . > all.yaml && portable import manifests all.yaml",
)
@click.argument("files", type=_FILE, nargs=-1, required=True)
@_target
@click.pass_obj
def manifests(session: Session, files: tuple[Path, ...], target: Path | None) -> None:
    """From Kubernetes manifests.

    Deployments, StatefulSets, Jobs and CronJobs with what belongs to them: Services, Ingresses, autoscalers, budgets,
    configuration, claims. Files may hold several documents and Lists.
    """
    from portable.importing.manifests import from_manifests

    _write(session, from_manifests(files), files[0], target)


@command("score", "portable import score score.yaml")
@click.argument("file", type=_FILE)
@_target
@click.pass_obj
def score(session: Session, file: Path, target: Path | None) -> None:
    """From a Score file.

    A plain score.yaml runs as it is, too; this writes out what it means here, to go on from.
    """
    from portable.importing.score import from_score

    _write(session, from_score(file), file, target)


for _command in (compose, manifests, score):
    import_.add_command(_command)


def _count(names: Sequence[str], noun: str) -> str:
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'}"


def _write(session: Session, draft: Draft, source: Path, target: Path | None) -> None:
    from portable.importing.write import check, imported

    result = imported(draft, source.name)
    file = target or source.parent / "portable.yaml"
    print_warnings(session, result.findings)
    warnings = check(result, file)
    print_warnings(session, warnings)
    if session.json:
        made = {"workloads": result.workloads, "resources": result.resources}
        session.write_json({"file": str(file), **made, "findings": (*result.findings, *warnings)})
        return
    click.echo(f"wrote {file}: {_count(result.workloads, 'workload')}, {_count(result.resources, 'resource')}")
    click.echo(f"next: read its comments, then portable validate {file}")


@command("lint", "portable lint\nportable lint shop/portable.yaml --strict --output json")
@click.argument("file", type=SPEC, required=False)
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@click.pass_context
def lint(context: click.Context, file: Path | None, strict: bool) -> int:
    """Find what ties the spec to one cloud.

    Annotations, images, hosts, machine types and the like of one cloud are errors outside `patches` (images, identities and
    regions may stand in an environment that names its cloud). What would not run elsewhere as it stands is a warning. Exits
    with 1 where there are errors.
    """
    from portable.lint import lint as look
    from portable.target import find_file

    session: Session = context.obj
    report = look(find_file(file))
    failed = bool(report.errors or (strict and report.problems))
    if session.json:
        session.write_json(
            {"file": str(report.file), "clouds": report.clouds, "problems": report.problems, "ok": not failed}
        )
        return int(failed)
    print_warnings(session, report.problems)
    if not report.errors:
        click.echo(f"{report.file} names nothing of {', '.join(report.clouds)} outside patches")
    return int(failed)


@command("compare", "portable compare\nportable compare -e prod --only aws --only gke")
@click.argument("file", type=SPEC, required=False)
@ENVIRONMENT
@click.option("--only", "clouds", type=Cloud(), multiple=True, help="This cloud; may be repeated; default: every one.")
@click.pass_obj
def compare(session: Session, file: Path | None, environment: str | None, clouds: tuple[str, ...]) -> None:
    """Show what each cloud makes of the spec, side by side.

    Objects, copies, classes, images and the cluster; and what a cloud cannot honour, with the reason. Asks no cloud.
    """
    from portable.compare import compare as look
    from portable.compare import rows
    from portable.target import Request

    sides = look(Request(file=file, environment=environment), clouds)
    if session.json:
        session.write_json({"clouds": [asdict(side) for side in sides]})
        return
    from portable.terminal.tables import print_table

    print_table(session.out, ("", *(side.title for side in sides)), [(name, *values) for name, values in rows(sides)])
    for side in sides:
        for problem in side.refused:
            itself = problem.message.startswith(side.title)
            click.echo(f"\n{'' if itself else f'not on {side.title}: '}{problem.message}")
        if session.verbose:
            click.echo("".join(f"\n{side.title}: {note}" for note in side.notes), nl=bool(side.notes))
