"""How an app is now: one line for each workload, the cause under those that are not well, then where it answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from portable.terminal.console import duration, glyphs, printable
from portable.terminal.failure import cause_text
from portable.terminal.tables import Cell, print_table

if TYPE_CHECKING:
    from portable.secrets import SecretState
    from portable.status import Status, WorkloadStatus

_STYLES = {"ready": "good", "waiting": "warn", "failing": "bad", "absent": "quiet", "extra": "warn"}


def print_status(console: Console, status: Status) -> None:
    where = f"{status.app} on {status.cloud}, cluster {status.cluster}, namespace {status.namespace}"
    console.print(Text(where, "quiet"))
    rows = [_row(console, workload) for workload in status.workloads]
    print_table(console, ("", "workload", "ready", "restarts", "age", "image"), rows)
    for workload in status.workloads:
        if workload.cause is not None:
            console.print()
            console.print(cause_text(console, workload.cause))
        elif workload.detail:
            console.print(Text(f"{workload.name}: {printable(workload.detail)}", "quiet"))
    if status.routes:
        console.print()
    for route in status.routes:
        text = Text().append(f"{route.workload}/{route.route}  ", "quiet").append(printable(route.url), "url")
        console.print(text.append(f"  {printable(route.note)}" if route.note else "", "quiet"))


def _row(console: Console, workload: WorkloadStatus) -> Sequence[Cell]:
    signs = glyphs(console)
    style = _STYLES[workload.state]
    sign = {"ready": signs.done, "failing": signs.failed}.get(workload.state, signs.waiting)
    return (
        Text(sign, style),
        Text(workload.name, "name"),
        Text(workload.state if workload.state in ("absent", "extra") else f"{workload.ready}/{workload.wanted}", style),
        Text(str(workload.restarts), "warn" if workload.restarts else "none"),
        duration(workload.age) if workload.age is not None else "",
        ", ".join(workload.images),
    )


def print_secrets(console: Console, secrets: Sequence[SecretState]) -> None:
    signs = glyphs(console)
    rows: list[Sequence[Cell]] = [
        (
            Text(signs.done, "good") if is_set else Text(signs.failed, "bad"),
            Text(secret.name, "name"),
            key,
            "set" if is_set else "not set",
            secret.changed,
        )
        for secret in secrets
        for key, is_set in secret.keys.items()
    ]
    print_table(console, ("", "secret", "key", "value", "changed"), rows)
