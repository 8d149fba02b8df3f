"""One call goes wrong, at any point: afterwards there is one cluster, or nothing. The whole matrix with PORTABLE_SOAK=1."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clouds import faults
from tests.clouds.azure import schema
from tests.clouds.azure.service import AzureService
from tests.clouds.azure.world import serving
from tests.contract.azure.conftest import STANDARD, Bench

pytestmark = pytest.mark.contract


@contextmanager
def a_bench(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    folder.mkdir()
    with serving(AzureService(slow=1)) as world, monkeypatch.context() as patch:
        for name, value in world.environment.items():
            patch.setenv(name, value)
        yield Bench(world, folder / "state.json")


@pytest.mark.skipif(not schema.FILE.exists(), reason=f"Microsoft's ARM schema is not there: {schema.FILE}")
@pytest.mark.timeout(3600 if faults.SOAK else 300)
def test_a_fault_at_any_call_leaves_one_cluster_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_bench(tmp_path / "survey", monkeypatch) as bench:
        resources = bench.plugin().cluster(STANDARD)
        counted = faults.survey(bench.world.front, bench.stack, resources)
    rows = []
    for number, case in enumerate(faults.cases(counted)):
        with a_bench(tmp_path / str(number), monkeypatch) as bench:
            rows.append(
                faults.run_case(
                    bench.world.front,
                    bench.stack,
                    resources,
                    case.call,
                    case.nth,
                    case.fault,
                    phase=case.phase,
                    cloud="azure",
                    census=counted.census,
                )
            )
        gc.collect()  # the SDK's connections, closed before the next stand-in
    faults.write_table("azure", rows)
    print(faults.table(rows))
    assert [row for row in rows if not row.good] == []
