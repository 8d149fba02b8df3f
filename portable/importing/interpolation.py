"""Compose's `${VARIABLE}` in texts: https://github.com/compose-spec/compose-spec/blob/main/12-interpolation.md"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from portable.spec.document import Node

_VARIABLE = re.compile(
    r"\$(?:\$|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-?+])((?:[^{}]|\{[^{}]*\})*))?\})"
)


@dataclass(frozen=True)
class Interpolated:
    """`missing`: variables without a value, with the place of the text that uses each."""

    root: Node
    missing: tuple[tuple[str, Node], ...]


def interpolated(root: Node, values: Mapping[str, str]) -> Interpolated:
    """`root` with every text's variables replaced; keys stay as they are. What has no value is empty, as with compose."""
    missing: list[tuple[str, Node]] = []
    return Interpolated(_walk(root, values, missing), tuple(missing))


def _walk(node: Node, values: Mapping[str, str], missing: list[tuple[str, Node]]) -> Node:
    if isinstance(node.content, dict):
        return replace(node, content={key: _walk(child, values, missing) for key, child in node.content.items()})
    if isinstance(node.content, list):
        return replace(node, content=[_walk(child, values, missing) for child in node.content])
    if not isinstance(node.content, str) or "$" not in node.content:
        return node
    text = expand(node.content, values, lambda name: missing.append((name, node)))
    return replace(node, content=text, text=text)


def expand(text: str, values: Mapping[str, str], unknown: Callable[[str], None]) -> str:
    """`unknown` is told of each variable that has neither a value nor a default."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name is None:
            return "$"
        sign, word = match[3] or "", match[4] or ""
        found = values.get(name)
        there = bool(found) if sign.startswith(":") else found is not None
        if sign.endswith("+"):
            return expand(word, values, unknown) if there else ""
        if there:
            return found or ""
        if sign.endswith("-"):
            return expand(word, values, unknown)
        unknown(name)
        return ""

    return _VARIABLE.sub(value, text)
