"""Named steps of a flow, announced as events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from portable.events import Emit, Step


@dataclass
class Progress:
    """Handed to a step's body: `note` says what is going on now, `skip` that nothing had to be done and why."""

    emit: Emit
    name: str
    skipped: str | None = None

    def note(self, detail: str) -> None:
        self.emit(Step(self.name, "progress", detail=detail))

    def skip(self, reason: str) -> None:
        self.skipped = reason


@contextmanager
def step(emit: Emit, name: str, title: str, *, usual: float | None = None) -> Iterator[Progress]:
    """Emits started, then done, skipped or failed with the seconds it took. Errors pass through."""
    started = time.monotonic()
    emit(Step(name, "started", title, usual=usual))
    progress = Progress(emit, name)
    try:
        yield progress
    except BaseException:
        emit(Step(name, "failed", title, seconds=time.monotonic() - started))
        raise
    status = "done" if progress.skipped is None else "skipped"
    emit(Step(name, status, title, detail=progress.skipped or "", seconds=time.monotonic() - started))
