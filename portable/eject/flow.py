"""`eject`: everything that an app and its cluster are, written for kubectl and for Pulumi's official plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from portable.compile.objects import Objects
from portable.eject import cluster_import, kustomize, pulumi_program, readme, secrets_script
from portable.eject.layers import layered
from portable.errors import PortableError, SpecError, UsageError
from portable.events import Emit
from portable.provider import load_provider, provider_names
from portable.target import Request, Target, compile_target, open_target


@dataclass(frozen=True)
class Ejected:
    """`files`: path below the folder -> content. `clouds`: those written. `left_out`: cloud -> why it cannot run the spec.

    `notes` say what the files are not, and what was not tried.
    """

    namespace: str
    clouds: tuple[str, ...]
    files: Mapping[str, str] = field(repr=False)
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def eject(request: Request, clouds: Sequence[str], emit: Emit) -> Ejected:
    """The files for `clouds` (none: every installed one that can run the spec). Reads the state, touches no cloud and no cluster.

    Raises SpecError where a cloud that was named cannot honour the spec, or none can.
    """
    targets, left_out = _targets(request, clouds)
    objects = {name: compile_target(target) for name, target in targets.items()}
    found = kustomize.files(layered({name: _manifests(each) for name, each in objects.items()}))
    notes: list[str] = []
    for name, target in targets.items():
        if script := secrets_script.script(objects[name]):
            found[f"overlays/{name}/secrets.sh"] = script
        program = pulumi_program.program(target, objects[name], request, emit)
        found |= {f"pulumi/{name}/{path}": content for path, content in program.files.items()}
        cluster = cluster_import.files(target, request, emit)
        found |= {f"clusters/{name}/{path}": content for path, content in cluster.files.items()}
        notes += [*program.notes, *cluster.notes]
    first = next(iter(objects.values()))
    found["README.md"] = readme.text(objects, left_out, found, notes)
    return Ejected(first.namespace, tuple(targets), dict(sorted(found.items())), left_out, tuple(notes))


def write(ejected: Ejected, folder: Path) -> None:
    """Raises UsageError where `folder` holds anything already: what was ejected is yours, and may have been changed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty", fix="name a folder that is empty or not there: `-o DIR`")
        for path, content in ejected.files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}", fix="name another folder") from error


def _targets(request: Request, clouds: Sequence[str]) -> tuple[dict[str, Target], dict[str, str]]:
    """The spec on each cloud; and those that cannot run it, unless they were asked for by name."""
    targets: dict[str, Target] = {}
    left_out: dict[str, str] = {}
    refusals: list[SpecError] = []
    for name in [load_provider(cloud).name for cloud in clouds] or provider_names():
        try:
            target = open_target(replace(request, cloud=name))
            compile_target(target)
            targets[name] = target
        except SpecError as error:
            if clouds:
                raise
            refusals.append(error)
            left_out[name] = "; ".join(each.message for each in error.problems if each.severity == "error")
    if not targets:
        raise (
            refusals[0] if refusals else PortableError("no provider is installed", fix="see `portable providers list`")
        )
    return targets, left_out


def _manifests(objects: Objects) -> list[dict]:
    return [item.manifest for item in objects.items]
