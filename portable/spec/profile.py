"""What a cloud cannot honour, said at the place in the spec that asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from portable.errors import Problem
from portable.provider import Profile
from portable.spec.document import Path, Positions, spell
from portable.spec.model import App


def check_profile(app: App, profile: Profile) -> list[Problem]:
    """An error for every key of `app` that `profile.unsupported` names.

    A pattern is a path in the spec's words with `*` for any name, and optionally the value that is meant:
    "workloads.*.identity", "resources.*.access=shared". Keys that the spec leaves out are never refused.
    """
    return [
        _problem(app, path, f"{profile.title} cannot honour {spell(path)}: {reason}", _left_out(path, profile))
        for pattern, reason in profile.unsupported.items()
        for path in _matches(app.spec, pattern)
    ]


def placed(app: App, problem: Problem) -> Problem:
    """A plugin's problem, which names a place in the spec's words ("cluster.nodes.min"), with its file and line."""
    path = tuple(problem.path.split("."))
    if path[:3] == ("cluster", "pools", "default") and "nodes" in app.spec.get("cluster", {}):
        path = ("cluster", "nodes", *path[3:])  # how the spec says it
    if not isinstance(app.positions, Positions):
        return replace(problem, path=spell(path))
    return app.positions.document.problem(
        path, problem.message, expected=problem.expected, hint=problem.hint, severity=problem.severity
    )


def _matches(spec: Any, pattern: str) -> Iterator[Path]:
    words, _, wanted = pattern.partition("=")
    for path, value in _walk(spec, words.split("."), ()):
        if not wanted or str(value) == wanted:
            yield path


def _walk(value: Any, words: Sequence[str], path: Path) -> Iterator[tuple[Path, Any]]:
    if not words:
        yield path, value
    elif isinstance(value, dict):
        for name in value if words[0] == "*" else [words[0]]:
            if name in value:
                yield from _walk(value[name], words[1:], (*path, name))
    elif isinstance(value, list) and words[0] == "*":
        for index, item in enumerate(value):
            yield from _walk(item, words[1:], (*path, index))


def _left_out(path: Path, profile: Profile) -> str:
    """How an environment of this cloud does without the key; "" for what it cannot take away."""
    if "type" in path or any(isinstance(step, int) for step in path):
        return ""
    overlay = ": {".join(map(str, path)) + ": null" + "}" * (len(path) - 1)
    return f"an environment can do without it: `environments: {{NAME: {{cloud: {profile.cloud}, {overlay}}}}}`"


def _problem(app: App, path: Path, message: str, hint: str) -> Problem:
    if isinstance(app.positions, Positions):
        return app.positions.document.problem(path, message, at="key", hint=hint)
    return Problem(message, path=spell(path), hint=hint)
