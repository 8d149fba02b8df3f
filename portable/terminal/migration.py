"""A migration, told: its plan, how far it is, and at the end what was promised beside what was kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from portable.terminal.console import count, duration, glyphs, printable
from portable.terminal.tables import print_pairs, print_table

if TYPE_CHECKING:
    from portable.migrate.flow import MigrateResult, MigrationStatus
    from portable.migrate.journal import Entry
    from portable.migrate.plan import Kept, MigrationPlan, Promise

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def print_migration_plan(console: Console, plan: MigrationPlan) -> None:
    where = f" ({plan.environment})" if plan.environment else ""
    console.print(Text(f"{plan.app}{where}: {plan.source} {glyphs(console).arrow} {plan.target}", "name"))
    if plan.unfinished:
        console.print(Text(f"goes on with what was begun: done are {', '.join(plan.unfinished)}", "quiet"))
    _contents(console, plan)
    if plan.inventory.refusals:
        console.print(Text("\nCannot move", "bad"))
        _bullets(console, plan.inventory.refusals)
        return
    if plan.inventory.notes:
        console.print(Text("\nNotes", "quiet"))
        _bullets(console, plan.inventory.notes)
    _prediction(console, plan)


def _contents(console: Console, plan: MigrationPlan) -> None:
    found = plan.inventory
    pods = ", ".join(f"{name} ({pods})" for name, pods in found.workloads.items())
    console.print(Text("\nMoves", "quiet"))
    rows = [("workloads", pods), ("secrets", ", ".join(found.secrets)), ("routes", ", ".join(found.routes))]
    rows += [(f"database {way.name}", f"{way.type}, by {way.how}: {way.why}") for way in found.databases]
    for volume in found.volumes:
        if volume.how != "copy":
            continue
        held = "not counted yet"
        if volume.bytes is not None:
            held = size(volume.bytes) + (f" in {count(volume.files, 'file')}" if volume.files is not None else "")
        words = f"{held}, of {size(volume.size)}; storage class {volume.storage or 'none'}"
        rows.append((f"volume {volume.claim}", words))
    print_pairs(console, [(f"  {name}", words) for name, words in rows if words])


def _prediction(console: Console, plan: MigrationPlan) -> None:
    if plan.path is not None:
        console.print(Text(f"\nData goes {plan.path[0]}, at {size(plan.path[1])}/s as measured", "quiet"))
    elif any(volume.how == "copy" for volume in plan.inventory.volumes):
        console.print(Text("\nThe way of the data is found, and measured, by `--stage`", "quiet"))
    if plan.stateless:
        console.print(Text("\nDowntime: none. The target serves before traffic moves", "good"))
        return
    console.print(Text(f"\nDowntime: at most {duration(plan.promise.downtime)}", "name"))
    print_table(
        console,
        ("  part", "at most", "because"),
        [(f"  {part.name}", duration(part.seconds), part.why) for part in plan.promise.parts],
    )


def print_status(console: Console, found: MigrationStatus) -> None:
    header = found.record.header
    words = f"{header.app}: {header.source} {glyphs(console).arrow} {header.target}, {found.phase}"
    console.print(Text(words, "name").append(f"  migration {header.migration}", "quiet"))
    console.print(
        f"at home on {found.record.answers}; "
        + (f"{found.operator} works on it" if found.operator else "nobody works on it")
    )
    if found.unreachable:
        console.print(Text(found.unreachable, "warn"))
    rows = [_row(entry) for entry in found.record.entries if entry.what not in ("begun", "note")]
    last = next((entry for entry in reversed(found.record.entries) if entry.what != "note"), None)
    if last is not None and last.what == "begun":
        rows.append(_row(last))
    print_table(console, ("when", "step", "", "took", ""), rows)
    _side_by_side(console, found.promise, found.kept)


def _row(entry: Entry) -> tuple[str, str, str, str, str]:
    took = duration(entry.seconds) if entry.seconds is not None else ""
    return entry.at[:19].replace("T", " "), entry.step, entry.what, took, str(entry.facts.get("error", ""))


def print_result(console: Console, result: MigrateResult) -> None:
    signs = glyphs(console)
    staged = f"{result.share} % of DNS answers lead to the target" if result.share else "staged"
    words = {
        "under way": f"{staged}; at home on {result.home}",
        "cut over": "traffic has moved; not yet committed",
        "committed": f"moved to {result.home}",
        "rolled back": f"back as it was, on {result.home}",
        "finalized": f"moved to {result.home}, and the source is gone",
    }[result.phase]
    console.print(
        Text(f"{signs.done} ", "good").append(words, "name").append(f"  migration {result.migration}", "quiet")
    )
    _side_by_side(console, result.promise, result.kept)
    if result.change:
        console.print(Text("change in the spec:"))
        _bullets(console, result.change)
    if result.by_hand:
        console.print(Text("create these DNS records:", "warn"))
        _bullets(console, result.by_hand)
    if result.share:
        console.print(Text("`portable migrate resume` lets all go over, `portable migrate rollback` none", "quiet"))
    if result.phase == "committed":
        console.print(
            Text(
                "the source is kept as a way back: `portable migrate rollback`, or `portable migrate finalize`", "quiet"
            )
        )


def _side_by_side(console: Console, promise: Promise | None, kept: Kept) -> None:
    """Only once there is something to compare."""
    if promise is None or kept.downtime is None:
        return
    promised = {part.name: part.seconds for part in promise.parts}
    rows = [
        (name, duration(promised.get(name, 0.0)), duration(seconds))
        for name, seconds in kept.parts.items()
        if seconds or name in promised
    ]
    rows.append(("downtime", duration(promise.downtime), duration(kept.downtime)))
    print_table(console, ("", "promised", "kept"), rows)


def _bullets(console: Console, lines: Iterator[str] | tuple[str, ...]) -> None:
    for line in lines:
        console.print(Text().append(f"  {glyphs(console).bullet} ", "quiet").append(printable(line)))


def size(amount: float) -> str:
    """ "512 B", "1.5 GiB"."""
    power = 0
    while amount >= 1024 and power < len(_UNITS) - 1:
        amount, power = amount / 1024, power + 1
    return f"{amount:.0f} {_UNITS[power]}" if power == 0 or amount >= 100 else f"{amount:.1f} {_UNITS[power]}"
