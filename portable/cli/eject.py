"""eject and export: leaving portable with all that the spec comes to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from portable.cli.options import ENVIRONMENT, SPEC, Cloud, WorkloadName, command, target_options
from portable.cli.session import Session
from portable.cli.spec import print_warnings

if TYPE_CHECKING:
    from portable.target import Request


@command("eject", "portable eject -o shop-plain\nportable eject -e prod --only gke -o shop-plain")
@target_options()
@click.option(
    "--only",
    type=Cloud(),
    multiple=True,
    help="An overlay for this cloud; may be repeated; default: every one that can.",
)
@click.option(
    "-o", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path("ejected"), show_default=True,
    metavar="DIR", help="An empty folder, or one that is not there.",
)  # fmt: skip
@click.pass_obj
def eject(session: Session, request: Request, only: tuple[str, ...], folder: Path) -> None:
    """Leave with plain YAML and Pulumi programs.

    A kustomize base with an overlay for each cloud, a script that makes the Secrets, the app's Pulumi program, and files for
    `pulumi import` of clusters that portable made. Nothing is applied or changed.
    """
    from portable.eject.flow import eject as write_out
    from portable.eject.flow import write

    clouds = only or ((request.cloud,) if request.cloud else ())
    with session.question() as emit:
        ejected = write_out(request, clouds, emit)
    write(ejected, folder)
    if session.json:
        session.write_json(
            {
                "folder": str(folder),
                "clouds": ejected.clouds,
                "files": list(ejected.files),
                "leftOut": ejected.left_out,
                "notes": ejected.notes,
            }
        )
        return
    click.echo(f"wrote {len(ejected.files)} files to {folder} for {', '.join(ejected.clouds)}")
    for cloud, reason in ejected.left_out.items():
        click.echo(f"left out: {cloud}: {reason}", err=True)
    click.echo(f"next: read {folder / 'README.md'}; kubectl kustomize {folder}/overlays/{ejected.clouds[0]}")


@click.group("export")
def export() -> None:
    """Write a workload in another tool's format.

    \b
    Example:
      portable export score -o score.yaml
    """


@command("score", "portable export score -o score.yaml\nportable export score shop.yaml --workload web")
@click.argument("file", type=SPEC, required=False)
@ENVIRONMENT
@click.option("--workload", type=WorkloadName(), help="Which one, where the spec has several.")
@click.option(
    "-o", "target", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Default: standard output."
)
@click.pass_obj
def score(
    session: Session, file: Path | None, environment: str | None, workload: str | None, target: Path | None
) -> None:
    """Write a workload as a Score file (v1b1).

    What Score cannot say is listed on standard error, with its place in the spec.
    """
    from portable.eject.score import export_score
    from portable.errors import UsageError
    from portable.spec import load_app
    from portable.target import find_file

    exported = export_score(load_app(find_file(file), environment=environment).app, workload)
    if target is not None:
        try:
            target.write_text(exported.text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{target} cannot be written: {error.strerror}", fix="name another file") from error
    if session.json:
        session.write_json({"file": str(target) if target else None, "score": exported.text, "lost": exported.lost})
        return
    print_warnings(session, exported.lost)
    click.echo(f"wrote {target}" if target else exported.text.rstrip("\n"))


export.add_command(score)
