"""How an app is now: one line for each workload, the cause under those that are not well, then where it answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from portable.terminal.console import duration, glyphs, printable, when
from portable.terminal.failure import cause_text
from portable.terminal.tables import Cell, print_table

if TYPE_CHECKING:
    from portable.health import CertificateLife
    from portable.secrets import SecretState
    from portable.status import LastRevision, Status, WorkloadStatus

_STYLES = {"ready": "good", "waiting": "warn", "failing": "bad", "absent": "quiet", "extra": "warn"}


def print_status(console: Console, status: Status, *, whole: bool = False) -> None:
    """`whole`: images with their digests."""
    where = f"{status.app} on {status.cloud}, cluster {status.cluster}, namespace {status.namespace}"
    console.print(Text(where, "quiet"))
    if status.revision is not None:
        console.print(_revision(status.revision))
    rows = [_row(console, workload, whole) for workload in status.workloads]
    print_table(console, ("", "workload", "ready", "restarts", "age", "image"), rows)
    for workload in status.workloads:
        if workload.cause is not None:
            console.print()
            console.print(cause_text(console, workload.cause))
        elif workload.detail:
            console.print(Text(f"{workload.name}: {printable(workload.detail)}", "quiet"))
    for workload in status.workloads:
        for line in _details(workload):
            console.print(line)
    if status.routes:
        console.print()
    for life in status.certificates:
        console.print(_certificate(life))
    for route in status.routes:
        text = Text().append(f"{route.workload}/{route.route}  ", "quiet").append(printable(route.url), "url")
        console.print(text.append(f"  {printable(route.note)}" if route.note else "", "quiet"))


def _row(console: Console, workload: WorkloadStatus, whole: bool) -> Sequence[Cell]:
    signs = glyphs(console)
    style = _STYLES[workload.state]
    sign = {"ready": signs.done, "failing": signs.failed}.get(workload.state, signs.waiting)
    return (
        Text(sign, style),
        Text(workload.name, "name"),
        Text(workload.state if workload.state in ("absent", "extra") else f"{workload.ready}/{workload.wanted}", style),
        Text(str(workload.restarts), "warn" if workload.restarts else "none"),
        duration(workload.age) if workload.age is not None else "",
        ", ".join(workload.images if whole else map(_image, workload.images)),
    )


def _image(reference: str) -> str:
    """The tag says it; where there is none, the first digits of the digest do."""
    name, _, digest = reference.partition("@")
    if not digest or ":" in name.rpartition("/")[2]:
        return name
    return f"{name}@{digest[:19]}"


def _revision(last: LastRevision) -> Text:
    text = Text(f"revision {last.number} ({last.action}), {when(last.at)} by {printable(last.by)}", "quiet")
    if last.status == "good":
        return text
    text.append(f"  {last.status}", "bad" if last.status == "failed" else "warn")
    return text.append(f", revision {last.running} runs" if last.running else "", "quiet")


def _details(workload: WorkloadStatus) -> Iterator[Text]:
    name = workload.name
    if workload.earlier:
        yield Text(f"{name}: {workload.earlier} ready of an earlier version", "quiet")
    if (scaler := workload.autoscaler) is not None:
        words = f"{name}: autoscaled, {scaler.current} of {scaler.wanted} wanted ({scaler.low} to {scaler.high})"
        yield Text(f"{words}  {', '.join(scaler.metrics)}", "quiet")
        if scaler.blocked:
            yield Text(f"{name}: its autoscaler does not act: {printable(scaler.blocked)}", "warn")
    if (restart := workload.last_restart) is not None:
        code = "" if restart.exit_code is None else f", exit code {restart.exit_code}"
        words = f"{name}: container {restart.container} was restarted {when(restart.at)}{code} ({restart.reason})"
        yield Text(printable(words), "warn")
    for event in workload.events:
        often = f" ({event.count} times)" if event.count > 1 else ""
        words = f"{name}: {event.reason} {duration(event.age)} ago{often}: {event.message}"
        yield Text(printable(words), "warn" if event.warning else "quiet")


def _certificate(life: CertificateLife) -> Text:
    style = "bad" if life.days < 3 else "warn" if life.days < 15 else "quiet"
    end = f"ended {-life.days} days ago" if life.days < 0 else f"ends in {life.days} days"
    return Text(f"certificate of {', '.join(life.hosts) or life.secret} {end} ({life.ends})", style)


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
