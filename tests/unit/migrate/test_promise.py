"""What is compared while the app stands still, and what the plan promises for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from portable.events import Event
from portable.migrate.databases import Way
from portable.migrate.journal import Entry, Record
from portable.migrate.move import Move, Options
from portable.migrate.plan import compared_databases, note_sizes, promise
from portable.migrate.steps.final import VERIFY
from portable.migrate.steps.seed import SEED
from portable.migrate.transfer import Copied, VolumeCopy
from portable.steps import Progress
from tests.unit.migrate.test_run import HEADER

pytestmark = pytest.mark.unit

SMALL, LARGE = 200_000_000, 80_000_000_000


@dataclass
class Database:
    """A replication, as far as a comparison sees it."""

    bytes: int
    compared: int = 0

    def size(self) -> int:
        return self.bytes

    def digests(self) -> tuple[str, str]:
        self.compared += 1
        return "same", "same"


@dataclass
class World:
    """A Move, as far as promise and proof see of it."""

    replications: Mapping[str, Database]
    options: Options = field(default_factory=Options)
    record: Record = field(default_factory=lambda: Record(HEADER, ()))
    events: list[Event] = field(default_factory=list)
    volumes: tuple[Any, ...] = ()
    moves_data: bool = True
    source_side: Any = field(default_factory=lambda: SimpleNamespace(objects=SimpleNamespace(items=(), routes=())))

    @property
    def ways(self) -> tuple[Way, ...]:
        return tuple(Way(name, "postgres", "replication", "", each.bytes) for name, each in self.replications.items())

    @property
    def replicated(self) -> tuple[str, ...]:
        return tuple(self.replications)

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def note(self, step: str, **facts: Any) -> None:
        self.record = Record(HEADER, (*self.record.entries, Entry(step, "note", "now", "me", None, facts)))


def _verify_seconds(world: World) -> tuple[float, str]:
    (part,) = [part for part in promise(cast("Move", world)).parts if part.name == "verify"]
    return part.seconds, part.why


def seeded(size: int, known: int) -> Record:
    facts = {"volumes": {"files": {"bytes": size, "known": known, "files": 10, "seconds": 1.0}}}
    return Record(HEADER, (Entry("seed", "done", "now", "me", 1.0, facts),))


def test_what_was_read_ahead_is_not_promised_again() -> None:
    half, all_of_it = (World({}, volumes=("files",), record=seeded(LARGE, known)) for known in (LARGE // 2, 0))
    assert _verify_seconds(all_of_it)[0] > 900
    assert _verify_seconds(half)[0] < _verify_seconds(all_of_it)[0] / 1.9


@pytest.mark.parametrize(("size", "asked"), [(2_000_000_000, True), (1000, False)])
def test_only_large_volumes_are_read_ahead(size: int, asked: bool) -> None:
    read: list[str] = []

    def read_ahead(claim: str) -> int:
        read.append(claim)
        return size

    copied = Copied("files", 10, size, 5, 1.0, 0)
    transfer = SimpleNamespace(seed=lambda _claim: copied, read_ahead=read_ahead)
    move = SimpleNamespace(volumes=(VolumeCopy("files", None, None, "web"),), transfer=transfer)
    facts = SEED.do(cast("Move", move), Progress(lambda _event: None, "seed"))
    assert read == (["files"] if asked else [])
    assert facts["volumes"]["files"]["known"] == (size if asked else 0)


def test_a_small_database_is_compared_and_its_time_is_promised() -> None:
    world = World({"db": Database(SMALL)})
    assert compared_databases(cast("Move", world)) == ("db",)
    assert _verify_seconds(world)[0] > _verify_seconds(World({"db": Database(0)}))[0]


def test_the_promise_does_not_grow_with_a_large_database_and_names_the_way_to_compare_it() -> None:
    seconds, why = _verify_seconds(World({"db": Database(LARGE)}))
    assert seconds == _verify_seconds(World({"db": Database(0)}))[0]
    assert "not db" in why
    assert "--compare 4000" in why
    asked = World({"db": Database(LARGE)}, Options(compare=4000))
    assert compared_databases(cast("Move", asked)) == ("db",)
    assert _verify_seconds(asked)[0] >= seconds + 4000


def test_a_large_database_is_proven_by_the_end_of_its_log() -> None:
    world = World({"db": Database(SMALL), "big": Database(LARGE)})
    world.record = Record(
        HEADER, (Entry("freeze", "done", "now", "me", 1.0, {"positions": {"db": "0/1", "big": "0/2"}}),)
    )
    facts = VERIFY.do(cast("Move", world), Progress(world.emit, "verify"))
    assert facts == {"proofs": {"db": {"sha256": "same"}, "big": {"position": "0/2"}}}
    assert [each.compared for each in world.replications.values()] == [1, 0]
    assert any("big" in str(event) and "not compared" in str(event) for event in world.events)


def test_what_grew_while_it_was_staged_counts_with_the_size_that_it_has_now() -> None:
    world = World({"db": Database(SMALL)})
    planned = world.ways
    world.replications["db"].bytes = LARGE
    note_sizes(cast("Move", world))
    now = SimpleNamespace(ways=planned, record=world.record, options=Options())
    assert compared_databases(cast("Move", now)) == ()
