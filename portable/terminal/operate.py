"""How history, rollback, restart, scale and top look on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from portable.terminal.console import duration, glyphs, printable, when
from portable.terminal.tables import print_table

if TYPE_CHECKING:
    from portable.history import Entry
    from portable.restart import Restarted, Scaled
    from portable.rollback import RollbackResult
    from portable.rotate import Rotated
    from portable.top import Amount, WorkloadUsage

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


def print_rotated(console: Console, result: Rotated) -> None:
    text = Text().append(f"{glyphs(console).done} ", "good").append(f"rotated {result.name}", "name")
    again = f", new pods for {', '.join(result.restarted)}" if result.restarted else ""
    console.print(text.append(f"  {duration(result.seconds)}{again}", "quiet"))
    if result.lost:
        console.print(Text(f"  {result.lost}", "quiet"))


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


def print_top(console: Console, found: Sequence[WorkloadUsage]) -> None:
    from portable.top import lines

    rows = [
        (Text(name, "none" if name.startswith(" ") else "name"), *_cells(cpu, _cores), *_cells(memory, _bytes))
        for name, cpu, memory in lines(found)
    ]
    print_table(console, ("", "cpu", "asked", "limit", "memory", "asked", "limit"), rows)


def _cells(amount: Amount, said: Callable[[float], str]) -> tuple[Text, Text, Text]:
    """Red near the limit: a container that goes over its memory is killed, over its processors slowed down."""
    limit = amount.limit
    near = limit is not None and amount.used > 0.9 * limit
    over = amount.requested is not None and amount.used > amount.requested
    style = "bad" if near else "warn" if over else "none"
    asked, most = (Text(said(value) if value is not None else "-", "quiet") for value in (amount.requested, limit))
    return Text(said(amount.used), style), asked, most


def _cores(value: float) -> str:
    return f"{value * 1000:.0f}m" if value < 10 else f"{value:.1f}"


def _bytes(value: float) -> str:
    return f"{value / 2**20:.0f}Mi" if value < 2**33 else f"{value / 2**30:.1f}Gi"
