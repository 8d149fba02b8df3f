"""The app's Pulumi program for the official Kubernetes plugin: the same types, logical names and URNs as the stack of ours.

Where the state knows the app on that cloud, the program holds exactly what was applied, so that taking the stack over changes
nothing; else it holds what the spec compiles to.
"""

from __future__ import annotations

import pprint
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, TypeAlias

from portable.compile.objects import Objects
from portable.home import Home
from portable_stacks.app.resources import Resource, app_resources

if TYPE_CHECKING:
    from portable.engine.state import Recorded

Entry: TypeAlias = "Recorded | Resource"

_WIDTH = 100
_OFFICIAL = "kubernetes:"
_SECRET = "kubernetes:core/v1:Secret"


@dataclass(frozen=True)
class Part:
    """Files below a folder, and what is to be said of them."""

    files: Mapping[str, str]
    notes: tuple[str, ...] = ()


def program(home: Home, objects: Objects, known: Sequence[Recorded]) -> Part:
    """`known`: the app's stack, as the state has it."""
    from portable.engine.workspace import PROJECT

    secrets = {f"Secret/{secret.name}" for secret in objects.generated}
    # without what only our engine serves: gates, credentials, Secrets composed of them
    applied = _official(each for each in known if each.name not in secrets and each.type != _SECRET)
    entries = applied or _official(each for each in app_resources(objects) if each.secret is None)
    origin = "what is applied" if known else "what the spec compiles to"
    stack = home.app_stack
    head = _text("head.py.txt").replace("{stack}", stack).replace("{cluster}", home.cluster_stack)
    source = head + "".join(_call(entry, entries) for entry in entries.values())
    found = {
        "__main__.py": source,
        "Pulumi.yaml": f"name: {PROJECT}\nruntime: python\ndescription: {stack}, {origin}\n",
        "requirements.txt": "pulumi>=3,<4\npulumi-kubernetes>=4,<5\n",
        "take_over.py": _text("take_over.py.txt").replace("{secrets}", repr(sorted(secrets))),
    }
    return Part(found, (f"pulumi/{home.cloud} holds {origin}",))


def _official(entries: Iterable[Entry]) -> dict[str, Entry]:
    return {entry.name: entry for entry in entries if entry.type.startswith(_OFFICIAL)}


def _call(entry: Entry, names: Collection[str]) -> str:
    inputs = pprint.pformat(dict(entry.inputs), indent=1, width=_WIDTH, sort_dicts=False)
    lines = [f"{entry.type!r},", f"{entry.name!r},", f"{inputs},"]
    if after := [name for name in entry.depends_on if name in names]:
        lines.append(f"after={after!r},")
    if entry.kept:
        lines.append("kept=True,")
    return "add(\n" + "".join(f"    {line}\n" for text in lines for line in text.splitlines()) + ")\n"


def _text(name: str) -> str:
    return (package_files("portable.eject") / name).read_text(encoding="utf-8")
