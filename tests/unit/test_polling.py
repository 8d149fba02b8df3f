"""Waiting for a cloud: bounded, jittered, told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from portable.errors import ProviderError
from portable.events import Event, Step
from portable.polling import Pending, elapsed, poll

pytestmark = pytest.mark.unit


class Clock:
    """Time that passes only where it is slept."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def _waiting(answers: list[Any]) -> tuple[Clock, list[Event], Callable[[], Any]]:
    clock, events = Clock(), []
    left = iter(answers)

    def run() -> Any:
        return poll(
            lambda: next(left), what="cluster shop", usual="9-12 min", timeout=120, emit=events.append, interval=10,
            sleep=clock.sleep, clock=clock,
        )  # fmt: skip

    return clock, events, run


def test_the_answer_comes_out_at_once() -> None:
    clock, events, run = _waiting(["ready"])
    assert run() == "ready"
    assert (clock.slept, events) == ([], [])


def test_asks_again_with_jitter_and_tells_what_changes() -> None:
    clock, events, run = _waiting([Pending("CREATING")] * 3 + [Pending("STARTING"), {"status": "ACTIVE"}])
    assert run() == {"status": "ACTIVE"}
    assert len(clock.slept) == 4
    assert all(8 <= seconds <= 12 for seconds in clock.slept)
    assert len(set(clock.slept)) > 1
    told = [event.detail for event in events if isinstance(event, Step)]
    assert told[0] == "cluster shop: CREATING (usually 9-12 min)"
    assert told[-1].startswith("cluster shop: STARTING, ")
    assert len(told) == 2, "the same is not said again within half a minute"


def test_what_goes_on_for_long_is_said_again() -> None:
    _clock, events, run = _waiting([Pending("CREATING")] * 9 + ["ready"])
    run()
    assert 2 <= len(events) <= 4


def test_gives_up_with_the_last_word_and_what_to_do() -> None:
    clock, _events, run = _waiting([Pending("CREATING")] * 100)
    with pytest.raises(ProviderError, match="cluster shop is not done after 2 min") as failure:
        run()
    assert failure.value.detail == "it says: CREATING"
    assert "run the same command again" in failure.value.fix
    assert 120 <= clock.now - 100 < 135


def test_a_terminal_failure_ends_it() -> None:
    def check() -> str | Pending:
        raise ProviderError("no capacity")

    with pytest.raises(ProviderError, match="no capacity"):
        poll(check, what="it", timeout=1, emit=lambda _event: None)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min"), (200, "3 min 20 s"), (3600, "1 h"), (3900, "1 h 5 min")],
)
def test_times_read_well(seconds: float, words: str) -> None:
    assert elapsed(seconds) == words
