"""Clusters with node pools of a size that the spec names."""

from __future__ import annotations

import dataclasses

import pytest

from portable.errors import ProviderError
from portable.events import nowhere
from portable.spec.model import Cluster, Nodes
from tests.contract.gcp.conftest import STANDARD, World, disk

pytestmark = pytest.mark.contract
SHOP = Cluster(name="shop", pools=STANDARD)
_POOLS = "container.projects.locations.clusters.nodePools"


def pool(google: World, name: str) -> dict:
    (found,) = [entry for entry in google.cloud.gke.clusters["shop"]["nodePools"] if entry["name"] == name]
    return found


def nodes(google: World, name: str) -> int:
    links = pool(google, name)["instanceGroupUrls"]
    return sum(google.cloud.compute.objects[link]["targetSize"] for link in links)


def scaled(**pools: Nodes) -> Cluster:
    return dataclasses.replace(SHOP, pools={**STANDARD, **pools})


def test_the_cluster_comes_with_its_first_pool_and_the_others_follow(google: World) -> None:
    assert google.up(SHOP)[-3:] == ["create cluster", "create pool-big", "create pool-default"]
    assert google.writes().count(f"{_POOLS}.create") == 1
    assert google.up(SHOP) == []
    assert google.writes() == []
    google.stack.destroy()
    assert google.cloud.leftovers() == []


def test_a_standard_cluster_is_as_secure_as_an_autopilot_one(google: World) -> None:
    google.up(SHOP)
    cluster = google.cloud.gke.clusters["shop"]
    assert cluster["workloadIdentityConfig"]["workloadPool"] == "acme-shop.svc.id.goog"
    assert cluster["networkConfig"]["datapathProvider"] == "ADVANCED_DATAPATH"
    assert cluster["networkConfig"]["gatewayApiConfig"]["channel"] == "CHANNEL_STANDARD"
    assert cluster["shieldedNodes"] == {"enabled": True}
    config = pool(google, "default")["config"]
    assert config["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}
    assert config["serviceAccount"] == "shop-nodes@acme-shop.iam.gserviceaccount.com"
    assert config["metadata"] == {"disable-legacy-endpoints": "true"}
    assert config["shieldedInstanceConfig"] == {"enableSecureBoot": True, "enableIntegrityMonitoring": True}
    assert config["resourceLabels"] == {"portable-stack": "gcp-shop"}
    cluster["shieldedNodes"] = {}
    cluster["networkConfig"]["gatewayApiConfig"] = {"channel": "CHANNEL_DISABLED"}
    assert google.preview(SHOP) == {"cluster": ("shielded", "gateway")}
    assert google.up(SHOP) == ["update cluster"]
    assert google.up(SHOP) == []


@pytest.mark.parametrize(("count", "in_zones"), [(1, 1), (2, 2), (3, 3), (4, 2), (5, 1), (6, 3)])
def test_a_fixed_pool_has_exactly_the_nodes_that_were_asked_for(google: World, count: int, in_zones: int) -> None:
    google.up(Cluster(name="shop", pools={"default": Nodes(min=count)}))
    assert nodes(google, "default") == count
    assert len(pool(google, "default")["locations"]) == in_zones


def test_an_autoscaled_pool_is_bounded_in_all_and_not_by_zone(google: World) -> None:
    google.up(SHOP)
    assert pool(google, "big")["autoscaling"] == {
        "enabled": True,
        "totalMinNodeCount": 1,
        "totalMaxNodeCount": 6,
        "locationPolicy": "BALANCED",
    }
    # whoever scales it is not put back
    google.cloud.gke._resize(google.cloud.gke.clusters["shop"], pool(google, "big"), 2)
    assert google.up(SHOP) == []


def test_scaling(google: World) -> None:
    google.up(SHOP)
    for count in (6, 4, 5, 3):
        assert google.up(scaled(default=Nodes(min=count))) == ["update pool-default"]
        assert nodes(google, "default") == count
    more = scaled(big=Nodes(min=2, max=9, cpu="4", memory="30Gi"))
    assert google.preview(more) == {"pool-big": ("max", "min")}
    google.up(more)
    assert pool(google, "big")["autoscaling"]["totalMaxNodeCount"] == 9
    fixed = scaled(big=Nodes(min=2, cpu="4", memory="30Gi"))
    google.up(fixed)
    assert nodes(google, "big") == 2
    assert google.up(fixed) == []
    google.up(more)
    assert pool(google, "big")["autoscaling"]["enabled"] is True
    assert google.up(more) == []


def zones(google: World, name: str) -> str:
    """Their letters."""
    return "".join(zone[-1] for zone in sorted(pool(google, name)["locations"]))


def test_a_pool_stays_in_the_zones_with_volumes(google: World) -> None:
    google.up(SHOP)
    disk(google, "data-db-0", zone="c")
    for count, in_zones in ((4, "ac"), (5, "c"), (1, "c"), (2, "ac"), (3, "abc"), (1, "c")):
        google.up(scaled(default=Nodes(min=count)))
        assert (nodes(google, "default"), zones(google, "default")) == (count, in_zones)


def test_a_pool_begins_where_kept_volumes_are(google: World) -> None:
    disk(google, "data-db-0", zone="c")
    google.up(scaled(default=Nodes(min=1), more=Nodes(min=2)))
    assert (zones(google, "default"), zones(google, "more")) == ("c", "ac")
    # and one that takes over from another
    google.up(scaled(default=Nodes(min=1, spot=True), more=Nodes(min=2)))
    assert zones(google, "default-spot") == "c"
    first = Cluster(name="first", pools={"default": Nodes(min=1)})
    disk(google, "data-db-0", zone="b", cluster="first")
    (google.folder / "state.json").unlink()
    google.up(first)
    assert google.cloud.gke.clusters["first"]["nodePools"][0]["locations"] == ["europe-west1-b"]


def test_a_size_that_would_leave_a_zone_with_volumes_is_refused(google: World) -> None:
    google.up(SHOP)
    for zone in "abc":
        disk(google, f"data-db-{zone}", zone=zone)
    google.calls()
    with pytest.raises(
        ProviderError, match=r"cluster\.pools\.default: 4 nodes would leave a zone with volumes"
    ) as caught:
        google.up(scaled(default=Nodes(min=4, cpu="8")))
    assert "volumes are in europe-west1-a, europe-west1-b, europe-west1-c" in caught.value.detail
    assert caught.value.fix.startswith("ask for 3 or 6 nodes, or set its max too (to 4, say)")
    assert google.writes() == []
    with pytest.raises(ProviderError, match="2 nodes would leave") as caught:
        google.up(scaled(default=Nodes(min=2)))
    assert caught.value.fix.startswith("ask for 3 nodes, or")
    # both ways out that it names
    google.up(scaled(default=Nodes(min=6)))
    assert (nodes(google, "default"), zones(google, "default")) == (6, "abc")
    google.up(scaled(default=Nodes(min=4, max=4)))
    assert zones(google, "default") == "abc"


def test_a_pool_is_never_larger_than_before_or_afterwards(google: World, monkeypatch: pytest.MonkeyPatch) -> None:
    google.up(SHOP)
    sizes: list[int] = []
    resize = google.cloud.gke._resize

    def noted(cluster: dict, resized: dict, count: int) -> None:
        sizes.append(count * len(resized["locations"]))
        resize(cluster, resized, count)

    monkeypatch.setattr(google.cloud.gke, "_resize", noted)
    before = 3
    for count in (4, 3, 5, 6, 1, 2, 5, 3, 6, 5, 9):
        sizes.clear()
        google.up(scaled(default=Nodes(min=count)))
        assert nodes(google, "default") == count
        assert max(sizes) <= max(before, count), (before, count)
        before = count


def test_nodes_that_somebody_took_away_are_put_back(google: World) -> None:
    google.up(SHOP)
    google.cloud.gke._resize(google.cloud.gke.clusters["shop"], pool(google, "default"), 0)
    assert google.preview(SHOP) == {"pool-default": ("nodes",)}
    google.up(SHOP)
    assert nodes(google, "default") == 3


def test_another_machine_is_changed_to_in_place(google: World) -> None:
    google.up(SHOP)
    google.calls()
    larger = scaled(default=Nodes(min=3, cpu="8"))
    assert google.up(larger) == ["update pool-default"]
    assert google.writes() == [f"{_POOLS}.update"]
    assert pool(google, "default")["config"]["machineType"] == "e2-standard-8"


def test_spot_nodes_are_another_pool_since_nodes_cannot_change_over(google: World) -> None:
    google.up(SHOP)
    spot = scaled(default=Nodes(min=3, spot=True))
    found = google.stack.preview(google.resources(spot))["pool-default"]
    assert found is not None
    assert found.replaces == ("name",)
    assert not found.delete_before_replace
    google.up(spot)
    assert pool(google, "default-spot")["config"]["spot"] is True
    assert google.up(spot) == []


def test_pools_come_and_go(google: World) -> None:
    google.up(SHOP)
    assert google.up(scaled(more=Nodes(min=1))) == ["create pool-more"]
    assert google.up(SHOP) == ["delete pool-more"]
    # even the one that the cluster was made with
    assert google.up(dataclasses.replace(SHOP, pools={"default": STANDARD["default"]})) == ["delete pool-big"]


def test_an_upgrade_takes_the_nodes_along_before_they_fall_too_far_behind(google: World) -> None:
    google.up(dataclasses.replace(SHOP, version="1.31"))
    assert google.up(dataclasses.replace(SHOP, version="1.34")) == [
        "update cluster",
        "update pool-big",
        "update pool-default",
    ]
    assert {entry["version"] for entry in google.cloud.gke.clusters["shop"]["nodePools"]} == {"1.34.1-gke.1200"}
    assert google.up(dataclasses.replace(SHOP, version="1.34")) == []


def test_operations_take_turns(google: World) -> None:
    google.up(SHOP)
    google.cloud.gke.occupy("shop", polls=8)
    google.calls()
    assert google.up(scaled(default=Nodes(min=6))) == ["update pool-default"]
    calls = google.calls()
    assert calls.count(f"{_POOLS}.setSize") > 1
    assert "container.projects.locations.operations.list" in calls
    google.cloud.gke.occupy("shop", "AUTO_UPGRADE_NODES", polls=8)
    google.stack.destroy()
    assert google.cloud.leftovers() == []


def test_a_pool_that_gke_gives_up_on_says_why_and_the_next_up_makes_it(google: World) -> None:
    google.cloud.gke.fail["default"] = ("GCE_STOCKOUT", "The zone europe-west1-b does not have enough resources")
    with pytest.raises(ProviderError, match="node pool default failed") as caught:
        google.up(SHOP)
    assert "does not have enough resources" in caught.value.detail
    assert "another region" in caught.value.fix
    assert google.up(SHOP) == ["create pool-default"]
    assert nodes(google, "default") == 3
    assert google.up(SHOP) == []


def test_what_no_machine_has_is_said_in_the_specs_words(google: World) -> None:
    wrong = Cluster(name="shop", pools={"default": Nodes(min=0), "huge": Nodes(cpu="200", memory="1Ti"), "Up": Nodes()})
    found = {
        problem.path: problem
        for resource in google.resources(wrong)
        if resource.type == "portable:gcp:NodePool"
        for problem in google.plugin.resource_types()[resource.type].check(dict(resource.inputs))
    }
    assert set(found) == {"cluster.pools.default.min", "cluster.pools.huge", "cluster.pools.Up"}
    assert found["cluster.pools.huge"].message == (
        "no machine type of Google Cloud that portable knows has cpu 200 and memory 1Ti"
    )
    assert found["cluster.pools.huge"].expected == "at most cpu 80 and memory 640Gi"


def test_what_nodes_cost_is_told(google: World) -> None:
    notes = {resource.name: resource.note for resource in google.resources(SHOP)}
    assert notes["pool-default"] == "e2-standard-2: about $0.20 per hour (list price of 2025, us-central1)"
    assert notes["pool-big"] == "e2-highmem-4: about $0.18 to $1.08 per hour (list price of 2025, us-central1)"


def test_a_pool_of_a_cluster_of_someone_else_that_took_the_name_stays(google: World) -> None:
    google.up(SHOP)
    state = google.stack.state
    google.cloud.gke.clusters["shop"]["resourceLabels"] = {}
    google.calls()
    served = google.plugin.resource_types()["portable:gcp:NodePool"]
    served.delete(state["pool-default"]["id"], state["pool-default"]["outputs"], nowhere)
    assert google.writes() == []
