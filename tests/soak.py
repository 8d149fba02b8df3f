"""The long matrices: a seeded sample of each runs with `make test`, the whole with PORTABLE_SOAK=1 (`make soak`).

A whole run writes what became of each case into docs/reliability-soak.md.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from tests.benchmarks import page

SOAK = bool(os.environ.get("PORTABLE_SOAK"))
PAGE = Path(__file__).resolve().parent.parent / "docs" / "reliability-soak.md"
MATRICES = (
    "tests/e2e/test_crash.py",
    "tests/e2e/test_demo.py",
    "tests/e2e/test_clouds.py",
    "tests/e2e/test_migrate.py",
    "tests/e2e/test_migrate_databases.py",
    "tests/contract/test_delivery.py",
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
    today = int(os.environ.get("PORTABLE_SEED") or date.today().toordinal()) % of
    return pytest.mark.skipif(not SOAK and number != today, reason="another of these was drawn; make soak runs all")


@dataclass
class Case:
    result: str = "passed"
    seconds: float = 0.0


@dataclass
class Report:
    """A pytest plugin that notes every case of the matrices and writes their tables when the session ends."""

    command: str
    cases: dict[str, dict[str, Case]] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file, _, name = report.nodeid.partition("::")
        if file not in MATRICES:
            return
        case = self.cases.setdefault(file, {}).setdefault(name, Case())
        case.seconds += report.duration
        if report.outcome != "passed":
            case.result = report.outcome

    def pytest_sessionfinish(self) -> None:
        for file, cases in self.cases.items():
            passed = sum(case.result == "passed" for case in cases.values())
            rows = [(f"`{name}`", case.result, f"{case.seconds:.1f}") for name, case in cases.items()]
            body = f"{passed} of {len(cases)} passed.\n\n{page.table(('case', 'result', 'seconds'), rows)}"
            page.rewrite(file, body, command=self.command, page=PAGE)
