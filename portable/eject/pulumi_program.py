"""The app's Pulumi program for the official Kubernetes plugin: the same types, logical names and URNs as the stack of ours.

Where the state knows the app on that cloud, the program holds exactly what was applied, so that taking the stack over changes
nothing; else it holds what the spec compiles to.
"""

from __future__ import annotations

import pprint
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any

from portable.compile.objects import Objects
from portable.events import Emit
from portable.target import Request, Target
from portable_stacks.app.resources import app_resources

if TYPE_CHECKING:
    from portable.engine.state import Recorded

_WIDTH = 100
_OFFICIAL = "kubernetes:"


@dataclass(frozen=True)
class Part:
    """Files below a folder, and what is to be said of them."""

    files: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One resource of the program."""

    type: str
    name: str
    inputs: Mapping[str, Any] = field(repr=False)
    depends_on: tuple[str, ...] = ()
    kept: bool = False


def program(target: Target, objects: Objects, request: Request, emit: Emit) -> Part:
    from portable.engine import Engine, Settings
    from portable.engine.workspace import PROJECT

    known = Engine(Settings(state=request.state), emit).stacks.recorded(target.home.app_stack)
    secrets = {f"Secret/{secret.name}" for secret in objects.generated}
    entries = applied(known, secrets) or compiled(objects)
    origin = "what is applied" if known else "what the spec compiles to"
    stack = target.home.app_stack
    head = _text("head.py.txt").replace("{stack}", stack).replace("{cluster}", target.home.cluster_stack)
    source = head + "".join(_call(entry) for entry in entries)
    found = {
        "__main__.py": source,
        "Pulumi.yaml": f"name: {PROJECT}\nruntime: python\ndescription: {stack}, {origin}\n",
        "requirements.txt": "pulumi>=3,<4\npulumi-kubernetes>=4,<5\n",
        "take_over.py": _text("take_over.py.txt").replace("{secrets}", repr(sorted(secrets))),
    }
    return Part(found, (f"pulumi/{target.provider.name} holds {origin}",))


def compiled(objects: Objects) -> tuple[Entry, ...]:
    """What the spec compiles to, without what only our engine serves (gates, credentials, Secrets composed of them)."""
    return _known(
        Entry(each.type, each.name, each.inputs, each.depends_on, each.kept)
        for each in app_resources(objects)
        if each.secret is None
    )


def applied(known: Sequence[Recorded], secrets: set[str]) -> tuple[Entry, ...]:
    """What the state has of the app, without the same."""
    return _known(
        Entry(each.type, each.name, each.inputs, each.depends_on, each.kept)
        for each in known
        if each.name not in secrets and each.type != "kubernetes:core/v1:Secret"
    )


def _known(entries: Any) -> tuple[Entry, ...]:
    found = {entry.name: entry for entry in entries if entry.type.startswith(_OFFICIAL)}
    return tuple(
        Entry(each.type, each.name, each.inputs, tuple(name for name in each.depends_on if name in found), each.kept)
        for each in found.values()
    )


def _call(entry: Entry) -> str:
    inputs = pprint.pformat(dict(entry.inputs), indent=1, width=_WIDTH, sort_dicts=False)
    lines = [f"{entry.type!r},", f"{entry.name!r},", f"{inputs},"]
    if entry.depends_on:
        lines.append(f"after={list(entry.depends_on)!r},")
    if entry.kept:
        lines.append("kept=True,")
    return "add(\n" + "".join(f"    {line}\n" for text in lines for line in text.splitlines()) + ")\n"


def _text(name: str) -> str:
    return (package_files("portable.eject") / name).read_text(encoding="utf-8")
