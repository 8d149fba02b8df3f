"""What goes on beside a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeating(work: Callable[[], object], *, every: float) -> Iterator[None]:
    """Does `work` in a thread, with a pause of `every` seconds before each time, for as long as the block runs."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(every):
            work()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)
