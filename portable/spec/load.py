"""Reads YAML into a `Document`: nodes with places, and a clear error for everything that a spec cannot be.

libyaml's events are used rather than PyYAML's composer: the composer recurses in C, where a deeply nested file ends the
process, and it lets aliases refer to themselves. Plain aliases work; merge keys, tags and further documents do not.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from yaml import events

from portable.errors import Problem, SpecError
from portable.spec.document import Document, Mark, Node, shown, source_line
from portable.spec.foreign import import_hint
from portable.spec.scalars import resolve

# PyYAML built without libyaml gives the same events, some ten times slower.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_VALUES = 500_000
_FORBIDDEN = re.compile("[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_document(path: Path) -> Document:
    """The YAML file at `path`. Raises SpecError, always with at least one Problem that has a place."""
    file = str(path)
    return parse(decode(read_bytes(path), file), file)


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises SpecError when there is no such file, it is no file, or it is larger than `MAX_BYTES`."""
    file = str(path)
    try:
        if path.is_dir():
            raise _error(file, "this is a folder, not a file", hint=f"name the file, such as {path / 'portable.yaml'}")
        if path.exists() and not path.is_file():
            raise _error(file, "this is not a regular file")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _error(file, "there is no such file", hint="`portable init` writes a first one") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _error(file, f"the file cannot be read: {reason or error}") from None
    if len(data) > MAX_BYTES:
        raise _error(file, f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB", expected="a spec in YAML")
    return data


def decode(data: bytes, file: str) -> str:
    """UTF-8 text, a byte order mark taken away. Raises SpecError for other encodings and for binary content."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
        raise _error(file, "the file is UTF-16 or UTF-32 text", expected="UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        binary = b"\0" in data
        message = "this is a binary file" if binary else f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise _error(file, message, *_place(before, len(before)), expected="a spec in YAML, in UTF-8") from None
    bad = _FORBIDDEN.search(text)
    if bad:
        binary = "\0" in text
        message = "this is a binary file" if binary else f"the control character U+{ord(bad[0]):04X} is not allowed"
        line, column = _place(text, bad.start())
        raise _error(file, message, line, column, expected="a spec in YAML", line_text=source_line(text, line))
    return text


def parse(text: str, file: str) -> Document:
    """The one YAML document in `text`. Raises SpecError with every duplicate key, tag and alias problem it finds."""
    document = Document(file, Node(None, Mark(file, 1, 1)), {file: text})
    builder = _Builder(document)
    _read(builder, document, text)
    return document.replaced(builder.roots[0])


def parse_all(text: str, file: str) -> list[Document]:
    """Every YAML document in `text` that is not empty: files of other tools, in which merge keys (<<) are usual.

    Raises SpecError as `parse` does.
    """
    document = Document(file, Node(None, Mark(file, 1, 1)), {file: text})
    builder = _Builder(document, foreign=True)
    _read(builder, document, text)
    return [document.replaced(root) for root in builder.roots if root.content is not None]


def _read(builder: _Builder, document: Document, text: str) -> None:
    try:
        parser = _Parser(text)
        while (event := parser.get_event()) is not None:
            builder.handle(event)
    except yaml.MarkedYAMLError as error:
        builder.problems.append(_syntax_problem(document, error))
    except yaml.YAMLError as error:
        builder.problems.append(document.problem_at(Mark(document.file, 1, 1), f"this is not YAML: {error}"))
    except _Stop as stop:
        builder.problems.append(stop.problem)
    if not builder.problems and all(root.content is None for root in builder.roots):
        hint = "`portable init` writes a first spec"
        builder.problems.append(document.problem_at(Mark(document.file, 1, 1), "the file is empty", hint=hint))
    if builder.problems:
        raise SpecError(builder.problems, file=document.file)


class _Stop(Exception):
    """Reading cannot go on."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


@dataclass(slots=True)
class _Open:
    """A list or map that is being read; `name` is the key whose value comes next."""

    node: Node
    anchor: str | None
    name: str | None = None
    name_mark: Mark | None = None


class _Builder:
    """Turns events into nodes with a stack of its own, so that depth is ours to limit.

    `foreign`: several documents and merge keys are read.
    """

    def __init__(self, document: Document, *, foreign: bool = False) -> None:
        self.document = document
        self.file = document.file
        self.roots: list[Node] = []
        self._foreign = foreign
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._documents = 0

    def handle(self, event: Any) -> None:
        kind = type(event)
        if kind is events.ScalarEvent:
            self._scalar(event)
        elif kind is events.MappingStartEvent or kind is events.SequenceStartEvent:
            self._open(event, {} if kind is events.MappingStartEvent else [])
        elif kind is events.MappingEndEvent or kind is events.SequenceEndEvent:
            self._close()
        elif kind is events.AliasEvent:
            self._alias(event)
        elif kind is events.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1 and not self._foreign:
                hint = import_hint(self.roots[0], self.file)
                self._stop(event, "a second document begins here", expected="one document in a file", hint=hint)

    def _mark(self, event: Any) -> Mark:
        start = event.start_mark
        return Mark(self.file, start.line + 1, start.column + 1)

    def _problem(self, event: Any, message: str, **rest: Any) -> Problem:
        return self.document.problem_at(self._mark(event), message, **rest)

    def _stop(self, event: Any, message: str, **rest: Any) -> None:
        raise _Stop(self._problem(event, message, **rest))

    def _report(self, event: Any, message: str, **rest: Any) -> None:
        self.problems.append(self._problem(event, message, **rest))
        if len(self.problems) >= 100:
            self._stop(event, "too many problems; the rest of the file was not read")

    def _scalar(self, event: Any) -> None:
        plain = event.implicit[0] and event.tag is None
        if event.tag not in (None, "!") and not event.implicit[0]:
            self._tag(event)
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.node.content, dict) and frame.name is None:
            self._key(frame, event, plain)
            return
        try:
            value = resolve(event.value) if plain else event.value
        except ValueError as error:
            self._report(event, str(error), hint="put it in quotes if text is meant")
            value = None
        if "\0" in event.value:
            self._report(event, "the character U+0000 is not allowed", hint="use `binaryContent` for bytes")
        node = Node(value, self._mark(event), text=event.value)
        if event.anchor:
            self._anchors[event.anchor] = node
        self._add(node, event)

    def _key(self, frame: _Open, event: Any, plain: bool) -> None:
        name = event.value
        if event.anchor:
            self._anchors[event.anchor] = Node(name, self._mark(event), text=name)
        if plain and name == "<<" and not self._foreign:
            self._report(
                event, "merge keys (<<) are not part of YAML 1.2", hint="write the keys out, or alias whole values"
            )
        assert isinstance(frame.node.content, dict)
        earlier = frame.node.content.get(name)
        if earlier is not None and earlier.key is not None:
            self._report(
                event, f"the key {shown(name)} is already there, at line {earlier.key.line}", expected="each key once"
            )
        frame.name, frame.name_mark = name, self._mark(event)

    def _tag(self, event: Any) -> None:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        self._report(event, f"the tag {tag[:40]} is not supported", expected="plain YAML without tags")

    def _open(self, event: Any, content: dict[str, Node] | list[Node]) -> None:
        if event.tag not in (None, "!"):
            self._tag(event)
        self._refuse_complex_key(event)
        if len(self._stack) >= MAX_DEPTH:
            self._stop(event, f"the file is nested more than {MAX_DEPTH} levels deep")
        if event.anchor:
            self._anchors[event.anchor] = None  # until it is complete, an alias to it would refer to itself
        self._stack.append(_Open(Node(content, self._mark(event)), event.anchor))

    def _close(self) -> None:
        frame = self._stack.pop()
        if self._foreign and isinstance(frame.node.content, dict) and "<<" in frame.node.content:
            frame.node.content = _merged(frame.node.content)
        if frame.anchor:
            self._anchors[frame.anchor] = frame.node
        self._add(frame.node, None)

    def _alias(self, event: Any) -> None:
        self._refuse_complex_key(event)
        if event.anchor not in self._anchors:
            self._stop(
                event, f"the alias *{event.anchor[:40]} has no anchor before it", expected=f"&{event.anchor[:40]}"
            )
        target = self._anchors[event.anchor]
        if target is None:
            self._stop(event, f"the alias *{event.anchor[:40]} stands inside what it refers to")
        assert target is not None
        self._add(replace(target), event)

    def _refuse_complex_key(self, event: Any) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None and isinstance(frame.node.content, dict) and frame.name is None:
            self._stop(event, "a key must be plain text")

    def _add(self, node: Node, event: Any) -> None:
        if not self._stack:
            self.roots.append(node)
            return
        frame = self._stack[-1]
        content = frame.node.content
        if isinstance(content, dict) and frame.name is not None:
            node.key = frame.name_mark
            content[frame.name] = node
            frame.name = None
        elif isinstance(content, list):
            node.key = None
            content.append(node)
        frame.node.size += node.size
        if frame.node.size > MAX_VALUES:
            mark = self._mark(event) if event is not None else node.mark
            message = f"the file has more than {MAX_VALUES:,} values when its aliases are written out"
            raise _Stop(self.document.problem_at(mark, message))


def _merged(content: dict[str, Node]) -> dict[str, Node]:
    """A map without its merge key: what that leads to stands behind the map's own keys (https://yaml.org/type/merge.html)."""
    source = content["<<"]
    found = {key: node for key, node in content.items() if key != "<<"}
    for each in source.content if isinstance(source.content, list) else [source]:
        found |= {
            key: node
            for key, node in (each.content.items() if isinstance(each.content, dict) else ())
            if key not in found
        }
    return found


_SYNTAX = {
    "cannot start any token": ("a tab is used for indentation", "spaces", ""),
    "could not find expected ':'": ("a ':' is missing after the key", "key: value", ""),
    "mapping values are not allowed in this context": (
        "a ':' cannot stand here",
        "",
        "quote values that hold ': ', and check the indentation",
    ),
    "did not find expected key": ("the indentation does not fit the lines above", "", ""),
    "did not find expected '-' indicator": ("the indentation does not fit the list above", "", ""),
    "found unexpected end of stream": ("a quoted text is not closed", "a closing quote", ""),
    "did not find expected ',' or '}'": ("a map in braces is not closed", "',' or '}'", ""),
    "did not find expected ',' or ']'": ("a list in brackets is not closed", "',' or ']'", ""),
}


def _syntax_problem(document: Document, error: yaml.MarkedYAMLError) -> Problem:
    """libyaml's complaint in plain words, at the place that it names."""
    words = (error.problem or error.context or "this is not YAML").strip()
    mark = error.problem_mark or error.context_mark
    place = Mark(document.file, mark.line + 1, mark.column + 1) if mark else Mark(document.file, 1, 1)
    for known, (message, expected, hint) in _SYNTAX.items():
        if known in words:
            line = source_line(document.sources[document.file], place.line)
            if known != "cannot start any token" or line[place.column - 1 : place.column] == "\t":
                return document.problem_at(place, message, expected=expected, hint=hint)
            quoted = line[place.column - 1 : place.column]
            return document.problem_at(place, f"a value cannot begin with {quoted}", hint="put the value in quotes")
    return document.problem_at(place, f"this is not YAML: {words}")


def _place(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    line = before.count("\n") + 1
    return line, offset - (before.rfind("\n") + 1) + 1


def _error(
    file: str, message: str, line: int = 1, column: int = 1, *, expected: str = "", hint: str = "", line_text: str = ""
) -> SpecError:
    problem = Problem(message, file=file, line=line, column=column, source_line=line_text, expected=expected, hint=hint)
    return SpecError([problem], file=file)
