"""import, lint, compare: how portable a spec is, and where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from portable.cli.options import command
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
    click.echo(f"wrote {file}: {len(result.workloads)} workloads, {len(result.resources)} resources")
    click.echo(f"next: read its comments, then portable validate {file}")
