"""The long matrices: a seeded sample of each runs with `make test`, the whole with PORTABLE_SOAK=1 (`make soak`).

What became of each case is written into docs/reliability-soak.md. A run of some cases of a file renews their rows alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TypeVar

import pytest

from tests.benchmarks import page

SOAK = bool(os.environ.get("PORTABLE_SOAK"))
T = TypeVar("T")
PAGE = Path(__file__).resolve().parent.parent / "docs" / "reliability-soak.md"
MATRICES = (
    "tests/e2e/test_crash.py",
    "tests/e2e/test_demo.py",
    "tests/e2e/test_clouds.py",
    "tests/e2e/test_cloud_pools.py",
    "tests/e2e/test_kind_provider.py",
    "tests/e2e/test_signs.py",
    "tests/e2e/test_migrate.py",
    "tests/e2e/test_migrate_databases.py",
    "tests/contract/test_delivery.py",
    "tests/contract/test_migrate.py",
    "tests/contract/aws/test_faults.py",
    "tests/contract/azure/test_faults.py",
    "tests/contract/gcp/test_faults.py",
    "tests/unit/engine/test_crash.py",
    "tests/unit/spec/test_properties.py",
)
# Each writes a table of its own, of what was measured, into docs/reliability.md.
PROOFS = (
    "tests/e2e/test_eject.py",
    "tests/e2e/test_images.py",
    "tests/e2e/test_reliability_healing.py",
    "tests/e2e/test_reliability_scaling.py",
    "tests/e2e/test_reliability_updates.py",
)


def size(sample: int, whole: int) -> int:
    return whole if SOAK else sample


def drawn(number: int, of: int) -> pytest.MarkDecorator:
    """One test `of` so many runs, another one each day; in the soak all of them."""
    return pytest.mark.skipif(
        not SOAK and number != _today() % of, reason="another of these was drawn; make soak runs all"
    )


def share(cases: Collection[T], of: int) -> tuple[T, ...]:
    """One of so many shares of the cases, another one each day; in the soak all of them."""
    return tuple(cases) if SOAK else tuple(cases)[_today() % of :: of]


def _today() -> int:
    return int(os.environ.get("PORTABLE_SEED") or date.today().toordinal())


_ROW = re.compile(r"^\| `(?P<name>.*)` \| (?P<result>\w+) \| (?P<seconds>[\d.]+) \| (?P<run>.*) \|$", re.MULTILINE)


@dataclass
class Case:
    """`run`: the day and the commit."""

    result: str = "unfinished"
    seconds: float = 0.0
    run: str = ""


@dataclass
class Report:
    """A pytest plugin that notes every case of the matrices and writes their tables when the session ends."""

    command: str
    run: str
    cases: dict[str, dict[str, Case]] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file, _, name = report.nodeid.partition("::")
        if file not in MATRICES:
            return
        case = self.cases.setdefault(file, {}).setdefault(name, Case(run=self.run))
        case.seconds += report.duration
        if report.outcome != "passed":
            case.result = report.outcome
        elif report.when == "call":
            case.result = "passed"

    def pytest_sessionfinish(self) -> None:
        for file, ran in self.cases.items():
            cases = {**_written(file), **ran} if "::" in self.command or " -k " in self.command else ran
            passed = sum(case.result == "passed" for case in cases.values())
            rows = [(f"`{name}`", case.result, f"{case.seconds:.1f}", case.run) for name, case in cases.items()]
            body = (
                f"{passed} of {len(cases)} that ran passed.\n\n{page.table(('case', 'result', 'seconds', 'run'), rows)}"
            )
            page.rewrite(file, body, command=self.command, page=PAGE)


def _written(file: str) -> dict[str, Case]:
    """case -> what the page has of it."""
    found = _ROW.finditer(page.section(file, page=PAGE))
    return {row["name"]: Case(row["result"], float(row["seconds"]), row["run"]) for row in found}
