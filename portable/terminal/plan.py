"""A plan, drawn as a diff: + create, - delete, ~ update, -/+ replace, with one line for each field that changes."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from rich.console import Console
from rich.text import Text

from portable.compile.names import DIGEST_ANNOTATION
from portable.terminal.console import beside, glyphs, printable
from portable.terminal.state import object_label

_SIGNS = {"create": ("+", "add"), "update": ("~", "change"), "replace": ("-/+", "change"), "delete": ("-", "remove")}
_LONGEST_VALUE = 300
_CONTEXT_LINES = 2


class FieldChange(Protocol):
    """As `portable.engine.FieldChange`."""

    @property
    def path(self) -> str: ...
    @property
    def before(self) -> Any: ...
    @property
    def after(self) -> Any: ...


class Change(Protocol):
    """As `portable.engine.Change`."""

    @property
    def operation(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def fields(self) -> Sequence[FieldChange]: ...


def print_plan(
    console: Console,
    *,
    title: str,
    cluster: Sequence[Change],
    app: Sequence[Change],
    notes: Iterable[str] = (),
    costs: Iterable[str] = (),
    missing: Sequence[str] = (),
    offline: bool = False,
    whole: bool = False,
) -> None:
    """`missing`: secrets that have no value yet. `whole`: long values are not shortened."""
    console.print(Text(title, "name"))
    if offline:
        console.print(Text("there is no cluster yet: the app's part is computed offline", "warn"))
    for heading, changes in (("Cluster", cluster), ("App", app)):
        moving = [change for change in changes if change.operation in _SIGNS]
        if moving:
            console.print(Text(f"\n{heading}", "quiet"))
        for change in moving:
            console.print(_change(console, change, whole))
    signs = glyphs(console)
    for heading, given in (("Costs", costs), ("Notes", notes)):
        lines = tuple(given)
        if lines:
            console.print(Text(f"\n{heading}", "quiet"))
        for line in lines:
            console.print(beside(console, Text(f"  {signs.bullet} ", "quiet"), line))
    if missing:
        console.print(Text("\nSecrets without a value (`portable secret set NAME`)", "warn"))
    for name in missing:
        console.print(Text().append(f"  {signs.bullet} ", "quiet").append(printable(name)))
    console.print()
    console.print(summary((*cluster, *app)))


def summary(changes: Sequence[Change]) -> Text:
    """ "2 to create, 1 to update, 9 unchanged"; "nothing to change" where nothing is."""
    text = Text()
    for operation, (_sign, style) in _SIGNS.items():
        number = sum(change.operation == operation for change in changes)
        if number:
            text.append(", " if text else "").append(f"{number} to {operation}", style)
    unchanged = sum(change.operation == "same" for change in changes)
    if not text:
        text.append("nothing to change", "good")
    if unchanged:
        text.append(f", {unchanged} unchanged", "quiet")
    return text


def _change(console: Console, change: Change, whole: bool) -> Text:
    sign, style = _SIGNS[change.operation]
    text = Text().append(f"{sign:>4} ", style).append(object_label(change.type, change.name), style)
    if change.operation in ("create", "delete"):
        return text
    for field in _told(change.fields, whole):
        drawn = Text(field.path).append(_field(console, field, whole))
        text.append("\n").append(beside(console, Text(" " * 7), drawn))
    return text


def _told(fields: Sequence[FieldChange], whole: bool) -> Sequence[FieldChange]:
    """A pod's digest changes with anything else in it, which tells more; where it is alone, it is what changed."""
    others = [field for field in fields if not field.path.endswith(f"[{DIGEST_ANNOTATION}]")]
    return fields if whole else others or fields


def _field(console: Console, field: FieldChange, whole: bool) -> Text:
    before, after = field.before, field.after
    if isinstance(before, str) and isinstance(after, str) and "\n" in before + after:
        return _lines(console, before, after)
    text = Text()
    if before is not None:
        text.append("  ").append(_value(console, before, whole), "remove")
    text.append("  => " if before is not None else "  ", "quiet")
    return text.append(_value(console, after, whole) if after is not None else "(removed)", "add")


def _lines(console: Console, before: str, after: str) -> Text:
    text = Text()
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=_CONTEXT_LINES)
    for line in list(diff)[2:]:
        shown = glyphs(console).ellipsis if line.startswith("@@") else printable(line)
        style = {"+": "add", "-": "remove"}.get(line[:1], "quiet")
        text.append(f"\n  {shown}", style)
    return text or Text("  (line ends only)", "quiet")


def _value(console: Console, value: Any, whole: bool) -> str:
    text = printable(json.dumps(value, ensure_ascii=False, default=str))
    if whole or len(text) <= _LONGEST_VALUE:
        return text
    half = _LONGEST_VALUE // 2
    return f"{text[:half]} {glyphs(console).ellipsis} {text[-half:]} ({len(text):,} characters)"
