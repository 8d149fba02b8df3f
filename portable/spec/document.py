"""A spec as it was read: values that know where they stand, and the problems that point at them.

A `Node` keeps the place of its value and, inside a map, of its key. Merging (`merge`) works on nodes, so a value that an
environment or a Score file brings keeps its own place.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias

from portable.errors import Problem
from portable.spec.model import Position

Path: TypeAlias = tuple[str | int, ...]
Scalar: TypeAlias = str | int | float | bool | None

# libyaml counts these as line breaks, so the lines that are shown must be cut the same way.
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_LONGEST_LINE = 200


class Mark(NamedTuple):
    """A place in `file`; line and column count from 1."""

    file: str
    line: int
    column: int


@dataclass(slots=True)
class Node:
    """A value with its place. `content` is a scalar, a list or a map of nodes; `text` a scalar as it was written.

    `key` is the place of the map key that leads here; `size` how many values this is when aliases are written out.
    """

    content: Scalar | list[Node] | dict[str, Node]
    mark: Mark
    key: Mark | None = None
    text: str = ""
    size: int = 1

    def plain(self) -> Any:
        """The value without places: dicts, lists and scalars."""
        content = self.content
        if isinstance(content, dict):
            return {name: child.plain() for name, child in content.items()}
        if isinstance(content, list):
            return [child.plain() for child in content]
        return content

    def child(self, step: str | int) -> Node | None:
        content = self.content
        if isinstance(content, dict):
            return content.get(step) if isinstance(step, str) else None
        if isinstance(content, list) and isinstance(step, int) and 0 <= step < len(content):
            return content[step]
        return None


def merge(target: Node | None, patch: Node) -> Node:
    """`patch` laid over `target` as RFC 7386 has it: maps are merged, null removes, all else replaces."""
    if not isinstance(patch.content, dict):
        return patch
    base = target.content if target is not None and isinstance(target.content, dict) else {}
    merged = dict(base)
    for name, child in patch.content.items():
        if child.content is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), child)
    if target is None or not base:
        return Node(merged, patch.mark, patch.key)
    return Node(merged, target.mark, target.key)


@dataclass(frozen=True)
class Document:
    """A spec, possibly merged from several files. `sources` maps each file's name to its text.

    `metadata` is what `${metadata...}` means in files other than portable.yaml (Score files have their own). `hidden` is
    the part of every path that a Score file's author never wrote. `used` are resources that have done their work already:
    a Score file's `dns` gave a route its host.
    """

    file: str
    root: Node
    sources: Mapping[str, str] = field(default_factory=dict, repr=False)
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    hidden: Path = ()
    used: frozenset[str] = frozenset()

    def find(self, path: Path) -> tuple[Node, int]:
        """The node at `path` or the nearest above it, and how many steps of `path` lead there."""
        node = self.root
        for depth, step in enumerate(path):
            below = node.child(step)
            if below is None:
                return node, depth
            node = below
        return node, len(path)

    def problem(
        self,
        path: Path,
        message: str,
        *,
        at: Literal["key", "value"] = "value",
        expected: str = "",
        hint: str = "",
        severity: Literal["error", "warning"] = "error",
    ) -> Problem:
        """A Problem at `path`; where nothing stands there, at the key of the nearest thing above it."""
        node, depth = self.find(path)
        mark = node.mark
        if node.key is not None and (at == "key" or depth < len(path) or isinstance(node.content, dict | list)):
            mark = node.key
        words = path[len(self.hidden) :] if path[: len(self.hidden)] == self.hidden else path
        return self.problem_at(mark, message, path=spell(words), expected=expected, hint=hint, severity=severity)

    def problem_at(
        self,
        mark: Mark,
        message: str,
        *,
        path: str = "",
        expected: str = "",
        hint: str = "",
        severity: Literal["error", "warning"] = "error",
    ) -> Problem:
        """A Problem at `mark`. Names from the spec may hold anything; no escape sequence of theirs reaches a terminal."""
        return Problem(
            _printable(message),
            file=mark.file,
            line=mark.line,
            column=mark.column,
            path=_printable(path),
            source_line=source_line(self.sources.get(mark.file, ""), mark.line),
            expected=_printable(expected),
            hint=_printable(hint),
            severity=severity,
        )

    def order(self, problem: Problem) -> tuple[bool, str, int, int]:
        """A sort key: this document's own file first, then by place."""
        return problem.file != self.file, problem.file, problem.line, problem.column

    def replaced(self, root: Node) -> Document:
        return replace(self, root=root)


class Positions(Mapping[str, Position]):
    """The place of every value, by its path in the spec's words. Looked up when asked for: nothing is built before."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._root = document.root

    def __getitem__(self, words: str) -> Position:
        node = self._lookup(self._root, words) if words else self._root
        if node is None:
            raise KeyError(words)
        return Position(*(node.key or node.mark))

    def _lookup(self, node: Node, words: str) -> Node | None:
        """Names may hold dots ("files./etc/app.conf"), so every way to cut `words` is tried, shortest name first."""
        end = -1
        while True:
            end = words.find(".", end + 1)
            head, rest = (words, "") if end < 0 else (words[:end], words[end + 1 :])
            step = int(head) if isinstance(node.content, list) and head.isdecimal() else head
            child = node.child(step)
            if child is not None:
                found = child if end < 0 else self._lookup(child, rest)
                if found is not None:
                    return found
            if end < 0:
                return None

    def _walk(self, node: Node, path: Path) -> Iterator[str]:
        if path:
            yield spell(path)
        if isinstance(node.content, dict):
            for name, child in node.content.items():
                yield from self._walk(child, (*path, name))
        elif isinstance(node.content, list):
            for index, child in enumerate(node.content):
                yield from self._walk(child, (*path, index))

    def __iter__(self) -> Iterator[str]:
        return self._walk(self._root, ())

    def __len__(self) -> int:
        return sum(1 for _ in self)


def spell(path: Sequence[str | int]) -> str:
    """A path in the spec's words: "workloads.api.scale.min"."""
    return ".".join(str(step) for step in path)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text)


@lru_cache(maxsize=8)
def _lines(text: str) -> list[str]:
    return _LINE_BREAK.split(text)


def source_line(text: str, number: int) -> str:
    """Line `number` (from 1) of `text`, made printable and cut to a length that fits a terminal."""
    lines = _lines(text)
    line = lines[number - 1][: _LONGEST_LINE + 1] if 0 < number <= len(lines) else ""
    line = _printable(line)
    return line if len(line) <= _LONGEST_LINE else line[: _LONGEST_LINE - 1] + "…"


def shown(value: object) -> str:
    """`value` as it can stand in a message: quoted, on one line, not too long."""
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | int | float | bool) else repr(value)
    text = _printable(text)
    return text if len(text) <= 60 else f'{text[:56]}…"'


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """`did you mean "image"?`, or nothing where no known name is close."""
    if not isinstance(name, str) or len(name) > 64:
        return ""
    words = {word.lower(): word for word in islice(known, 1000)}  # comparing is slow; a hint is not worth a wait
    close = difflib.get_close_matches(name.lower(), words, n=1, cutoff=0.6)
    return f'did you mean "{words[close[0]]}"?' if close else ""


def listed(names: Iterable[str], limit: int = 12) -> str:
    """Names for an "expected" line, cut when there are very many."""
    words = list(names)
    return ", ".join(words[:limit]) + (f" and {len(words) - limit} more" if len(words) > limit else "")
