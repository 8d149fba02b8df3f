"""The same resources through the real engine: Pulumi's CLI, with state on disk, calls at once, and a crash in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from portable.engine import Engine, Settings
from portable.errors import ProviderError
from portable.events import nowhere
from portable.home import Home
from portable.spec.model import Nodes
from portable.tools import require
from portable.tools.pulumi import PULUMI
from tests.clouds.front import Fault
from tests.contract.azure.conftest import STANDARD, Bench

pytestmark = pytest.mark.contract

HOME = Home("shop", None, "azure", "shop")
TWO = replace(STANDARD, pools={"default": Nodes(1, 3), "big": Nodes(1, cpu="4")}, version="1.31")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("PORTABLE_STATE", str(tmp_path / "state"))
    return Engine(Settings(pulumi=require(PULUMI), kubernetes_provider="builtin"), nowhere)


def test_a_clusters_life_in_the_engine(bench: Bench, engine: Engine) -> None:
    plugin = bench.plugin()
    types, resources = plugin.resource_types(), plugin.cluster(TWO)
    preview = engine.cluster.preview(HOME, resources, types)
    assert {change.operation for change in preview} == {"create"}
    assert bench.service.leftovers() == []

    # the reply to the creation is lost together with the credentials, the next run goes on
    bench.world.front.expect("Operations_Get", Fault.EXPIRED)
    with pytest.raises(ProviderError, match="does not accept the credentials"):
        engine.cluster.up(HOME, resources, types)
    bench.world.front.renew()
    outputs = engine.cluster.up(HOME, resources, types)
    there = plugin.find(TWO)
    assert there is not None
    assert outputs["cluster"]["uid"] == there.uid
    assert len(bench.service.clusters) == 1

    assert _mutations(bench.calling(lambda: engine.cluster.up(HOME, resources, types))) == []
    bench.service.cluster("shop")["properties"]["disableLocalAccounts"] = False
    (drift,) = [each for each in engine.cluster.preview(HOME, resources, types) if each.operation != "same"]
    assert (drift.name, drift.operation) == ("cluster", "update")

    wanted = plugin.cluster(replace(TWO, version="1.32", pools={"default": Nodes(2, 3)}))
    engine.cluster.up(HOME, wanted, types)
    properties = bench.service.cluster("shop")["properties"]
    assert properties["disableLocalAccounts"] is True
    assert properties["currentKubernetesVersion"] == "1.32.7"
    assert [pool["name"] for pool in properties["agentPoolProfiles"]] == ["system", "default"]

    engine.cluster.destroy(HOME, types)
    assert bench.service.leftovers() == []
    assert engine.stacks.state(HOME.cluster_stack) is None


def _mutations(calls: Sequence[str]) -> list[str]:
    return [call for call in calls if call.endswith(("CreateOrUpdate", "Create", "Delete", "Start"))]
