"""A cluster as the spec asks for it by default, from nothing to nothing: each call, in its order."""

from __future__ import annotations

import pytest

from portable.errors import ProviderError
from portable.events import Step
from portable.spec.model import Cluster, Nodes
from tests.clouds.gcp.cloud import PROJECT
from tests.contract.gcp.conftest import World

pytestmark = pytest.mark.contract
SHOP = Cluster(name="shop")
_CLUSTERS = "container.projects.locations.clusters"
_GET_OPERATION = "container.projects.locations.operations.get"


def test_up_makes_a_network_an_account_and_a_cluster_with_these_calls(google: World) -> None:
    assert google.up(SHOP) == ["create network", "create node-account", "create subnetwork", "create cluster"]
    assert google.calls() == [
        "sts.token",
        "compute.networks.get",
        "compute.networks.insert",
        "compute.globalOperations.get",
        "compute.networks.get",
        "iam.projects.serviceAccounts.get",
        "iam.projects.serviceAccounts.create",
        "cloudresourcemanager.projects.getIamPolicy",
        "cloudresourcemanager.projects.setIamPolicy",
        "cloudresourcemanager.projects.getIamPolicy",
        "compute.subnetworks.get",
        "compute.subnetworks.insert",
        "compute.regionOperations.get",
        "compute.subnetworks.get",
        f"{_CLUSTERS}.get",
        "container.projects.locations.getServerConfig",
        f"{_CLUSTERS}.create",
        _GET_OPERATION,
        _GET_OPERATION,
        f"{_CLUSTERS}.get",
    ]


def test_the_cluster_is_secure_by_default(google: World) -> None:
    google.up(SHOP)
    cluster = google.cloud.gke.clusters["shop"]
    assert cluster["autopilot"] == {"enabled": True}
    assert cluster["releaseChannel"] == {"channel": "REGULAR"}
    assert cluster["resourceLabels"] == {"portable-stack": "gcp-shop"}
    assert cluster["network"] == "portable-shop"
    assert cluster["loggingConfig"]["componentConfig"]["enableComponents"] == ["SYSTEM_COMPONENTS", "WORKLOADS"]
    defaults = cluster["autoscaling"]["autoprovisioningNodePoolDefaults"]
    assert defaults["serviceAccount"] == f"shop-nodes@{PROJECT}.iam.gserviceaccount.com"
    assert google.cloud.iam.roles_of(defaults["serviceAccount"]) == {
        "roles/container.defaultNodeServiceAccount",
        "roles/artifactregistry.reader",
    }


def test_up_again_changes_nothing(google: World) -> None:
    google.up(SHOP)
    google.calls()
    assert google.up(SHOP) == []
    assert google.writes() == []


def test_destroy_leaves_nothing_and_may_be_repeated(google: World) -> None:
    google.up(Cluster(name="shop", private=True))
    google.calls()
    state = google.stack.state
    google.stack.destroy()
    assert google.writes() == [
        f"{_CLUSTERS}.delete",
        "cloudresourcemanager.projects.setIamPolicy",
        "iam.projects.serviceAccounts.delete",
        "compute.routers.delete",
        "compute.subnetworks.delete",
        "compute.networks.delete",
    ]
    assert google.cloud.leftovers() == []
    for name, kept in state.items():
        google.plugin.resource_types()[kept["type"]].delete(kept["id"], kept["outputs"], lambda _: None)
        assert google.writes() == [], name


def test_an_allow_list_keeps_everybody_else_from_the_api_server(google: World) -> None:
    google.up(Cluster(name="shop", allow=("198.51.100.0/24", "192.0.2.1/32")))
    networks = _networks(google)
    assert networks["enabled"] is True
    assert networks["gcpPublicCidrsAccessEnabled"] is False
    assert {block["cidrBlock"] for block in networks["cidrBlocks"]} == {"198.51.100.0/24", "192.0.2.1/32"}
    assert google.preview(SHOP) == {"cluster": ("allow",)}
    google.up(SHOP)
    assert _networks(google).get("cidrBlocks", []) == []
    assert google.up(SHOP) == []


def test_private_nodes_get_a_way_out_and_its_price_is_told(google: World) -> None:
    google.up(SHOP)
    private = Cluster(name="shop", private=True)
    assert google.preview(private) == {"router": ("new",), "cluster": ("private",)}
    assert google.up(private) == ["create router", "update cluster"]
    assert google.cloud.gke.clusters["shop"]["networkConfig"]["defaultEnablePrivateNodes"] is True
    (router,) = google.cloud.compute.of("routers")
    assert router["nats"][0]["sourceSubnetworkIpRangesToNat"] == "ALL_SUBNETWORKS_ALL_IP_RANGES"
    notes = {resource.name: resource.note for resource in google.resources(private)}
    assert "about $0.0014 per hour and node" in notes["router"]
    assert "about $0.10 per hour" in notes["cluster"]
    assert google.up(SHOP) == ["update cluster", "delete router"]


@pytest.mark.parametrize(
    ("wanted", "made"),
    [
        (None, "1.34.1-gke.1200"),
        ("1.33", "1.33.5-gke.1080"),
        ("v1.32", "1.32.9-gke.300"),
        ("1.33.4", "1.33.4-gke.700"),
        ("1.32.9-gke.300", "1.32.9-gke.300"),
    ],
)
def test_a_version_is_what_the_regular_channel_offers(google: World, wanted: str | None, made: str) -> None:
    cluster = Cluster(name="shop", version=wanted)
    google.up(cluster)
    assert google.cloud.gke.clusters["shop"]["currentMasterVersion"] == made
    assert google.up(cluster) == []


def test_a_version_that_is_not_offered_is_refused_with_those_that_are(google: World) -> None:
    with pytest.raises(ProviderError, match=r"does not offer Kubernetes 1\.29 in europe-west1") as caught:
        google.up(Cluster(name="shop", version="1.29"))
    assert "1.34, 1.33, 1.32, 1.31" in caught.value.detail
    google.up(Cluster(name="shop"))
    with pytest.raises(ProviderError, match=r"does not offer Kubernetes 1\.99"):  # a plan says so too
        google.preview(Cluster(name="shop", version="1.99"))


def test_an_upgrade_goes_one_minor_at_a_time(google: World) -> None:
    google.up(Cluster(name="shop", version="1.31"))
    google.calls()
    target = Cluster(name="shop", version="1.34")
    assert google.preview(target) == {"cluster": ("version",)}
    assert google.up(target) == ["update cluster"]
    assert google.writes() == [f"{_CLUSTERS}.update"] * 3
    assert google.cloud.gke.clusters["shop"]["currentMasterVersion"] == "1.34.1-gke.1200"


def test_a_version_never_goes_down(google: World) -> None:
    google.up(Cluster(name="shop", version="1.34"))
    with pytest.raises(ProviderError, match="GKE does not go back") as caught:
        google.up(Cluster(name="shop", version="1.33"))
    assert 'cluster.version to "1.34"' in caught.value.fix


def test_patches_that_google_applies_by_itself_are_no_drift(google: World) -> None:
    cluster = Cluster(name="shop", version="1.33.4-gke.700")
    google.up(cluster)
    google.cloud.gke.clusters["shop"]["currentMasterVersion"] = "1.33.5-gke.1080"
    assert google.up(cluster) == []


def test_what_was_changed_behind_our_back_is_put_back(google: World) -> None:
    private = Cluster(name="shop", private=True, allow=("198.51.100.0/24",))
    google.up(private)
    google.calls()
    cluster = google.cloud.gke.clusters["shop"]
    cluster["resourceLabels"]["team"] = "shop"
    cluster["releaseChannel"] = {"channel": "RAPID"}
    cluster["networkConfig"] = {}
    cluster["loggingConfig"] = {"componentConfig": {"enableComponents": ["SYSTEM_COMPONENTS"]}}
    _networks(google)["cidrBlocks"].append({"cidrBlock": "0.0.0.0/0"})
    (subnetwork,) = google.cloud.compute.of("subnetworks")
    subnetwork["privateIpGoogleAccess"] = False
    (router,) = google.cloud.compute.of("routers")
    router["nats"] = []
    google.cloud.iam.policy["bindings"] = google.cloud.iam.policy["bindings"][:1]
    assert google.preview(private) == {
        "cluster": ("allow", "private", "channel", "logging"),
        "node-account": ("roles",),
        "router": ("nat",),
        "subnetwork": ("googleAccess",),
    }
    google.up(private)
    assert google.writes().count(f"{_CLUSTERS}.update") == 4
    assert google.up(private) == []
    assert cluster["resourceLabels"] == {"portable-stack": "gcp-shop", "team": "shop"}


def test_a_label_that_is_gone_is_put_back_beside_the_others(google: World) -> None:
    google.up(SHOP)
    found = google.plugin.resource_types()["portable:gcp:Cluster"]
    kept = google.stack.state["cluster"]
    outputs = {**kept["outputs"], "labels": {"team": "shop"}}
    google.cloud.gke.clusters["shop"]["resourceLabels"] = {"team": "shop"}
    inputs = dict(google.resources(SHOP)[-1].inputs)
    assert found.diff("shop", outputs, inputs, inputs).changes == ("labels",)
    assert found.update("shop", outputs, inputs, inputs, lambda _: None)["labels"] == {
        "team": "shop",
        "portable-stack": "gcp-shop",
    }


@pytest.mark.parametrize(
    ("moved", "words"),
    [
        (
            Cluster(name="shop", region="us-central1"),
            "the region of the live cluster shop cannot change: it is europe-west1",
        ),
        (Cluster(name="shop", pools={"default": Nodes(min=1)}), "the mode .* of the live cluster shop cannot change"),
    ],
)
def test_what_would_be_another_cluster_is_refused(google: World, moved: Cluster, words: str) -> None:
    google.up(SHOP)
    google.calls()
    with pytest.raises(ProviderError, match=words) as caught:
        google.up(moved)
    assert "portable migrate" in caught.value.fix
    assert google.writes() == []


def test_a_cluster_of_that_name_that_somebody_else_made_is_left_alone(google: World) -> None:
    google.up(SHOP)
    theirs = google.cloud.gke.clusters["shop"]
    theirs["resourceLabels"] = {}
    (google.folder / "state.json").unlink()
    with pytest.raises(ProviderError, match="exists in europe-west1 and was not made by portable") as caught:
        google.up(SHOP)
    assert "cluster.existing" in caught.value.fix
    # the refused creation is in the state as unfinished, and destroying it must not touch theirs
    cluster = google.stack.state["cluster"]
    google.plugin.resource_types()[cluster["type"]].delete("shop", cluster["outputs"], lambda _: None)
    assert google.cloud.gke.clusters["shop"] is theirs
    existing = Cluster(name="shop", existing=True)
    assert google.resources(existing) == []
    found = google.plugin.find(existing)
    assert found is not None
    assert found.healthy


@pytest.mark.parametrize("kind", ["networks", "accounts"])
def test_a_network_or_account_of_that_name_that_somebody_else_made_is_refused(google: World, kind: str) -> None:
    if kind == "networks":
        google.cloud.compute.put("global", "networks", "portable-shop", description="theirs")
    else:
        email = f"shop-nodes@{PROJECT}.iam.gserviceaccount.com"
        google.cloud.iam.accounts[email] = {"email": email, "uniqueId": "1", "description": "theirs"}
    with pytest.raises(ProviderError, match="exists and was not made by portable"):
        google.up(SHOP)


def test_a_network_of_a_cluster_of_that_name_in_another_region_is_not_shared(google: World) -> None:
    google.up(SHOP)
    (google.folder / "state.json").unlink()
    with pytest.raises(ProviderError, match="belongs to another cluster of portable") as caught:
        google.up(Cluster(name="shop", region="us-central1"))
    assert "region=europe-west1" in caught.value.detail


def test_a_cluster_that_vanished_is_made_anew_and_is_another_one(google: World) -> None:
    google.up(SHOP)
    first = google.plugin.find(SHOP)
    google.cloud.gke.clusters.clear()
    for link in [link for link in google.cloud.compute.objects if "gke-shop" in link]:
        del google.cloud.compute.objects[link]
    assert google.up(SHOP) == ["create cluster"]
    second = google.plugin.find(SHOP)
    assert first is not None
    assert second is not None
    assert first.uid != second.uid
    assert google.stack.outputs("cluster")["uid"] == second.uid


def test_progress_is_told_with_how_long_it_usually_takes(google: World) -> None:
    from portable.testing import Stack

    told: list[str] = []
    stack = Stack(
        google.plugin.resource_types(),
        google.folder / "other.json",
        lambda event: told.append(event.detail) if isinstance(event, Step) else None,
    )
    stack.up(google.resources(SHOP))
    assert "creating cluster shop with Kubernetes 1.34.1-gke.1200 (usually 5-8 min)" in told
    assert any("deploying 8 of 12" in words for words in told)


def test_names_regions_versions_and_blocks_are_checked_in_the_specs_words(google: World) -> None:
    wrong = Cluster(name="Shop_1", region="europe-west1-b", version="latest", allow=("10.0.0.0/33",))
    *_, cluster = google.resources(wrong)
    problems = google.plugin.resource_types()[cluster.type].check(dict(cluster.inputs))
    assert [problem.path for problem in problems] == [
        "cluster.name",
        "cluster.region",
        "cluster.version",
        "cluster.api.allow",
    ]
    assert problems[1].expected == "europe-west1"


def _networks(google: World) -> dict:
    endpoints = google.cloud.gke.clusters["shop"]["controlPlaneEndpointsConfig"]
    return endpoints["ipEndpointsConfig"]["authorizedNetworksConfig"]
