"""Runs commands and measures them from outside: wall-clock seconds and peak memory of the whole process."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Run:
    """One run of a command: wall-clock seconds, seconds of processor time (its children's included), peak memory in MiB."""

    seconds: float
    cpu: float
    mib: float


@dataclass(frozen=True)
class Runs:
    """Several runs of one command. The minimum is what the work costs, the median what a busy machine makes of it."""

    runs: tuple[Run, ...]

    @property
    def minimum(self) -> float:
        return min(run.seconds for run in self.runs)

    @property
    def median(self) -> float:
        return median(run.seconds for run in self.runs)

    @property
    def cpu(self) -> float:
        return min(run.cpu for run in self.runs)

    @property
    def mib(self) -> float:
        return max(run.mib for run in self.runs)


def environment() -> dict[str, str]:
    """Ours, with bytecode cached as on a user's machine and no colour."""
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "NO_COLOR": "1"}


def run(
    command: Sequence[str | Path], *, folder: Path | None = None, variables: Mapping[str, str] | None = None
) -> Run:
    """Runs `command` to its end. Raises RuntimeError with its last words if it fails.

    Peak memory is wait4's ru_maxrss, which cannot be less than that of the process that starts it (about 20 MiB).
    """
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**environment(), **(variables or {})},
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            words = output.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{words}")
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def interleaved(contenders: Mapping[str, Callable[[], Run]], repetitions: int) -> dict[str, Runs]:
    """Each contender once per round, so that a slow minute of the machine is shared by all; one round first to warm up."""
    for contender in contenders.values():
        contender()
    taken: dict[str, list[Run]] = {name: [] for name in contenders}
    for _ in range(repetitions):
        for name, contender in contenders.items():
            taken[name].append(contender())
    return {name: Runs(tuple(runs)) for name, runs in taken.items()}
