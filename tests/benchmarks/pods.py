"""What pods take: processor time and memory of their control groups, as this machine sees them, v2 or v1."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import TypeAlias

_TOP = Path("/sys/fs/cgroup")
_PACE = 0.1


@dataclass(frozen=True)
class Taken:
    """`cpu`: of the pods, of this process and of those that it started, in seconds. `mib`: peak of what the pods held in memory, file
    cache aside."""

    seconds: float
    cpu: float
    mib: float


# (processor time, memory) of each pod
Groups: TypeAlias = Sequence[tuple[Path, Path]]


def groups(uids: Sequence[str]) -> Groups:
    one = (_TOP / "cgroup.controllers").exists()
    processor, memory = (_TOP, _TOP) if one else (_TOP / "cpuacct", _TOP / "memory")
    found = list(zip(_slices(processor, uids), _slices(memory, uids), strict=True))
    if not found:
        raise RuntimeError(f"no control group of the pods {', '.join(uids)} on this machine")
    return found


def _slices(top: Path, uids: Sequence[str]) -> list[Path]:
    """Not by glob, which fails on groups of others that go meanwhile."""
    ends = tuple(f"pod{uid.replace('-', '_')}.slice" for uid in uids)
    return sorted(Path(folder) / name for folder, names, _ in os.walk(top) for name in names if name.endswith(ends))


@contextmanager
def measured(groups: Groups) -> Iterator[list[Taken]]:
    """The one figure is there when the block has ended."""
    over, peak = threading.Event(), [0.0]

    def sample() -> None:
        while not over.wait(_PACE):
            peak[0] = max(peak[0], sum(_anonymous(group) for _, group in groups) / 2**20)

    sampling = threading.Thread(target=sample, daemon=True)
    figures: list[Taken] = []
    before, began = _cpu(groups), time.monotonic()
    sampling.start()
    try:
        yield figures
        figures.append(Taken(time.monotonic() - began, _cpu(groups) - before, 0.0))
    finally:
        over.set()
        sampling.join()
    figures[0] = Taken(figures[0].seconds, figures[0].cpu, peak[0])


def _cpu(groups: Groups) -> float:
    usages = (getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN))
    return sum(_processor(group) for group, _ in groups) + sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _processor(group: Path) -> float:
    if (group / "cpu.stat").exists() and "usage_usec" in (text := (group / "cpu.stat").read_text()):
        return float(text.split()[1]) / 1e6
    return float((group / "cpuacct.usage").read_text()) / 1e9


def _anonymous(group: Path) -> float:
    """Memory that is no file cache, in bytes; 0 where the pod has gone."""
    try:
        lines = (line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:
        return 0.0
    return max(float(value) for key, value in lines if key in ("anon", "total_rss"))
