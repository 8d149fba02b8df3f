"""The user's terminal handed to a command elsewhere: every key as it is typed, and word of each change of its size."""

from __future__ import annotations

import os
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def raw(resized: Callable[[int, int], None]) -> Iterator[None]:
    """Raw mode on standard input until the block ends, however it ends. `resized` (columns, rows) is called at once and on
    each change."""

    def tell(*_: object) -> None:
        size = os.get_terminal_size(sys.stdin.fileno())
        resized(size.columns, size.lines)

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    handler = signal.signal(signal.SIGWINCH, tell)
    try:
        tty.setraw(descriptor)
        tell()
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)
