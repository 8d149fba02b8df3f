"""What outlives a cluster: disks and their price, what the sweep finds, who trusts whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portable.errors import ProviderError
from portable.events import nowhere
from portable.provider import Identities, KeptData, KeptVolumes, Sweep, Tokens
from portable.spec.model import Cluster
from portable_azure import audit
from tests.clouds.azure.service import SUBSCRIPTION
from tests.clouds.front import HttpReply
from tests.contract.azure.conftest import AUTOMATIC, STANDARD, Bench

pytestmark = pytest.mark.contract

DATA = "portable-shop_data"


def test_the_plugin_has_these_capabilities(bench: Bench) -> None:
    for capability in (KeptData, KeptVolumes, Sweep, Tokens, Identities):
        assert isinstance(bench.plugin(), capability)


def test_the_classes_put_disks_where_they_outlive_the_cluster(bench: Bench) -> None:
    classes = {each["metadata"]["name"]: each for each in bench.plugin().profile(AUTOMATIC).storage.objects}
    for each in classes.values():
        assert each["parameters"]["resourceGroup"] == DATA
        assert each["parameters"]["tags"] == "portable:stack=azure.shop"
    assert set(classes) == {"portable-disk", "portable-file"}
    assert classes["portable-disk"]["volumeBindingMode"] == "WaitForFirstConsumer"


def test_disks_survive_destroy_are_listed_and_bound_again(bench: Bench) -> None:
    bench.up(AUTOMATIC)
    bench.service.disk(DATA, "pvc-1", claim="shop/data-db-0", size=20, stack="azure.shop", zone="2")
    bench.service.disk(DATA, "pvc-2", claim="other/files", size=4, stack="azure.shop")
    bench.stack().destroy()
    assert [words.split()[0] for words in bench.service.leftovers()] == ["disk", "disk", "group"]
    plugin = bench.plugin()
    assert plugin.kept_data(AUTOMATIC, "shop") == (
        "shop/data-db-0 (20 GiB, about $2.40 a month, list price of 2026-10)",
    )
    assert len(plugin.kept_data(AUTOMATIC, "")) == 2
    assert bench.up(AUTOMATIC)[0] == "create group"
    (volume,) = plugin.persistent_volumes(AUTOMATIC, "shop")
    spec = volume["spec"]
    assert volume["metadata"]["name"] == "pvc-1"
    assert spec["claimRef"] == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": "shop",
        "name": "data-db-0",
    }
    assert spec["storageClassName"] == plugin.profile(AUTOMATIC).storage.single
    assert spec["capacity"] == {"storage": "20Gi"}
    assert spec["csi"]["volumeHandle"].endswith("/Microsoft.Compute/disks/pvc-1")
    (term,) = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["values"] == ["westeurope-2"]
    plugin.delete_kept_data(AUTOMATIC, "shop", nowhere)
    assert plugin.kept_data(AUTOMATIC, "") == ("other/files (4 GiB, about $0.30 a month, list price of 2026-10)",)
    plugin.delete_kept_data(AUTOMATIC, "", nowhere)
    bench.stack().destroy()
    assert bench.service.leftovers() == []


def test_a_disk_that_a_node_still_holds_is_waited_for(bench: Bench) -> None:
    bench.up(AUTOMATIC)
    bench.service.disk(DATA, "pvc-1", claim="shop/data")
    disk = next(body for id, body in bench.service.things.items() if id.endswith("/pvc-1"))
    disk["properties"]["diskState"] = "Attached"
    told: list[str] = []

    def let_go(event: object) -> None:
        told.append(getattr(event, "detail", ""))
        disk["properties"]["diskState"] = "Unattached"

    bench.plugin().delete_kept_data(AUTOMATIC, "", let_go)
    assert "a node still holds it" in told[0]
    assert bench.plugin().kept_data(AUTOMATIC, "") == ()


def test_two_disks_of_one_claim_are_not_chosen_between(bench: Bench) -> None:
    bench.up(AUTOMATIC)
    for name in ("pvc-1", "pvc-2"):
        bench.service.disk(DATA, name, claim="shop/data")
    with pytest.raises(ProviderError, match="two kept disks belong to shop/data: pvc-1, pvc-2"):
        bench.plugin().persistent_volumes(AUTOMATIC, "shop")


def test_a_claim_whose_disk_is_in_use_needs_none(bench: Bench) -> None:
    bench.up(AUTOMATIC)
    for name, claim in (("pvc-1", "shop/data"), ("pvc-2", "shop/data"), ("pvc-3", "shop/free")):
        bench.service.disk(DATA, name, claim=claim)
    disk = next(body for id, body in bench.service.things.items() if id.endswith("/pvc-1"))
    for state in ("Attached", "Reserved"):
        disk["properties"]["diskState"] = state
        (volume,) = bench.plugin().persistent_volumes(AUTOMATIC, "shop")
        assert volume["metadata"]["name"] == "pvc-3"
    assert len(bench.plugin().kept_data(AUTOMATIC, "shop")) == 3, "what is in use is data all the same"


def test_an_existing_cluster_has_no_data_of_ours(bench: Bench) -> None:
    theirs = Cluster("shop", existing=True)
    plugin = bench.plugin()
    assert plugin.kept_data(theirs, "") == ()
    assert plugin.persistent_volumes(theirs, "") == ()
    assert plugin.leftovers(theirs) == ()
    assert bench.calls == []


def test_the_sweep_finds_what_a_lost_state_left_and_removes_it(bench: Bench) -> None:
    """As after a teardown that somebody did by hand, with the state lost."""
    bench.up(STANDARD)
    bench.service.disk(DATA, "pvc-1", claim="shop/data", size=32)
    bench.service.identity("web", "client-of-web")
    plugin = bench.plugin()
    plugin.bind(STANDARD, "shop", {"web": "client-of-web"})
    bench.service.clusters.clear()
    found = plugin.leftovers(STANDARD)
    assert [(each.kind, each.id.rpartition("/")[2], each.data) for each in found] == [
        ("resource group", "MC_portable-shop_shop_westeurope", False),
        ("storage account", audit.account(SUBSCRIPTION, "shop"), False),
        ("resource group", "portable-shop", False),
        ("disk", "pvc-1", True),
        ("resource group", DATA, False),
        ("federated credential", found[-1].id.rpartition("/")[2], False),
    ]
    assert found[3].cost == "about $2.40 a month, list price of 2026-10"
    refused = plugin.remove(STANDARD, found[4], nowhere)
    assert refused == "it holds Microsoft.Compute/disks pvc-1", "data went with its group"
    assert [plugin.remove(STANDARD, each, nowhere) for each in found] == [""] * 6
    assert bench.service.leftovers() == []
    assert plugin.leftovers(STANDARD) == ()


def test_the_sweep_touches_nothing_of_a_cluster_that_is_there(bench: Bench) -> None:
    """As seen by someone who has lost the state, or another one: the group of its nodes carries our tag too."""
    bench.up(STANDARD)
    assert bench.plugin().leftovers(STANDARD) == ()
    bench.service.disk(DATA, "pvc-1", claim="shop/data", size=32)
    (disk,) = bench.plugin().leftovers(STANDARD)
    assert (disk.kind, disk.data) == ("disk", True)


def test_the_sweep_leaves_what_others_have(bench: Bench) -> None:
    bench.up(replace(AUTOMATIC, name="shop-two"))
    bench.service._make_group("portable-shop", "westeurope", {})
    assert bench.plugin().leftovers(AUTOMATIC) == ()


def test_a_group_with_our_tag_that_no_cluster_of_ours_manages_is_left(bench: Bench) -> None:
    """Somebody has tagged it by hand, or an app with all of its neighbours' tags was copied."""
    tag = {"portable:stack": "azure.shop"}
    other = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/portable-two/providers/Microsoft.ContainerService/managedClusters/two"
    bench.service._make_group("theirs", "westeurope", tag)
    bench.service._make_group("MC_portable-two_two_westeurope", "westeurope", tag, other)
    assert bench.plugin().leftovers(AUTOMATIC) == ()


def test_a_long_removal_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.up(AUTOMATIC)
    bench.service.clusters.clear()
    plugin = bench.plugin()
    account = next(each for each in plugin.leftovers(AUTOMATIC) if each.kind == "storage account")
    bench.service.slow = 400
    work = bench.service._started(lambda: None, ["InProgress"] * 400)
    location = f"{bench.world.front.url}/subscriptions/{SUBSCRIPTION}/operationresults/{work.id}?api-version=2025-04-01"
    monkeypatch.setattr(bench.service, "_thing_delete", lambda _call: HttpReply(202, b"", {"Location": location}))
    told: list[str] = []

    def goes_on(event: object) -> None:
        told.append(getattr(event, "detail", ""))
        work.states.clear()

    assert plugin.remove(AUTOMATIC, account, goes_on) == ""
    assert told[0].startswith(f"deleting the storage account {audit.account(SUBSCRIPTION, 'shop')}: InProgress")


def test_a_service_account_is_trusted_by_its_identity(bench: Bench) -> None:
    bench.up(STANDARD)
    bench.service.identity("web", "Client-Of-Web")
    plugin = bench.plugin()
    plugin.bind(STANDARD, "shop", {"web": "client-of-web"})
    trust = next(body for id, body in bench.service.things.items() if "federated" in id)
    issuer = bench.service.cluster("shop")["properties"]["oidcIssuerProfile"]["issuerURL"]
    assert trust["properties"] == {
        "issuer": issuer,
        "subject": "system:serviceaccount:shop:web",
        "audiences": ["api://AzureADTokenExchange"],
    }
    calls = bench.calling(lambda: plugin.bind(STANDARD, "shop", {"web": "client-of-web"}))
    assert "FederatedIdentityCredentials_CreateOrUpdate" not in calls
    plugin.bind(STANDARD, "other", {"web": "client-of-web"})
    plugin.bind(STANDARD, "shop", {"api": "client-of-web"})
    subjects = {body["properties"]["subject"] for id, body in bench.service.things.items() if "federated" in id}
    assert subjects == {"system:serviceaccount:other:web", "system:serviceaccount:shop:api"}
    plugin.bind(STANDARD, "shop", {})
    subjects = {body["properties"]["subject"] for id, body in bench.service.things.items() if "federated" in id}
    assert subjects == {"system:serviceaccount:other:web"}, "another namespace's is another app's"


def test_an_identity_that_nobody_has_is_named(bench: Bench) -> None:
    bench.service.identity("web", "Client-Of-Web")
    wanted = {"web": "client-of-web", "worker": "nobody"}
    (problem,) = bench.plugin().identity_problems(STANDARD, wanted)  # before there is a cluster
    assert problem.path == "workloads.worker.identity"
    assert "nobody" in problem.message
    bench.up(STANDARD)
    with pytest.raises(ProviderError, match=r"workloads\.web\.identity: no managed identity .* nobody") as caught:
        bench.plugin().bind(STANDARD, "shop", {"web": "nobody"})
    assert "az identity list" in caught.value.fix


def test_storage_accounts_of_shared_volumes_are_data(bench: Bench) -> None:
    bench.up(AUTOMATIC)
    id = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{DATA}/providers/Microsoft.Storage/storageAccounts/f1"
    bench.service.things[id.lower()] = {"id": id, "name": "f1", "type": "Microsoft.Storage/storageAccounts"}
    bench.stack().destroy()
    plugin = bench.plugin()
    account, group = plugin.leftovers(AUTOMATIC)
    assert (account.kind, account.data) == ("storage account", True)
    assert plugin.remove(AUTOMATIC, account, nowhere) == ""
    assert plugin.remove(AUTOMATIC, group, nowhere) == ""
    assert bench.service.groups == {}
