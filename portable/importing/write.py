"""A draft as a commented portable.yaml, in which every finding stands where it belongs; and whether it is valid."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from portable.errors import Problem, UsageError
from portable.importing.draft import Draft

if TYPE_CHECKING:
    from portable.spec.model import App

_SCHEMA = "# yaml-language-server: $schema=.portable/app.v1.schema.json"


@dataclass(frozen=True)
class Imported:
    """`findings`: what was not taken over, each with its place in the input. `workloads`, `resources`: what was made."""

    text: str
    workloads: tuple[str, ...]
    resources: tuple[str, ...]
    findings: tuple[Problem, ...]


def imported(draft: Draft, source: str) -> Imported:
    """The draft as text. Raises UsageError where there is nothing to run in it."""
    if not draft.workloads:
        raise UsageError(f"{source} has nothing that portable could run", fix="name a file with workloads")
    findings = tuple(dict.fromkeys(draft.findings))
    return Imported(_text(draft, source, findings), tuple(draft.workloads), tuple(draft.resources), findings)


def check(result: Imported, file: Path) -> Sequence[Problem]:
    """Writes `file` and reads it as any spec. Returns what is to be said of it; raises UsageError where it exists, SpecError for faults."""
    from portable.spec import load_app

    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(result.text)
    except FileExistsError:
        raise UsageError(
            f"{file} exists already", fix="name another file with `-o FILE`, or move that one away"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{file} cannot be written: {error.strerror}", fix="name another file with `-o FILE`"
        ) from error
    loaded = load_app(file)
    return (*loaded.warnings, *_unreached(loaded.app))


def _unreached(app: App) -> list[Problem]:
    """Workloads with ports that nothing in the spec calls: a network policy here opens what the spec connects, and no more."""
    from portable.compile.connections import links
    from portable.spec.profile import placed

    called = {name for others in links(app).values() for name in others}
    closed = [
        each.name for each in app.workloads.values() if each.ports and not each.routes and each.name not in called
    ]
    message = "nothing in the spec calls {}: where network policies are enforced, nothing reaches it"
    hint = "name it in a variable of those that call it, or under their `after` or `security.egress`"
    return [
        placed(app, Problem(message.format(name), path=f"workloads.{name}", hint=hint, severity="warning"))
        for name in closed
    ]


def _text(draft: Draft, source: str, findings: Sequence[Problem]) -> str:
    named = {*draft.workloads, *draft.resources}
    rest = [problem for problem in findings if problem.path not in named]
    lines = [
        _SCHEMA,
        f"# Imported from {source} by `portable import`. Comments say what was not taken over, with its place there.",
    ]
    lines += _comments(rest, "")
    lines += ["apiVersion: portable/v1", "kind: App", f"metadata: {{name: {draft.name}}}", "", "workloads:"]
    lines += _entries(draft.workloads, findings)
    if draft.resources:
        lines += ["", "resources:", *_entries(draft.resources, findings)]
    return "\n".join(lines) + "\n"


def _entries(entries: Mapping[str, Any], findings: Sequence[Problem]) -> list[str]:
    lines: list[str] = []
    for name, body in entries.items():
        lines += _comments([problem for problem in findings if problem.path == name], "  ")
        lines += textwrap.indent(_yaml({name: body}), "  ").splitlines()
    return lines


def _comments(problems: Sequence[Problem], indent: str) -> list[str]:
    """One line for each: "# compose.yaml:12 privileged is not taken over: ..."."""
    return [
        f"{indent}# {Path(problem.file).name}:{problem.line} {problem.message}"
        + (f": {problem.hint}" if problem.hint else "")
        for problem in problems
    ]


class _Dumper(yaml.SafeDumper):
    """PyYAML's way to give texts of several lines a style of their own is a class."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _string)


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140)
