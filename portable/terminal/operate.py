"""How history, rollback, restart and scale end on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from portable.terminal.console import duration, glyphs, printable

if TYPE_CHECKING:
    from portable.history import Entry
    from portable.restart import Restarted, Scaled
    from portable.rollback import RollbackResult

_STYLES = {"good": "good", "failed": "bad", "applied": "warn"}


def print_history(console: Console, found: Sequence[Entry]) -> None:
    """Newest first, as what one looks for is mostly near."""
    for entry in reversed(found):
        console.print(_heading(console, entry))
        for words in entry.changes or ("nothing in the app changed",):
            console.print(Text(f"      {printable(words)}", "none" if entry.changes else "quiet"))
        for done in entry.operations:
            words = f"      {glyphs(console).bullet} {printable(done.words)}  {when(done.at)} by {printable(done.by)}"
            console.print(Text(words, "quiet"))


def print_rollback(console: Console, result: RollbackResult) -> None:
    text = Text().append(f"{glyphs(console).done} ", "good")
    if result.changed:
        text.append(f"back at revision {result.to} and ready", "name")
        text.append(f"  {duration(result.seconds)}, recorded as revision {result.revision}", "quiet")
    else:
        text.append(f"revision {result.to} is what runs: nothing to change", "name")
    console.print(text)
    for note in result.notes if result.changed else ():
        console.print(Text(f"  {printable(note)}", "quiet"))


def print_restarted(console: Console, result: Restarted) -> None:
    text = Text().append(f"{glyphs(console).done} ", "good")
    text.append(f"restarted and ready: {', '.join(result.workloads)}", "name")
    console.print(text.append(f"  {duration(result.seconds)}", "quiet"))


def print_scaled(console: Console, result: Scaled) -> None:
    text = Text().append(f"{glyphs(console).done} ", "good")
    text.append(f"{result.workload}: {result.replicas} ready", "name")
    console.print(text.append(f"  {duration(result.seconds)}, before: {result.before}", "quiet"))
    if result.replicas != result.spec:
        fix = f"the spec says {result.spec}, which the next `portable up` puts back: change workloads.{result.workload}.scale too"
        console.print(Text(f"  {fix}", "warn"))


def when(at: str) -> str:
    """How long ago: "3m 05s ago"; "" where nobody knows."""
    if not at:
        return ""
    return f"{duration((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())} ago"


def _heading(console: Console, entry: Entry) -> Text:
    signs = glyphs(console)
    sign = {"good": signs.done, "failed": signs.failed}.get(entry.status, signs.waiting)
    text = Text().append(f"{sign} ", _STYLES[entry.status]).append(f"{entry.number:>3}  ", "name")
    text.append(f"{entry.action}  ", "none").append(
        f"{when(entry.at)} by {printable(entry.by)}  {entry.digest}", "quiet"
    )
    if entry.status != "good":
        text.append(
            f"  {entry.status}{': ' + printable(entry.outcome) if entry.outcome else ''}", _STYLES[entry.status]
        )
    return text.append("  runs now", "good") if entry.running else text
