"""One operation at a time on a stack, and no dead one in its way."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from portable.engine.workspace import Workspace
from portable.errors import StateLocked

# How long an engine whose `portable` was killed may take to notice and end: it then fails to reach us and stops.
ORPHAN_SECONDS = 30.0


@contextmanager
def held(
    workspace: Workspace, stack: str, mark: Path, *, patience: float = 0.0, waiting: Callable[[], None] | None = None
) -> Iterator[None]:
    """Holds the stack on this machine (the system frees it with the process), then ends an orphaned engine (see
    `end_orphan`) and clears what a dead one left locked. For up to `patience` seconds it waits for another process of this
    machine, and calls `waiting` when it begins to.

    Raises StateLocked when another process works on it, here or, by Pulumi's own lock files, on another machine.
    """
    from filelock import FileLock, Timeout  # a tenth of a second, which an `up` without changes does not pay

    guard = FileLock(workspace.folder / f".{stack}.lock")
    try:
        try:
            guard.acquire(timeout=0)
        except Timeout:
            if waiting is not None:
                waiting()
            guard.acquire(timeout=patience)
    except Timeout:
        raise StateLocked(
            f"another portable process on this machine works on {stack}", fix="wait until it has ended, then try again"
        ) from None
    try:
        end_orphan(mark)
        folder = workspace.lock_folder(stack)
        if folder is not None:
            clear_stale(folder)
        yield
    finally:
        guard.release()


def clear_stale(folder: Path, *, patience: float = ORPHAN_SECONDS) -> None:
    """Removes Pulumi's lock files of this host whose process is gone; waits for one that is ending.

    Raises StateLocked for a lock of another host, or of a live process of this one.
    """
    # every file there counts as a lock for Pulumi, also the half-written one that a kill leaves behind
    for path in sorted(folder.glob("*")):
        deadline = time.monotonic() + patience
        while (owner := _owner(path)) is not None:
            pid, host, who = owner
            if host == socket.gethostname() and not _runs(pid):
                path.unlink(missing_ok=True)
                break
            if host != socket.gethostname() or time.monotonic() >= deadline:
                raise StateLocked(
                    f"the state is locked by {who}@{host} (process {pid})",
                    fix=f"wait until it has ended; if it is certain that it no longer runs, delete {path}",
                )
            time.sleep(0.2)


def end_orphan(mark: Path, *, patience: float = ORPHAN_SECONDS) -> None:
    """Waits for the engine that `mark` names, whose `portable` is gone; ends it if it does not end by itself.

    Only for a caller that holds the stack: then nobody waits for that engine any more. It is told from another program with
    a reused id by its start time; where the system does not say (no /proc), Pulumi's lock file has to do.
    """
    try:
        pid, start = mark.read_text().split()
    except (OSError, ValueError):
        return
    deadline = time.monotonic() + patience
    while started_at(int(pid)) == start:
        if time.monotonic() >= deadline:
            os.kill(int(pid), signal.SIGKILL)
            deadline += patience
        time.sleep(0.1)


def write_mark(mark: Path, pid: int) -> None:
    """Says which engine works on the stack, for `end_orphan`."""
    mark.write_text(f"{pid} {started_at(pid)}")


def started_at(pid: int) -> str:
    """When the process began, in the kernel's ticks; empty where there is no such process (or only its remains)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _owner(path: Path) -> tuple[int, str, str] | None:
    """(process, host, user) of a lock file; None when it is gone. A file cut short by a crash counts as a dead process'."""
    try:
        content = json.loads(path.read_text())
        return int(content["pid"]), str(content["hostname"]), str(content["username"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):
        return 0, socket.gethostname(), "?"


def _runs(pid: int) -> bool:
    """Whether `pid` is a running engine. Where the system says names, another program with a reused id is not taken for it."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return not Path("/proc/self").exists()
    return name == "pulumi" and started_at(pid) != ""
