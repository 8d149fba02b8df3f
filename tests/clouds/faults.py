"""One call goes wrong, at any point of `up` or `destroy`: afterwards there is one cluster, or nothing, and nothing twice.

    counted = survey(front, new_stack, resources)                    # a run without a fault: which calls there are, what it leaves
    for case in cases(counted):                                      # a seeded sample; every one with PORTABLE_SOAK=1
        row = run_case(fresh front, ..., resources, case.call, case.nth, case.fault, phase=case.phase, cloud="aws")
        assert row.good, row.result

Each case wants a stand-in of its own. `new_stack` makes a driver with fresh clients over the same state file.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from portable.errors import PortableError
from portable.provider import ClusterResource
from portable.testing import Stack
from tests.clouds.front import Fault, Front

Phase = Literal["up", "destroy"]
NewStack = Callable[[], Stack]

SOAK = bool(os.environ.get("PORTABLE_SOAK"))
SAMPLE = 12
MOST_RUNS = 4
_KILLED = "killed"


@dataclass(frozen=True)
class Survey:
    """What a run without faults did: how often each call was made in each phase, and how many of each kind there were after `up`."""

    calls: Mapping[Phase, Counter[str]]
    census: Counter[str]


@dataclass(frozen=True)
class Case:
    phase: Phase
    call: str
    nth: int
    fault: Fault

    def __str__(self) -> str:
        return f"{self.phase}-{self.call}-{self.nth}-{self.fault.value}"


@dataclass(frozen=True)
class Row:
    """`happened`: what the first run said (empty: it noticed nothing). `runs`: of the command, until it went through."""

    cloud: str
    phase: Phase
    call: str
    fault: str
    happened: str
    runs: int
    result: str
    good: bool = field(default=True)


def survey(front: Front, new_stack: NewStack, resources: Sequence[ClusterResource]) -> Survey:
    new_stack().up(resources)
    up, census = Counter(front.calls), _census(front)
    front.calls.clear()
    new_stack().destroy()
    assert not front.service.leftovers(), f"even without a fault something stays: {front.service.leftovers()}"
    return Survey({"up": up, "destroy": Counter(front.calls)}, census)


def cases(counted: Survey, *, seed: int | None = None) -> list[Case]:
    """Every distinct call with every fault, at its first and (where there is another) its last time; or a sample of them.

    The seed is that of PORTABLE_SEED, or of today's luck; it is printed.
    """
    every = [
        Case(phase, call, nth, fault)
        for phase, calls in counted.calls.items()
        for call, times in sorted(calls.items())
        for nth in sorted({1, times})
        for fault in Fault
    ]
    if SOAK:
        return every
    seed = seed if seed is not None else int(os.environ.get("PORTABLE_SEED", random.randrange(10**6)))
    print(f"faults: {SAMPLE} of {len(every)} cases, PORTABLE_SEED={seed}")
    return random.Random(seed).sample(every, min(SAMPLE, len(every)))


def rows_of(chosen: Sequence[Case], row: Callable[[Case], Row]) -> list[Row]:
    """One case after another; in the soak on every core. `row` is then handed to processes, by its module and name."""
    if not SOAK:
        return [row(case) for case in chosen]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("fork")) as workers:
        return list(workers.map(row, chosen, chunksize=4))


def run_case(
    front: Front,
    new_stack: NewStack,
    resources: Sequence[ClusterResource],
    call: str,
    nth: int,
    fault: Fault,
    *,
    phase: Phase = "up",
    cloud: str = "",
    census: Counter[str] | None = None,
) -> Row:
    """Plans the fault, runs the phase until it goes through, then looks at what is there, then destroys and looks again."""
    if phase == "destroy":
        new_stack().up(resources)
        front.calls.clear()
    front.expect(call, fault, nth=nth)
    happened, runs = "", 0

    def operate() -> None:
        _operate(phase, new_stack, resources)

    try:
        happened, runs = _until_through(front, operate, in_child=fault is Fault.KILL)
        result = (
            _judge(front, new_stack, resources, phase, census or _census(front)) if runs else "it never went through"
        )
    except Exception as error:  # noqa: BLE001 (a crash is what this case has found; the others are still to be looked at)
        result = f"{type(error).__name__}: {error}"
    return Row(cloud, phase, f"{call} #{nth}", fault.value, happened, runs, result or "as it should be", not result)


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    head = "| cloud | phase | call | fault | what the first run said | runs | result |\n|---|---|---|---|---|---|---|\n"
    lines = [
        f"| {row.cloud} | {row.phase} | {row.call} | {row.fault} | {_cell(row.happened)} | {row.runs} | {_cell(row.result)} |\n"
        for row in sorted(rows, key=lambda row: (row.phase != "up", row.call, row.fault))
    ]
    return head + "".join(lines)


def write_table(cloud: str, rows: Sequence[Row], folder: Path = Path(__file__).parent) -> Path:
    """The full matrix of a cloud, committed beside its stand-in; a sample is not written."""
    path = folder / cloud / "faults.md"
    if SOAK:
        good = sum(row.good for row in rows)
        path.write_text(f"# Faults at every call: {cloud}\n\n{good} of {len(rows)} as they should be.\n\n{table(rows)}")
    return path


def _until_through(front: Front, operation: Callable[[], None], *, in_child: bool) -> tuple[str, int]:
    """(what the first run said, how many runs it took; 0: it never went through)."""
    happened = ""
    for run in range(1, MOST_RUNS + 1):
        words = _in_child(front, operation) if in_child and run == 1 else _attempt(operation)
        if not words:
            return happened, run
        happened = happened or words
        front.renew()
    return happened, 0


def _attempt(operation: Callable[[], None]) -> str:
    """What went wrong, in the error's own words. Anything but a PortableError is a crash, and no result."""
    try:
        operation()
    except PortableError as error:
        return error.message
    return ""


def _in_child(front: Front, operation: Callable[[], None]) -> str:
    """The operation in a process of its own, which the front kills."""
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(ready, 1)
        failed = True
        try:
            operation()
            failed = False
        finally:
            os._exit(failed)
    front.victim = child
    os.write(go, b"!")
    watchdog = threading.Timer(120, os.kill, (child, 9))
    watchdog.start()
    _, status = os.waitpid(child, 0)
    watchdog.cancel()
    os.close(ready)
    os.close(go)
    if os.WIFSIGNALED(status):
        return _KILLED
    return "" if os.WEXITSTATUS(status) == 0 else "failed in the child"


def _operate(phase: Phase, new_stack: NewStack, resources: Sequence[ClusterResource]) -> None:
    if phase == "up":
        new_stack().up(resources)
    else:
        new_stack().destroy()


def _judge(
    front: Front, new_stack: NewStack, resources: Sequence[ClusterResource], phase: Phase, census: Counter[str]
) -> str:
    """What is wrong with where it ended; empty: nothing."""
    if front.unused:
        return f"the fault was never met: {front.unused}"
    if phase == "up":
        if _census(front) != census:
            return f"not what a run without the fault leaves: {_difference(_census(front), census)}"
        if changed := new_stack().up(resources):
            return f"another `up` still changed: {changed}"
        new_stack().destroy()
    if left := front.service.leftovers():
        return f"left over: {left}"
    return ""


def _census(front: Front) -> Counter[str]:
    """How many of each kind there are: a leftover's first word is its kind."""
    return Counter(words.split()[0] for words in front.service.leftovers())


def _difference(there: Counter[str], wanted: Counter[str]) -> str:
    return f"too many: {dict(there - wanted)}, too few: {dict(wanted - there)}"


def _cell(words: str) -> str:
    return words.replace("|", "/").replace("\n", " ")
