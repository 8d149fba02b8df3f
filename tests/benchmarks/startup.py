"""How long `portable --version` and `--help` take, against an empty Python."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.benchmarks.measure import Runs, interleaved, run
from tests.benchmarks.page import table

PORTABLE = Path(sys.executable).with_name("portable")
ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "examples" / "hello" / "portable.yaml"


def measure(repetitions: int) -> str:
    commands: dict[str, list[str | Path]] = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "portable --version": [PORTABLE, "--version"],
        "portable --help": [PORTABLE, "--help"],
        "portable validate (examples/hello)": [PORTABLE, "validate", HELLO],
        "portable render --cloud kind (examples/hello)": [PORTABLE, "render", "--cloud", "kind", HELLO],
    }
    taken = interleaved({name: lambda c=command: run(c) for name, command in commands.items()}, repetitions)
    base = taken["python -c pass"]
    return table(
        ["command", "minimum", "median", "processor time", "times an empty Python", "peak memory"],
        [[f"`{name}`", *_figures(runs, base)] for name, runs in taken.items()],
    )


def _figures(runs: Runs, base: Runs) -> list[str]:
    return [
        f"{runs.minimum * 1000:.0f} ms",
        f"{runs.median * 1000:.0f} ms",
        f"{runs.cpu * 1000:.0f} ms",
        f"{runs.cpu / base.cpu:.1f}",
        f"{runs.mib:.0f} MiB",
    ]
