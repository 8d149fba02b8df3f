"""What outlives an app or a cluster: disks that are kept, and what controllers leave behind."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from portable.errors import ProviderError
from portable.events import nowhere
from portable.provider import Leftover
from portable.spec.model import Cluster
from portable_gcp import calls
from tests.clouds.gcp.compute import ROOT
from tests.contract.gcp.conftest import STANDARD, World, disk

pytestmark = pytest.mark.contract
SHOP = Cluster(name="shop")
_GLOBAL = f"{ROOT}/projects/acme-shop/global"


def share(google: World) -> str:
    """As the driver makes it from our class: https://github.com/kubernetes-sigs/gcp-filestore-csi-driver"""
    name = "projects/acme-shop/locations/europe-west1-b/instances/pvc-files"
    google.cloud.files.instances[name] = {
        "name": name,
        "labels": {
            "portable-stack": "gcp-shop",
            "kubernetes_io_created-for_pv_name": "pvc-files",
            "kubernetes_io_created-for_pvc_name": "files",
            "kubernetes_io_created-for_pvc_namespace": "shop-prod",
        },
        "fileShares": [{"name": "vol1", "capacityGb": "1024"}],
        "networks": [{"network": "portable-shop", "ipAddresses": ["10.20.0.2"]}],
    }
    for network in google.cloud.compute.of("networks"):
        network["peerings"] = [{"name": "filestore-peer-1234"}]
    return name


def load_balancers(google: World) -> None:
    """Of a Service and of an Ingress, as GKE's controllers build them."""
    put, network = google.cloud.compute.put, f"{_GLOBAL}/networks/portable-shop"
    put("global", "firewalls", "k8s-fw-a1b2", network=network)
    pool = put("regions/europe-west1", "targetPools", "a1b2")
    put("regions/europe-west1", "forwardingRules", "a1b2", target=pool)
    group = put("zones/europe-west1-b", "networkEndpointGroups", "k8s1-web", network=network)
    check = put("global", "healthChecks", "k8s1-web")
    backend = put("global", "backendServices", "k8s1-web", backends=[{"group": group}], healthChecks=[check])
    urls = put("global", "urlMaps", "k8s2-um-web", defaultService=backend)
    for kind in ("targetHttpProxies", "targetHttpsProxies"):
        proxy = put("global", kind, f"k8s2-{kind[6:9].lower()}-web", urlMap=urls)
        put("global", "forwardingRules", f"k8s2-fr-{kind.lower()}", target=proxy)
    # a Gateway's are regional
    regional = put("regions/europe-west1", "backendServices", "gkegw1-web", backends=[{"group": group}])
    matcher = {"name": "web", "defaultService": regional}
    urls = put("regions/europe-west1", "urlMaps", "gkegw1-web", pathMatchers=[matcher])
    for kind in ("targetHttpProxies", "targetHttpsProxies"):
        put("regions/europe-west1", kind, f"gkegw1-{kind.lower()}", urlMap=urls)
    check = put("regions/europe-west1", "healthChecks", "gkegw1-web")
    google.cloud.compute.objects[regional]["healthChecks"] = [check]
    # and some of another cluster
    put("global", "urlMaps", "theirs")


def test_disks_are_kept_told_and_bound_again(google: World) -> None:
    google.up(SHOP)
    disk(google, "data-db-0")
    disk(google, "files", users=["instances/node-1"])
    disk(google, "data-db-0", namespace="other")
    disk(google, "data-db-0", cluster="shop2", namespace="elsewhere")
    assert google.plugin.kept_data(SHOP, "shop-prod") == [
        "shop-prod/data-db-0 (20 GiB, about $2.00 a month)",
        "shop-prod/files (20 GiB, about $2.00 a month)",
    ]
    assert len(google.plugin.kept_data(SHOP, "")) == 3
    # the one that is still attached is still somebody's volume
    (volume,) = google.plugin.persistent_volumes(SHOP, "shop-prod")
    assert volume["metadata"]["name"] == "pvc-shop-prod-data-db-0"
    spec = volume["spec"]
    assert spec["claimRef"]["name"] == "data-db-0"
    assert spec["claimRef"]["namespace"] == "shop-prod"
    assert spec["csi"]["volumeHandle"] == "projects/acme-shop/zones/europe-west1-b/disks/pvc-shop-prod-data-db-0"
    assert spec["storageClassName"] == google.plugin.profile(SHOP).storage.single
    assert spec["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"] == [
        "europe-west1-b"
    ]
    google.plugin.delete_kept_data(SHOP, "shop-prod", nowhere)
    assert [words.partition(" ")[0] for words in google.plugin.kept_data(SHOP, "")] == ["other/data-db-0"]


def test_shares_are_kept_with_the_network_that_reaches_them(google: World) -> None:
    google.up(SHOP)
    name = share(google)
    assert google.plugin.kept_data(SHOP, "shop-prod") == ["shop-prod/files (1024 GiB, shared, about $204.80 a month)"]
    (volume,) = google.plugin.persistent_volumes(SHOP, "shop-prod")
    assert volume["spec"]["csi"]["volumeHandle"] == "modeInstance/europe-west1-b/pvc-files/vol1"
    assert volume["spec"]["csi"]["volumeAttributes"] == {"ip": "10.20.0.2", "volume": "vol1"}
    google.stack.destroy()
    assert google.cloud.leftovers() == ["networks portable-shop", f"share {name}"]
    assert google.up(SHOP)[0] == "create network"
    google.stack.destroy()
    google.plugin.delete_kept_data(SHOP, "shop-prod", nowhere)
    for network in google.cloud.compute.of("networks"):
        network["peerings"] = []
    assert _remove(google, SHOP, google.plugin.leftovers(SHOP)) == [""]
    assert google.cloud.leftovers() == []


def test_a_network_that_stays_for_shares_does_not_count_as_removed(google: World) -> None:
    google.up(SHOP)
    share(google)
    google.stack.destroy()
    (found,) = [found for found in google.plugin.leftovers(SHOP) if found.kind == "network"]
    assert found.data, "it stays as long as the share that is reached through it"
    assert "Filestore is still connected to it" in google.plugin.remove(SHOP, found, nowhere)
    assert "networks portable-shop" in google.cloud.leftovers()
    google.plugin.delete_kept_data(SHOP, "", nowhere)
    # Google takes its peering away some minutes later
    (found,) = google.plugin.leftovers(SHOP)
    assert not found.data
    assert "Filestore is still connected to it" in google.plugin.remove(SHOP, found, nowhere)
    for network in google.cloud.compute.of("networks"):
        network["peerings"] = []
    assert google.plugin.remove(SHOP, found, nowhere) == ""
    assert google.cloud.leftovers() == []


def test_of_two_volumes_of_one_claim_neither_is_taken(google: World) -> None:
    first = disk(google, "files")
    second = first.replace("europe-west1-b", "europe-west1-c")
    google.cloud.compute.objects[second] = {**google.cloud.compute.objects[first], "selfLink": second}
    with pytest.raises(ProviderError, match="2 kept volumes belong to shop-prod/files") as caught:
        google.plugin.persistent_volumes(SHOP, "shop-prod")
    assert caught.value.detail == f"{first}; {second}"
    assert "gcloud compute disks delete" in caught.value.fix
    # one that is in use is a live volume, and leaves no doubt about the other
    google.cloud.compute.objects[second]["users"] = ["instances/node-1"]
    assert len(google.plugin.persistent_volumes(SHOP, "shop-prod")) == 1
    google.cloud.compute.objects[second]["users"] = []
    # also where they are of different kinds
    del google.cloud.compute.objects[second]
    name = share(google)
    with pytest.raises(ProviderError, match="2 kept volumes belong to shop-prod/files") as caught:
        google.plugin.persistent_volumes(SHOP, "shop-prod")
    assert name in caught.value.detail


def test_without_filestore_there_are_no_shares(google: World) -> None:
    google.cloud.denied["file.projects.locations.instances.list"] = "Cloud Filestore API has not been used in project 1"
    assert google.plugin.kept_data(SHOP, "") == []


def test_the_storage_class_marks_its_disks(google: World) -> None:
    (disks, shares) = google.plugin.profile(SHOP).storage.objects
    assert disks["parameters"]["labels"] == "portable-stack=gcp-shop"
    assert shares["parameters"]["network"] == "portable-shop"
    assert google.plugin.profile(Cluster(name="shop", existing=True)).storage.shared == "standard-rwx"


def test_destroy_removes_what_controllers_left_in_the_network(google: World) -> None:
    google.up(SHOP)
    load_balancers(google)
    google.stack.destroy()
    assert google.cloud.leftovers() == ["urlMaps theirs"]


def test_leftovers_are_found_without_a_state_and_removed(google: World) -> None:
    private = Cluster(name="shop", private=True)
    google.up(private)
    load_balancers(google)
    disk(google, "data-db-0")
    assert [found.kind for found in google.plugin.leftovers(private)] == ["disk"], "a live cluster leaves nothing"
    name = share(google)
    (found,) = [found for found in google.plugin.leftovers(private) if found.kind == "Filestore share"]
    assert google.plugin.remove(private, found, nowhere) == ""
    assert name not in google.cloud.files.instances
    google.cloud.compute.objects[f"{_GLOBAL}/networks/portable-shop"]["peerings"] = []
    google.cloud.gke._gone(google.cloud.gke.clusters["shop"])
    found = google.plugin.leftovers(private)
    assert [leftover.detail for leftover in found if leftover.data] == [
        "shop-prod/data-db-0 (20 GiB, about $2.00 a month)"
    ]
    assert {leftover.kind for leftover in found} >= {
        *("disk", "forwarding rule", "URL map", "firewall rule", "router", "subnetwork", "network", "service account")
    }
    assert not [words for words in _remove(google, private, found) if words]
    assert google.cloud.leftovers() == ["urlMaps theirs"]
    assert google.plugin.leftovers(private) == []


def test_what_cannot_be_removed_says_why(google: World) -> None:
    disk(google, "data-db-0")
    (found,) = google.plugin.leftovers(SHOP)
    google.cloud.denied["compute.disks.delete"] = "Required 'compute.disks.delete' permission for 'theirs'"
    assert "compute.disks.delete is missing" in google.plugin.remove(SHOP, found, nowhere)


def test_every_call_in_the_table_is_made_and_no_other(google: World) -> None:
    """The role that `portable providers show gcp` prints is made from that table."""
    google.plugin.doctor(SHOP, fix=False, emit=nowhere)
    private = Cluster(name="shop", private=True)
    google.up(private)
    router = google.cloud.compute.of("routers")[0]
    router["nats"] = []
    google.cloud.compute.of("subnetworks")[0]["privateIpGoogleAccess"] = False
    google.up(private)
    load_balancers(google)
    google.cloud.gke.clusters["shop"]["resourceLabels"] = {}
    types = google.plugin.resource_types()
    kept = google.stack.state["cluster"]
    types[kept["type"]].update("shop", kept["outputs"], kept["inputs"], kept["inputs"], nowhere)
    google.plugin.bind(private, "shop-prod", {"web": "shop-nodes@acme-shop.iam.gserviceaccount.com"})
    disk(google, "data-db-0")
    share(google)
    google.plugin.delete_kept_data(private, "", nowhere)
    google.cloud.compute.objects[f"{_GLOBAL}/networks/portable-shop"]["peerings"] = []
    google.plugin.credentials(private)
    google.stack.destroy()
    _pools_of_every_kind(google)
    made = set(google.front.calls) - {"sts.token"}
    assert made - set(calls.CALLS) == set()
    assert set(calls.CALLS) - made == set()


def _pools_of_every_kind(google: World) -> None:
    from portable.spec.model import Nodes

    fixed = {"default": Nodes(min=3)}
    google.up(Cluster(name="shop", pools=STANDARD, version="1.33"))
    google.up(Cluster(name="shop", pools={**STANDARD, "big": Nodes(min=1, max=9, cpu="4")}, version="1.34"))
    google.cloud.gke.occupy("shop", polls=8)
    google.up(Cluster(name="shop", pools=fixed, version="1.34"))
    google.up(Cluster(name="shop", pools={"default": Nodes(min=6)}, version="1.34"))
    google.stack.destroy()


def _remove(google: World, cluster: Cluster, found: Sequence[Leftover]) -> list[str]:
    return [google.plugin.remove(cluster, leftover, nowhere) for leftover in found]


def test_identities_are_bound_and_released(google: World) -> None:
    for name in ("web", "worker"):
        google.cloud.iam.answer_create(name)
    web, worker = (f"{name}-identity@acme-shop.iam.gserviceaccount.com" for name in ("web", "worker"))
    theirs = {"role": "roles/iam.workloadIdentityUser", "members": ["serviceAccount:acme-shop.svc.id.goog[other/web]"]}
    google.cloud.iam.policies[web] = {"etag": "A", "bindings": [theirs]}
    google.plugin.bind(SHOP, "shop-prod", {"web": web, "admin": web, "worker": worker})
    assert _members(google, web) == [
        "serviceAccount:acme-shop.svc.id.goog[other/web]",
        "serviceAccount:acme-shop.svc.id.goog[shop-prod/admin]",
        "serviceAccount:acme-shop.svc.id.goog[shop-prod/web]",
    ]
    google.calls()
    google.plugin.bind(SHOP, "shop-prod", {"web": web, "admin": web, "worker": worker})
    assert google.writes() == []
    google.plugin.bind(SHOP, "shop-prod", {"web": web})
    assert _members(google, worker) == []
    google.plugin.bind(SHOP, "shop-prod", {})
    assert _members(google, web) == ["serviceAccount:acme-shop.svc.id.goog[other/web]"]


def test_an_identity_that_does_not_exist_is_named(google: World) -> None:
    with pytest.raises(ProviderError, match="there is no Google service account shop@acme") as caught:
        google.plugin.bind(SHOP, "shop-prod", {"web": "shop@acme-shop.iam.gserviceaccount.com"})
    assert "gcloud iam service-accounts create shop" in caught.value.fix


def test_identities_are_looked_at_before_there_is_a_cluster(google: World) -> None:
    google.cloud.iam.answer_create("web")
    there = "web-identity@acme-shop.iam.gserviceaccount.com"
    wanted = {"web": there, "worker": "shop@acme-shop.iam.gserviceaccount.com", "typo": "shop"}
    found = google.plugin.identity_problems(SHOP, wanted)
    assert [problem.path for problem in found] == ["workloads.worker.identity", "workloads.typo.identity"]
    assert "gcloud iam service-accounts create shop" in found[0].hint
    assert google.writes() == []


def _members(google: World, account: str) -> list[str]:
    bindings = google.cloud.iam.policies.get(account, {}).get("bindings", [])
    return [member for binding in bindings for member in binding["members"]]


def test_a_policy_with_conditions_keeps_them(google: World) -> None:
    """Somebody else's binding on the same service account, as the console makes it."""
    google.cloud.iam.answer_create("web")
    web = "web-identity@acme-shop.iam.gserviceaccount.com"
    theirs = {
        "role": "roles/iam.serviceAccountTokenCreator",
        "members": ["user:ada@example.com"],
        "condition": {"title": "until May", "expression": "request.time < timestamp('2027-05-01T00:00:00Z')"},
    }
    google.cloud.iam.policies[web] = {"version": 3, "etag": "A", "bindings": [theirs]}
    google.plugin.bind(SHOP, "shop-prod", {"web": web})
    assert theirs in google.cloud.iam.policies[web]["bindings"]
    assert "serviceAccount:acme-shop.svc.id.goog[shop-prod/web]" in _members(google, web)


def test_volumes_of_another_region_are_another_clusters(google: World) -> None:
    """A cluster of that name that was there before: its disks cannot be attached here, nor are they here to be deleted."""
    disk(google, "data-db-0")
    share(google)
    elsewhere = Cluster(name="shop", region="us-central1")
    assert google.plugin.kept_data(elsewhere, "") == []
    assert google.plugin.persistent_volumes(elsewhere, "shop-prod") == []
    google.plugin.delete_kept_data(elsewhere, "shop-prod", nowhere)
    assert len(google.plugin.kept_data(SHOP, "")) == 2
