"""Where obtained tools live: one folder per tool and version, filled by an atomic rename, so that nothing in it is half done."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from portable.errors import ToolError
from portable.events import Emit, Step


def root() -> Path:
    """The cache folder, created if needed: `$PORTABLE_CACHE`, else the platform's cache folder for `portable`.

    Raises ToolError where it cannot be made.
    """
    chosen = os.environ.get("PORTABLE_CACHE")
    path = Path(chosen) if chosen else platformdirs.user_cache_path("portable")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolError(
            f"the tool cache {path} cannot be used: {error.strerror}",
            fix="set PORTABLE_CACHE to a folder that can be written",
        ) from error
    return path.absolute()


@contextmanager
def lock(name: str, emit: Emit) -> Iterator[None]:
    """Holds the cache's lock called `name`. A second process waits for the first (and says so); a dead one's lock is free."""
    held = FileLock(root() / f".{name}.lock")
    try:
        held.acquire(timeout=0)
    except Timeout:
        emit(Step(name, "progress", detail="waiting for another portable process that is making it"))
        held.acquire()
    try:
        yield
    finally:
        held.release()


@contextmanager
def filling(target: Path) -> Iterator[Path]:
    """A fresh folder beside `target` that becomes `target` when the block ends without an error, and goes when it fails.

    Call it under the `lock` of what is made: an earlier `target` is replaced, and leftovers of a killed run are removed.
    """
    prefix = f".{target.name}."
    target.parent.mkdir(parents=True, exist_ok=True)
    for leftover in target.parent.glob(prefix + "*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
