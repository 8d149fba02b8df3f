"""Programs that run while portable tells what they say."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def lines_of(process: subprocess.Popen[str], stream: IO[str] | None) -> Iterator[IO[str]]:
    """The lines of one of its pipes. The process has ended with the block: by itself, or asked to where the block is interrupted."""
    assert stream is not None, "it is to be a pipe"
    try:
        yield stream
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()
