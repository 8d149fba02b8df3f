"""A migration, told: its plan, its end, and what was promised beside what was kept."""

from __future__ import annotations

import io

import pytest

from portable.migrate.databases import Way
from portable.migrate.flow import MigrateResult, MigrationStatus
from portable.migrate.inventory import Inventory, VolumeItem
from portable.migrate.journal import COMMIT, CUT_OVER, End, Entry, Header, Record
from portable.migrate.plan import Kept, MigrationPlan, Part, Promise, kept
from portable.terminal.console import console
from portable.terminal.migration import print_migration_plan, print_result, print_status, size

pytestmark = pytest.mark.unit

ONE, TWO = End("aws", "shop"), End("gcp", "shop")
HEADER = Header("ab12", "shop", "prod", ONE, TWO, False, "2026-01-01T00:00:00Z", "ann@here, process 7")
PROMISE = Promise(70.0, (Part("stop", 40.0, "its pods may take 35 s to stop"), Part("final delta", 30.0, "measured")))
INVENTORY = Inventory(
    workloads={"web": 2},
    volumes=(VolumeItem("files", "web", 1 << 30, "fast", "copy", 12, 5 << 20),),
    databases=(Way("db", "postgres", "replication", "followed by a standby"),),
    secrets=("token",),
    routes=("shop.example.com",),
    images=("shop:1",),
)


def shown(print_it: object, *what: object) -> str:
    stream = io.StringIO()
    print_it(console(stream, color=False), *what)  # type: ignore[operator]
    return stream.getvalue()


def plan(**more: object) -> MigrationPlan:
    fields: dict[str, object] = {
        "inventory": INVENTORY,
        "promise": PROMISE,
        "path": ("direct", 110e6),
        "stateless": False,
    }
    return MigrationPlan("shop", "prod", ONE, TWO, **(fields | more))  # type: ignore[arg-type]


def test_a_plan_says_what_moves_how_and_how_long_it_stands_still() -> None:
    said = shown(print_migration_plan, plan())
    for words in (
        "shop (prod): aws/shop",
        "web (2)",
        "5.0 MiB in 12 files, of 1.0 GiB; storage class fast",
        "postgres, by replication: followed by a standby",
        "Data goes direct, at 105 MiB/s as measured",
        "Downtime: at most 1m 10s",
        "its pods may take 35 s to stop",
    ):
        assert words in said, words


def test_what_cannot_move_is_said_instead_of_a_downtime() -> None:
    refused = Inventory({}, (), (), (), (), (), refusals=("workloads.web.identity: it is of another cloud",))
    said = shown(print_migration_plan, plan(inventory=refused))
    assert "Cannot move" in said
    assert "workloads.web.identity" in said
    assert "Downtime" not in said


def test_an_app_that_keeps_nothing_has_no_downtime() -> None:
    assert "Downtime: none" in shown(print_migration_plan, plan(stateless=True, promise=Promise(0.0, ())))


def test_the_result_holds_the_promise_beside_what_was_kept() -> None:
    took = Kept(18.2, {"stop": 6.7, "final delta": 0.3}, 90.0)
    change = ("line 3 of portable.yaml: `environments.prod.cloud: gcp` in place of `aws`",)
    said = shown(
        print_result, MigrateResult("ab12", "committed", TWO, PROMISE, took, change, ("www.example.com A 192.0.2.7",))
    )
    rows = [line.split() for line in said.splitlines()]
    assert ["stop", "40s", "6.7s"] in rows
    assert ["downtime", "1m", "10s", "18s"] in rows
    assert change[0] in said
    assert "www.example.com A 192.0.2.7" in said
    assert "portable migrate rollback" in said


def test_a_status_tells_each_step_and_who_is_at_work() -> None:
    entries = (
        Entry("seed", "begun", "2026-01-01T00:00:01Z", "ann", None),
        Entry("seed", "failed", "2026-01-01T00:00:02Z", "ann", None, {"error": "the disk is full"}),
        Entry("seed", "begun", "2026-01-01T00:00:03Z", "ann", None),
    )
    record = Record(HEADER, entries)
    said = shown(print_status, MigrationStatus(record, record.phase, "ann@here, process 7", None, kept(record)))
    assert "ann@here, process 7 works on it" in said
    assert "the disk is full" in said
    assert said.rstrip().endswith("begun"), "what is under way stands last"


def test_a_downtime_lasts_from_the_stop_to_the_first_answer() -> None:
    def entry(step: str, what: str, seconds: float | None = None, **facts: object) -> Entry:
        return Entry(step, what, "2026-01-01T00:00:00Z", "ann", seconds, facts)  # type: ignore[arg-type]

    entries = (
        entry("freeze", "note", stopped_at=1000.0),
        entry("freeze", "done", 6.0),
        entry("promote", "done", 2.0),
        entry("start", "done", 8.0, ready_at=1020.0),
        entry(CUT_OVER, "note", serving_at=1025.5),
        entry(CUT_OVER, "done", 9.0),
        entry(COMMIT, "done", 0.1),
    )
    found = kept(Record(HEADER, entries))
    assert found.downtime == 25.5
    assert found.parts["start"] == 10.0
    assert kept(Record(HEADER, entries[:4])).downtime == 20.0, "an app without routes serves once it is ready"


@pytest.mark.parametrize(("amount", "words"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")])
def test_sizes(amount: int, words: str) -> None:
    assert size(amount) == words
