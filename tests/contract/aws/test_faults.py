"""Each call of up and destroy goes wrong in each way: a sample by default, all of them with PORTABLE_SOAK=1."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from portable.spec.model import Cluster, Nodes
from tests.clouds.aws.world import World, serving
from tests.clouds.faults import Case, Row, Survey, cases, rows_of, run_case, survey, write_table

pytestmark = pytest.mark.contract
CLUSTER = Cluster(name="shop", pools={"default": Nodes(min=1)}, private=True)


@contextmanager
def fresh(patch: pytest.MonkeyPatch) -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as world:
        for name, value in world.environment.items():
            patch.setenv(name, value)
        yield world


@pytest.mark.timeout(7200)
def test_one_cluster_or_none_whatever_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    with fresh(monkeypatch) as world:
        counted = survey(world.front, world.stack, world.provider().cluster(CLUSTER))
    rows = rows_of(cases(counted), partial(_row, counted))
    write_table("aws", rows)
    assert [row for row in rows if not row.good] == []


def _row(counted: Survey, case: Case) -> Row:
    with pytest.MonkeyPatch.context() as patch, fresh(patch) as world:
        resources = world.provider().cluster(CLUSTER)
        return run_case(
            world.front,
            world.stack,
            resources,
            case.call,
            case.nth,
            case.fault,
            phase=case.phase,
            cloud="aws",
            census=counted.census,
        )
