"""Waiting for what a cloud does in its own time."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from portable.errors import ProviderError
from portable.events import Emit, Step

Found = TypeVar("Found")

# A person wants to see that something goes on; a log should not fill up.
TOLD_EVERY = 30.0


@dataclass(frozen=True)
class Pending:
    """Not yet. `detail` is how far it is, in the cloud's own words ("CREATING", "2 of 3 nodes")."""

    detail: str = ""


def poll(
    check: Callable[[], Found | Pending],
    *,
    what: str,
    timeout: float,
    emit: Emit,
    usual: str = "",
    step: str = "cluster",
    interval: float = 10.0,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Asks `check` until it returns something else than `Pending`; about every `interval` seconds (jittered by a fifth).

    `what` is being waited for ("cluster shop"), `usual` how long that tends to take ("9-12 min"); `step` is the flow's. What `check` raises comes
    out: a terminal failure is its to recognise. Raises ProviderError after `timeout` seconds.
    """
    started = clock()
    told, told_at = "", started - TOLD_EVERY
    while True:
        found = check()
        if not isinstance(found, Pending):
            return found
        now = clock()
        if now - started >= timeout:
            raise ProviderError(
                f"{what} is not done after {elapsed(now - started)}",
                detail=f"it says: {found.detail}" if found.detail else "",
                fix="it may still be under way: run the same command again, which goes on waiting for it",
            )
        if found.detail != told or now - told_at >= TOLD_EVERY:
            told, told_at = found.detail, now
            emit(Step(step, "progress", detail=_progress(what, found.detail, now - started, usual)))
        sleep(pace(interval) * random.uniform(0.8, 1.2))


def pace(seconds: float) -> float:
    """`seconds` between two questions, or fewer where PORTABLE_POLL_SECONDS says so: for what is quicker than a real cloud."""
    return min(seconds, float(os.environ.get("PORTABLE_POLL_SECONDS") or seconds))


def elapsed(seconds: float) -> str:
    """ "40 s", "3 min 20 s", "1 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _progress(what: str, detail: str, seconds: float, usual: str) -> str:
    words = f"{what}: {detail}" if detail else what
    words += f", {elapsed(seconds)}" if seconds >= 1 else ""
    return words + (f" (usually {usual})" if usual else "")
