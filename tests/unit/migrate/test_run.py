"""Steps and their journal: what is done, done again and taken back, with steps that are plain functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from portable.errors import ClusterError, PortableError
from portable.events import Event
from portable.migrate import replicas
from portable.migrate.journal import End, Entry, Header, Record
from portable.migrate.lease import Lost
from portable.migrate.move import Move
from portable.migrate.run import run, undo
from portable.migrate.steps import STATEFUL, STATELESS, prepare, start
from portable.migrate.steps.step import Facts, MigrationStep
from portable.steps import Progress

pytestmark = pytest.mark.unit

HEADER = Header("ab12", "shop", None, End("one", "a"), End("two", "b"), False, "2026-01-01", "me")


@dataclass
class Paper:
    """A journal in memory, as far as the runner sees of a Move."""

    record: Record = field(default_factory=lambda: Record(HEADER, ()))
    events: list[Event] = field(default_factory=list)
    lost: bool = False

    @property
    def emit(self) -> Any:
        return self.events.append

    def write(self, step: str, what: Any, facts: Mapping[str, Any] | None = None, seconds: float | None = None) -> None:
        if self.lost:
            raise Lost("lost")
        self.record = Record(HEADER, (*self.record.entries, Entry(step, what, "now", "me", seconds, facts or {})))

    def whose_server(self, words: str) -> str:
        return "it is the source's: one/a" if "cannot be" in words else ""

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(entry.step, entry.what) for entry in self.record.entries]


def move(paper: Paper) -> Move:
    return cast("Move", paper)


@dataclass
class Work:
    """A step that counts how often it was done and undone."""

    name: str
    holds: bool = True
    fails: bool = False
    done: int = 0
    undone: int = 0

    def step(self, **more: Any) -> MigrationStep:
        def do(_move: Move, _progress: Progress) -> Facts:
            self.done += 1
            if self.fails:
                raise ClusterError(f"{self.name} cannot be")
            return {"times": self.done}

        def back(_move: Move, _progress: Progress) -> None:
            self.undone += 1

        return MigrationStep(
            self.name, self.name, do, check=lambda _: "" if self.holds else "it vanished", undo=back, **more
        )


def test_steps_are_done_in_order_and_once() -> None:
    paper, works = Paper(), [Work("one"), Work("two")]
    steps = [each.step() for each in works]
    run(move(paper), steps)
    assert paper.said == [("one", "begun"), ("one", "done"), ("two", "begun"), ("two", "done")]
    run(move(paper), steps)
    assert [each.done for each in works] == [1, 1]
    assert paper.record.facts("two") == {"times": 1}


def test_what_does_not_hold_any_more_is_done_again() -> None:
    paper, work = Paper(), Work("one")
    run(move(paper), [work.step()])
    work.holds = False
    with pytest.raises(ClusterError, match="it vanished"):
        run(move(paper), [work.step()])
    assert work.done == 2, "what was done was checked; and what was done again too"


def test_a_killed_step_is_done_again() -> None:
    paper, work = Paper(), Work("one")
    paper.write("one", "begun")
    run(move(paper), [work.step()])
    assert work.done == 1


def test_a_repeating_step_is_done_by_every_run() -> None:
    paper, work = Paper(), Work("seed")
    for _ in range(3):
        run(move(paper), [work.step(repeats=True)])
    assert work.done == 3


def test_a_failure_is_in_the_journal_and_ends_it() -> None:
    paper, works = Paper(), [Work("one", fails=True), Work("two")]
    with pytest.raises(ClusterError, match="one cannot be") as raised:
        run(move(paper), [each.step() for each in works])
    assert "`portable migrate resume`" in raised.value.fix
    assert raised.value.detail == "it is the source's: one/a"
    assert paper.said == [("one", "begun"), ("one", "failed")]
    assert paper.record.facts("one") == {"error": "one cannot be"}


@pytest.mark.parametrize("step", [prepare.ASLEEP, start.START], ids=lambda step: step.name)
def test_a_spec_that_has_changed_is_put_there_anew(step: MigrationStep, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by the check that follows at once: the journal has the older one's digest until the step has ended."""
    applied: list[str] = []
    paper, objects = Paper(), SimpleNamespace(digest="one")
    there: Any = paper
    there.target_side = there.source_side = SimpleNamespace(objects=objects, kube=None, namespace="shop")
    there.target, there.source_may_change, there.request_for = None, True, lambda _target: None
    there.apply_to_target = lambda found: applied.append(found.digest)
    there.note = lambda step, **facts: paper.write(step, "note", facts)
    for name in ("ensure_certificates", "request_certificates", "bind_identities"):
        monkeypatch.setattr(prepare, name, lambda *_: None)
    monkeypatch.setattr(prepare, "asleep", lambda found: found)
    monkeypatch.setattr(prepare, "live_claims", lambda _side: [])
    monkeypatch.setattr(prepare, "differing", lambda _move: "")
    monkeypatch.setattr(replicas, "release", lambda _kube, _namespace: None)

    def up(*_: Any, **_options: Any) -> Any:
        applied.append(objects.digest)
        return SimpleNamespace(revision=1, seconds=1.0)

    monkeypatch.setattr("portable.up.up", up)
    for digest in ("one", "one", "two"):
        objects.digest = digest
        run(move(paper), [step])
    assert applied == ["one", "two"]


def test_without_its_lease_a_run_does_nothing() -> None:
    paper, work = Paper(lost=True), Work("one")
    with pytest.raises(Lost):
        run(move(paper), [work.step()])
    assert work.done == 0


def test_what_has_begun_is_taken_back_last_first() -> None:
    paper = Paper()
    works = [Work("one"), Work("two", fails=True), Work("three")]
    steps = [each.step() for each in works]
    with pytest.raises(PortableError):
        run(move(paper), steps)
    undo(move(paper), steps)
    assert [each.undone for each in works] == [1, 1, 0], "half of a step is taken back too, what never began is not"
    assert paper.said[-2:] == [("two", "undone"), ("one", "undone")]
    undo(move(paper), steps)
    assert [each.undone for each in works] == [1, 1, 0]


def test_a_step_that_this_migration_does_not_have_is_left_out() -> None:
    paper, work = Paper(), Work("one")
    run(move(paper), [work.step(when=lambda _: False)])
    assert paper.said == []


@pytest.mark.parametrize("steps", [STATEFUL, STATELESS], ids=["stateful", "stateless"])
def test_the_orders_that_nothing_may_change(steps: tuple[MigrationStep, ...]) -> None:
    names = [each.name for each in steps]
    assert len(set(names)) == len(names)
    if steps is STATEFUL:
        order = ["seed", "freeze", "final", "verify", "promote", "start", "smoke", "cut-over", "watch", "commit"]
    else:
        # what forwards has to know the target's load balancer, which is made by starting the app there
        order = ["start", "forwarder", "smoke", "share", "cut-over", "freeze", "watch", "commit"]
    assert [name for name in names if name in order] == order
    stops = {each.name for each in steps if each.name in ("freeze", "start", "cut-over")}
    assert {each.name for each in steps if each.undo is not None} >= stops, "there is a way back from each"
