"""What a migration will do and how long it will take, said before; and what was kept of it, said afterwards."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from portable.compile.app import pod_template
from portable.migrate.inventory import Inventory
from portable.migrate.journal import CUT_OVER, End, Record
from portable.migrate.move import Move

# The parts of a downtime, and the steps that each is made of.
PARTS: Mapping[str, tuple[str, ...]] = {
    "stop": ("freeze",),
    "final delta": ("final",),
    "verify": ("verify",),
    "start": ("promote", "start", "smoke"),
    "cut-over": (CUT_OVER,),
}
# Assumed where nothing was measured yet: slower than any disk or machine that the tests ran on.
_READ_BYTES, _READ_FILES = 80e6, 2_000.0
# A dump, or every key, through a digest.
_COMPARED_BYTES = 20e6
_DATABASE, _START, _SMOKE, _FORWARD, _BASE = 20.0, 90.0, 15.0, 20.0, 3.0
_SPARE = 1.5


@dataclass(frozen=True)
class Part:
    """`why`: what the figure stands on."""

    name: str
    seconds: float
    why: str


@dataclass(frozen=True)
class Promise:
    """`downtime`: seconds in which the app does not serve; 0 for an app that keeps nothing."""

    downtime: float
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Kept:
    """What a migration took. `downtime` None: it has not come to its end, or there was none to measure."""

    downtime: float | None
    parts: Mapping[str, float]
    total: float


@dataclass(frozen=True)
class MigrationPlan:
    """`path`: how the data goes and how fast ("direct", bytes a second); None while that was not measured. `staged`: when the
    data was last copied. `unfinished`: the steps that an earlier run has already done."""

    app: str
    environment: str | None
    source: End
    target: End
    stateless: bool
    inventory: Inventory
    promise: Promise
    path: tuple[str, float] | None
    staged: str = ""
    unfinished: tuple[str, ...] = ()


def promise(move: Move) -> Promise:
    """From what staging has measured; where it has not, from what is assumed."""
    if not move.moves_data:
        return Promise(0.0, ())
    parts = tuple(_parts(move))
    return Promise(sum(part.seconds for part in parts), parts)


def compared_databases(move: Move) -> tuple[str, ...]:
    """The replicated databases whose content is compared while the app stands still: those with which that is soon done. Of
    the others it is known that the standby has applied the source's log to its end, each record of which has a checksum."""
    return tuple(name for name, seconds in _comparisons(move).items() if seconds <= move.options.compare)


def note_sizes(move: Move) -> None:
    """As late as the source still serves: databases grow while they are staged."""
    move.note("sizes", **{name: replication.size() for name, replication in move.replications.items()})


def _comparisons(move: Move) -> dict[str, float]:
    """database -> seconds that comparing it is predicted to take."""
    measured = move.record.facts("sizes")
    sizes = {way.name: measured.get(way.name, way.size) for way in move.ways if way.how == "replication"}
    return {name: size / _COMPARED_BYTES for name, size in sizes.items()}


def kept(record: Record) -> Kept:
    parts = {name: sum(_seconds(record, step) for step in steps) for name, steps in PARTS.items()}
    stopped, serving = record.facts("freeze").get("stopped_at"), record.facts(CUT_OVER).get("serving_at")
    serving = serving or record.facts("start").get("ready_at")
    downtime = serving - stopped if stopped and serving and not record.header.stateless else None
    return Kept(downtime, parts, _total(record))


def _parts(move: Move) -> Iterator[Part]:
    seeds: Mapping[str, Any] = move.record.facts("seed").get("volumes", {})
    stop = max(_graces(move), default=0.0)
    yield Part("stop", stop + _BASE, f"its pods may take {stop:.0f} s to stop")
    copies = [float(seed["seconds"]) for seed in seeds.values()]
    databases = len(move.replicated) * _DATABASE
    if move.volumes and not copies:
        yield Part("final delta", 60.0, "assumed: `--stage` measures it")
    elif move.volumes or databases:
        yield Part("final delta", _BASE + _SPARE * sum(copies) + databases, "the last copy took as long")
    if move.volumes or databases:
        left = sum(seed["bytes"] - seed.get("known", 0) for seed in seeds.values())
        read = left / _READ_BYTES + sum(seed["files"] for seed in seeds.values()) / _READ_FILES
        unmeasured = bool(move.volumes) and not seeds
        why = "assumed: `--stage` measures it" if unmeasured else "what has changed and small files are read once more"
        compared, comparisons = compared_databases(move), _comparisons(move)
        read += sum(comparisons[name] for name in compared)
        for name, seconds in comparisons.items():
            why += "" if name in compared else f"; but not {name}: `--compare {math.ceil(seconds)}` would"
        yield Part("verify", _BASE + read + databases + (60.0 if unmeasured else 0), why)
    tried = _seconds(move.record, "rehearse")
    start = _SPARE * tried if tried else _START
    yield Part(
        "start", start + _SMOKE + databases, "as in the rehearsal" if tried else "assumed: `--rehearse` measures it"
    )
    if move.source_side.objects.routes:
        yield Part("cut-over", _FORWARD, "the source's routes lead to the target until DNS has expired")


def _graces(move: Move) -> Iterator[float]:
    for item in move.source_side.objects.items:
        template = pod_template(item.manifest)
        if template is not None and item.manifest["kind"] in ("Deployment", "StatefulSet"):
            yield float(template["spec"].get("terminationGracePeriodSeconds", 30))


def _seconds(record: Record, name: str) -> float:
    last = record.last(name)
    return last.seconds or 0.0 if last is not None and last.what == "done" else 0.0


def _total(record: Record) -> float:
    if not record.entries:
        return 0.0
    first, last = (datetime.fromisoformat(entry.at) for entry in (record.entries[0], record.entries[-1]))
    return (last - first).total_seconds()
