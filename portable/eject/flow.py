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
from portable.plan import open_engine
from portable.provider import load_provider, provider_names
from portable.target import Request, Target, compile_target, open_target


@dataclass(frozen=True)
class Ejected:
    """`files`: path below the folder -> content. `clouds`: those written. `left_out`: cloud -> why it cannot run the spec.

    `notes` say what the files are not, and what was not tried.
    """

    clouds: tuple[str, ...]
    files: Mapping[str, str] = field(repr=False)
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def eject(request: Request, clouds: Sequence[str], emit: Emit) -> Ejected:
    """The files for `clouds` (none: every installed one that can run the spec). Reads the state, touches no cloud and no cluster.

    Raises SpecError where a cloud that was named cannot honour the spec, or none can.
    """
    compiled, left_out = _compiled(request, clouds)
    objects = {name: made for name, (_, made) in compiled.items()}
    found = kustomize.files(layered({name: _manifests(made) for name, made in objects.items()}))
    notes: list[str] = []
    stacks = open_engine(request, emit).stacks
    for name, (target, made) in compiled.items():
        if script := secrets_script.script(made):
            found[f"overlays/{name}/secrets.sh"] = script
        program = pulumi_program.program(target.home, made, stacks.recorded(target.home.app_stack))
        found |= {f"pulumi/{name}/{path}": content for path, content in program.files.items()}
        cluster = cluster_import.files(target, stacks.recorded(target.home.cluster_stack))
        found |= {f"clusters/{name}/{path}": content for path, content in cluster.files.items()}
        notes += [*program.notes, *cluster.notes]
    found["README.md"] = readme.text(objects, left_out, found, notes)
    return Ejected(tuple(compiled), dict(sorted(found.items())), left_out, tuple(notes))


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


def _compiled(request: Request, clouds: Sequence[str]) -> tuple[dict[str, tuple[Target, Objects]], dict[str, str]]:
    """The spec on each cloud and its objects; and those that cannot run it, unless they were asked for by name."""
    found: dict[str, tuple[Target, Objects]] = {}
    left_out: dict[str, str] = {}
    refusals: list[SpecError] = []
    for name in [load_provider(cloud).name for cloud in clouds] or provider_names():
        try:
            target = open_target(replace(request, cloud=name))
            found[name] = target, compile_target(target)
        except SpecError as error:
            if clouds:
                raise
            refusals.append(error)
            left_out[name] = "; ".join(each.message for each in error.problems if each.severity == "error")
    if not found:
        raise (
            refusals[0] if refusals else PortableError("no provider is installed", fix="see `portable providers list`")
        )
    return found, left_out


def _manifests(objects: Objects) -> list[dict]:
    return [item.manifest for item in objects.items]
