"""The contract that every plugin keeps, kept by this one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portable.spec.model import Cluster, Nodes
from portable.testing import CLUSTER, PLUGIN, Case, Promise
from tests.clouds.gcp import world
from tests.contract.gcp.conftest import World

pytestmark = pytest.mark.contract
SHOP = Cluster(name="shop", version="1.33", pools={"default": Nodes(min=2)})


@pytest.mark.parametrize("promise", [*PLUGIN, *CLUSTER], ids=lambda promise: promise.__name__)
def test_it_keeps(promise: Promise, google: World) -> None:
    def foreign() -> None:
        google.cloud.gke.foreign("shop", world.REGION)

    changed = replace(SHOP, version="1.34", pools={"default": Nodes(min=3)})
    state = google.folder / "promised"
    state.mkdir()
    promise(Case(google.plugin, SHOP, state, changed, google.cloud.leftovers, foreign))
