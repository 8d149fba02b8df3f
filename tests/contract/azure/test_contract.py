"""What every plugin promises, by AKS."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portable.testing import CLUSTER, PLUGIN, Case, Promise, a_creation_that_broke_off_is_carried_on
from tests.contract.azure.conftest import AUTOMATIC, STANDARD, Bench

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("promise", [*PLUGIN, *CLUSTER], ids=lambda promise: promise.__name__)
def test_standard(bench: Bench, promise: Promise) -> None:
    promise(_case(bench, standard=True))


# the long one is about objects that both modes have
AUTOMATIC_TOO = [promise for promise in CLUSTER if promise is not a_creation_that_broke_off_is_carried_on]


@pytest.mark.parametrize("promise", AUTOMATIC_TOO, ids=lambda promise: promise.__name__)
def test_automatic(bench: Bench, promise: Promise) -> None:
    promise(_case(bench, standard=False))


def _case(bench: Bench, *, standard: bool) -> Case:
    cluster = STANDARD if standard else AUTOMATIC
    state = bench.state.parent / "states"
    state.mkdir()
    return Case(
        bench.plugin(),
        cluster,
        state,
        changed=replace(cluster, allow=("203.0.113.0/24",)),
        leftovers=bench.service.leftovers,
        foreign=lambda: bench.service.foreign_cluster("portable-shop", "shop"),
    )
