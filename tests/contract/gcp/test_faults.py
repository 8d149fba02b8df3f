"""Every call may go wrong in every way: afterwards there is one cluster, or nothing, and nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from portable.spec.model import Cluster, Nodes
from portable_gcp import Gcp
from tests.clouds.faults import cases, run_case, survey, table, write_table
from tests.clouds.front import Front
from tests.clouds.gcp import world
from tests.clouds.gcp.cloud import GoogleCloud

pytestmark = [pytest.mark.contract, pytest.mark.timeout(3600)]
# with everything that there is: a router, the pool that the cluster comes with, and one more
SHOP = Cluster(name="shop", private=True, pools={"default": Nodes(min=2), "more": Nodes(min=1, max=3)})


@contextmanager
def fresh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[GoogleCloud, Front]]:
    folder.mkdir()
    cloud = GoogleCloud()
    with Front(cloud).serving() as front:
        for name, value in world.environment(front, folder).items():
            monkeypatch.setenv(name, value)
        yield cloud, front


def test_faults_at_every_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fresh(tmp_path / "survey", monkeypatch) as (_, front):
        resources = Gcp(world.PACE).cluster(SHOP)
        counted = survey(front, lambda: world.stack(tmp_path / "survey"), resources)
    rows = []
    for number, case in enumerate(cases(counted)):
        folder = tmp_path / str(number)
        with fresh(folder, monkeypatch) as (cloud, front):
            row = run_case(
                front,
                lambda folder=folder: world.stack(folder),
                resources,
                case.call,
                case.nth,
                case.fault,
                phase=case.phase,
                cloud="gcp",
                census=counted.census,
            )
            assert cloud.violations == [], str(case)
        rows.append(row)
    write_table("gcp", rows)
    print(table(rows))
    assert not [row for row in rows if not row.good]
