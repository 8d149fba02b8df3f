"""Time and memory of `validate` and `render` for 1, 100 and 1,000 workloads, on one core."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from tests.benchmarks import generate
from tests.benchmarks.measure import Runs, interleaved, run
from tests.benchmarks.page import table
from tests.benchmarks.startup import PORTABLE

SIZES = (1, 100, 1000)
TARGETS = {"validate": 1.5, "render": 3.0}  # seconds for 1,000 workloads


def measure(repetitions: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        files = {size: Path(folder, f"{size}.yaml") for size in SIZES}
        for size, file in files.items():
            file.write_text(generate.spec(size))
        commands = {
            (verb, size): [*_one_core(), PORTABLE, *arguments, file]
            for verb, arguments in (("validate", ["validate"]), ("render", ["render", "--cloud", "kind"]))
            for size, file in files.items()
        }
        taken = interleaved(
            {f"{verb} {size}": lambda c=command: run(c) for (verb, size), command in commands.items()}, repetitions
        )
        lines = {size: len(file.read_text().splitlines()) for size, file in files.items()}
    rows = [_row(verb, size, lines[size], taken) for verb in TARGETS for size in SIZES]
    return table(
        ["command", "workloads", "lines", "minimum", "median", "processor time", "peak memory", "target", "growth"],
        rows,
    )


def _one_core() -> list[str]:
    taskset = shutil.which("taskset")
    return [taskset, "--cpu-list", str(max(os.sched_getaffinity(0)))] if taskset else []


def _row(verb: str, size: int, lines: int, taken: dict[str, Runs]) -> list[str]:
    runs = taken[f"{verb} {size}"]
    largest = size == SIZES[-1]
    return [
        f"`portable {verb}`",
        f"{size:,}",
        f"{lines:,}",
        f"{runs.minimum:.2f} s",
        f"{runs.median:.2f} s",
        f"{runs.cpu:.2f} s",
        f"{runs.mib:.0f} MiB",
        f"{TARGETS[verb]:.1f} s" if largest else "",
        f"{_growth(verb, taken):.1f} x" if largest else "",
    ]


def _growth(verb: str, taken: dict[str, Runs]) -> float:
    """How much more 1,000 workloads cost than 100, start-up (one workload) taken off both: 10 is linear.

    By processor time, which other programs on the machine disturb least.
    """
    one, hundred, thousand = (taken[f"{verb} {size}"].cpu for size in SIZES)
    return (thousand - one) / (hundred - one)
