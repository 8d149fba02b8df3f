"""eject and export: leaving portable with all that the spec comes to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from portable.cli.options import Cloud, command, target_options
from portable.cli.session import Session

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
