"""The life of a cluster, with the calls that Azure sees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portable.errors import ProviderError
from portable.events import Step
from portable.spec.model import Cluster, Nodes
from portable_azure import roles
from tests.clouds.azure.aks import Refusal
from tests.contract.azure.conftest import AUTOMATIC, STANDARD, Bench

pytestmark = pytest.mark.contract

READS = [
    "ResourceGroups_Get",
    "ResourceGroups_Get",
    "ManagedClusters_Get",
    "RoleAssignments_Get",
    "RoleAssignments_Get",
    "DiagnosticSettings_Get",
    "StorageAccounts_Get",
]


def test_automatic_is_made_looked_at_and_taken_down_with_these_calls(bench: Bench) -> None:
    made = bench.calling(lambda: bench.up(AUTOMATIC))
    assert made == [
        "ResourceGroups_Get",
        "ResourceGroups_CreateOrUpdate",
        "ResourceGroups_Get",
        "ResourceGroups_CreateOrUpdate",
        "ManagedClusters_Get",
        "ManagedClusters_ListKubernetesVersions",
        "ManagedClusters_CreateOrUpdate",
        # the SDK's last look, and ours
        "ManagedClusters_Get",
        "ManagedClusters_Get",
        "RoleAssignments_Create",
        "RoleAssignments_Get",
        "RoleAssignments_Create",
        "RoleAssignments_Get",
        "ManagedClusters_ListClusterUserCredentials",
        "StorageAccounts_Create",
        "ManagementPolicies_CreateOrUpdate",
        "DiagnosticSettings_CreateOrUpdate",
    ]
    assert bench.calling(lambda: bench.up(AUTOMATIC)) == READS
    assert bench.calling(bench.stack().destroy) == [
        "RoleAssignments_Delete",
        "DiagnosticSettings_Delete",
        "StorageAccounts_Delete",
        "RoleAssignments_Delete",
        "ManagedClusters_Get",
        "ManagedClusters_Delete",
        "ResourceGroups_Get",
        "Resources_ListByResourceGroup",
        "ResourceGroups_Delete",
        "ResourceGroups_Get",
        "Resources_ListByResourceGroup",
        "ResourceGroups_Delete",
    ]
    assert bench.service.leftovers() == []
    assert bench.service.things == {}


def test_automatic_has_what_is_asked_and_no_more(bench: Bench) -> None:
    bench.up(replace(AUTOMATIC, allow=("203.0.113.7", "198.51.100.0/24"), version="1.33"))
    cluster = bench.service.cluster("shop")
    properties = cluster["properties"]
    assert cluster["sku"] == {"name": "Automatic", "tier": "Standard"}
    assert cluster["tags"] == {"portable:stack": "azure.shop"}
    assert properties["currentKubernetesVersion"] == "1.33.3"
    assert properties["apiServerAccessProfile"] == {"authorizedIPRanges": ["198.51.100.0/24", "203.0.113.7/32"]}
    assert properties["ingressProfile"] == {"webAppRouting": {"enabled": True}}


def test_standard_is_secure_without_being_asked(bench: Bench) -> None:
    bench.up(STANDARD)
    properties = bench.service.cluster("shop")["properties"]
    assert properties["disableLocalAccounts"] is True
    assert properties["aadProfile"] == {"enableAzureRBAC": True, "managed": True}
    assert properties["securityProfile"] == {"workloadIdentity": {"enabled": True}}
    assert properties["oidcIssuerProfile"]["enabled"] is True
    assert properties["autoUpgradeProfile"] == {"nodeOSUpgradeChannel": "NodeImage", "upgradeChannel": "stable"}
    assert properties["networkProfile"]["networkDataplane"] == "cilium"
    assert properties["networkProfile"]["networkPluginMode"] == "overlay"
    system, user = properties["agentPoolProfiles"]
    assert system["nodeTaints"] == ["CriticalAddonsOnly=true:NoSchedule"]
    for pool in (system, user):
        assert pool["enableNodePublicIP"] is False
        assert pool["securityProfile"] == {"sshAccess": "Disabled"}
    assert (user["count"], user["vmSize"], user["enableAutoScaling"]) == (2, "Standard_D2s_v5", False)


def test_the_makers_role_is_waited_for(bench: Bench) -> None:
    bench.service.denied_reviews = 3
    bench.up(AUTOMATIC)
    assert bench.calls.count("Kubernetes_AccessReview") == 4
    things = bench.service.things.items()
    roles = {body["properties"]["roleDefinitionId"].split("/")[-1] for id, body in things if "roleassignments" in id}
    assert roles == {"b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b", "b24988ac-6180-42a0-ab88-20f7382dd24c"}


def test_a_role_that_somebody_gave_us_is_used_and_stays(bench: Bench) -> None:
    bench.up(AUTOMATIC)
    service, place = bench.service, bench.service.cluster("shop")["id"]
    service.things = {id: body for id, body in service.things.items() if "/managedclusters/shop/" not in id}
    theirs = service.role(place, roles.CLUSTER_ADMIN)
    assert "create access" in bench.up(AUTOMATIC)
    assert bench.up(AUTOMATIC) == [], "what is there was held to be gone"
    assert "RoleAssignments_Delete" in bench.calling(bench.stack().destroy), "that of the cluster's identity"
    assert bench.calls.count("RoleAssignments_Delete") == 1, f"somebody's {theirs} was taken back"


def test_who_may_not_assign_roles_needs_none_that_is_there(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.up(AUTOMATIC)
    service, place = bench.service, bench.service.cluster("shop")["id"]
    service.things = {id: body for id, body in service.things.items() if "/managedclusters/shop/" not in id}

    def denied(call: object) -> object:
        raise Refusal(403, "AuthorizationFailed", "The client does not have authorization to perform action 'x'.")

    monkeypatch.setattr(service, "_role_put", denied)
    group = place.partition("/providers/")[0]
    for other in (
        service.role(f"{place}/namespaces/one", roles.CLUSTER_ADMIN),
        service.role(place, roles.CONTRIBUTOR),
        service.role(place, roles.CLUSTER_ADMIN, principal="somebody"),
        service.role(place, roles.CLUSTER_ADMIN, condition="@Resource[x]"),
    ):
        with pytest.raises(ProviderError, match="the permission x is missing"):
            bench.up(AUTOMATIC)
        del service.things[other.lower()]
    theirs = service.role(group, roles.CLUSTER_ADMIN)
    assert "create access" in bench.up(AUTOMATIC)
    assert bench.up(AUTOMATIC) == []
    del service.things[theirs.lower()]
    with pytest.raises(ProviderError, match="the permission x is missing"):
        bench.up(AUTOMATIC)


def test_the_api_server_is_audited_and_the_log_ends_by_itself(bench: Bench) -> None:
    bench.up(AUTOMATIC)
    things = bench.service.things.items()
    setting = next(body for id, body in things if "diagnosticsettings" in id)
    assert {each["category"] for each in setting["properties"]["logs"]} == {"kube-audit-admin", "guard"}
    account = bench.service.things[setting["properties"]["storageAccountId"].lower()]
    assert account["tags"] == {"portable:stack": "azure.shop"}
    assert account["properties"]["allowBlobPublicAccess"] is False
    assert account["properties"]["minimumTlsVersion"] == "TLS1_2"
    policy = next(body for id, body in things if "managementpolicies" in id)
    (rule,) = policy["properties"]["policy"]["rules"]
    assert rule["definition"]["actions"] == {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 90}}}
    setting["properties"]["logs"][0]["enabled"] = False
    assert bench.up(AUTOMATIC) == ["update audit"], "somebody turned the audit log off"
    assert bench.up(AUTOMATIC) == []


def test_progress_names_what_is_made_and_the_usual_time(bench: Bench) -> None:
    bench.service.slow = 3
    bench.up(AUTOMATIC)
    told = [event.detail for event in bench.events if isinstance(event, Step)]
    assert any("Kubernetes 1.32 (usually 4-8 min)" in words for words in told)
    assert bench.calls.count("Operations_Get") == 4, "a state that nobody has seen before ended the wait"


def test_pools_scale_and_come_and_go(bench: Bench) -> None:
    bench.up(STANDARD)
    scaled = replace(STANDARD, pools={"default": Nodes(2, 5), "big": Nodes(1, cpu="7", memory="20Gi", spot=True)})
    assert bench.up(scaled) == ["update pool-default", "create pool-big"]
    pools = {pool["name"]: pool for pool in bench.service.cluster("shop")["properties"]["agentPoolProfiles"]}
    assert (pools["default"]["minCount"], pools["default"]["maxCount"]) == (2, 5)
    assert pools["big"]["vmSize"] == "Standard_D8s_v5"
    assert (pools["big"]["scaleSetPriority"], pools["big"]["scaleSetEvictionPolicy"]) == ("Spot", "Delete")
    pools["default"]["count"] = 4
    assert bench.up(scaled) == [], "the autoscaler's count is no drift"
    fixed = replace(STANDARD, pools={"default": Nodes(3)})
    assert bench.up(fixed) == ["update pool-default", "delete pool-big"]
    pools = {pool["name"]: pool for pool in bench.service.cluster("shop")["properties"]["agentPoolProfiles"]}
    assert set(pools) == {"system", "default"}
    assert (pools["default"]["count"], pools["default"]["enableAutoScaling"]) == (3, False)
    assert bench.up(fixed) == []


def test_an_upgrade_takes_one_minor_at_a_time_and_the_pools_with_it(bench: Bench) -> None:
    bench.up(replace(STANDARD, version="1.31"))
    wanted = replace(STANDARD, version="1.33")
    calls = bench.calling(lambda: bench.up(wanted))
    changes = [call for call in calls if call.endswith("CreateOrUpdate")]
    # control plane, system pool, user pool; each for 1.32 and 1.33
    assert changes == ["ManagedClusters_CreateOrUpdate", *["AgentPools_CreateOrUpdate"] * 2] * 2
    properties = bench.service.cluster("shop")["properties"]
    assert properties["currentKubernetesVersion"] == "1.33.3"
    assert {pool["currentOrchestratorVersion"] for pool in properties["agentPoolProfiles"]} == {"1.33.3"}
    assert bench.up(wanted) == []


def test_pools_that_an_interrupted_upgrade_left_behind_are_upgraded(bench: Bench) -> None:
    bench.up(replace(STANDARD, version="1.31"))
    bench.service.cluster("shop")["properties"]["currentKubernetesVersion"] = "1.32.7"
    calls = bench.calling(lambda: bench.up(replace(STANDARD, version="1.32")))
    assert [call for call in calls if call.endswith("CreateOrUpdate")] == ["AgentPools_CreateOrUpdate"] * 2


def test_without_a_version_an_upgrade_by_azure_is_no_change(bench: Bench) -> None:
    bench.up(AUTOMATIC)
    bench.service.cluster("shop")["properties"]["currentKubernetesVersion"] = "1.33.3"
    assert bench.up(AUTOMATIC) == []


def test_there_is_no_way_back_to_an_older_version(bench: Bench) -> None:
    bench.up(replace(STANDARD, version="1.33"))
    with pytest.raises(ProviderError, match="cannot go back") as caught:
        bench.up(replace(STANDARD, version="1.32"))
    assert 'cluster.version to "1.33"' in caught.value.fix


def test_changes_behind_our_back_are_put_back(bench: Bench) -> None:
    cluster = replace(STANDARD, allow=("203.0.113.0/24",))
    bench.up(cluster)
    live = bench.service.cluster("shop")
    live["properties"]["apiServerAccessProfile"] = {"authorizedIPRanges": []}
    live["properties"]["disableLocalAccounts"] = False
    live["properties"]["agentPoolProfiles"][1]["count"] = 7
    live["tags"]["costs"] = "theirs"
    found = bench.stack().preview(bench.plugin().cluster(cluster))
    assert {name: set(diff.changes) for name, diff in found.items() if diff} == {
        "cluster": {"properties/apiServerAccessProfile/authorizedIPRanges", "properties/disableLocalAccounts"},
        "pool-default": {"properties/count"},
    }
    assert bench.up(cluster) == ["update cluster", "update pool-default"]
    assert live["properties"]["disableLocalAccounts"] is True
    assert live["properties"]["apiServerAccessProfile"] == {"authorizedIPRanges": ["203.0.113.0/24"]}
    assert live["properties"]["agentPoolProfiles"][1]["count"] == 2
    assert live["tags"] == {"portable:stack": "azure.shop", "costs": "theirs"}, "somebody's tag was lost"
    assert bench.up(cluster) == []


def test_a_stopped_cluster_is_started(bench: Bench) -> None:
    bench.up(AUTOMATIC)
    bench.service.cluster("shop")["properties"]["powerState"] = {"code": "Stopped"}
    found = bench.plugin().find(AUTOMATIC)
    assert found is not None
    assert (found.healthy, found.detail) == (False, "Succeeded, stopped")
    assert bench.up(AUTOMATIC) == ["update cluster"]
    assert bench.service.cluster("shop")["properties"]["powerState"] == {"code": "Running"}


def test_a_cluster_that_vanished_is_made_again_with_its_roles(bench: Bench) -> None:
    bench.up(AUTOMATIC)
    first = bench.plugin().find(AUTOMATIC)
    bench.service.clusters.clear()
    bench.service.things = {id: body for id, body in bench.service.things.items() if "managedclusters" not in id}
    assert bench.up(AUTOMATIC) == ["create cluster", "create disks", "create access", "create audit"]
    second = bench.plugin().find(AUTOMATIC)
    assert first is not None
    assert second is not None
    assert first.uid != second.uid
    roles = [id for id in bench.service.things if "roleassignments" in id]
    assert len(roles) == 2, "the role of the first cluster's identity was left"


@pytest.mark.parametrize("change", [{"region": "eastus"}, {"pools": {"default": Nodes(1)}}])
def test_what_would_need_another_cluster_is_refused(bench: Bench, change: dict[str, object]) -> None:
    bench.up(AUTOMATIC)
    before = dict(bench.service.clusters)
    with pytest.raises(ProviderError) as caught:
        bench.up(replace(AUTOMATIC, **change))  # pyright: ignore[reportArgumentType]
    assert "portable migrate" in caught.value.fix
    assert bench.service.clusters == before


def test_another_machine_type_for_a_pool_is_refused(bench: Bench) -> None:
    bench.up(STANDARD)
    with pytest.raises(ProviderError, match="cannot change") as caught:
        bench.up(replace(STANDARD, pools={"default": Nodes(2, cpu="8")}))
    assert "another name" in caught.value.fix


def test_an_existing_cluster_is_found_by_its_name_and_used_as_it_is(bench: Bench) -> None:
    bench.service.foreign_cluster("theirs", "prod")
    cluster = Cluster("prod", existing=True)
    plugin = bench.plugin()
    assert plugin.cluster(cluster) == ()
    found = plugin.find(cluster)
    assert found is not None
    assert (found.name, found.healthy, found.version) == ("prod", True, "1.32.7")
    assert plugin.profile(cluster).storage.single == "managed-csi"
    assert "portable-azure-prod" in plugin.credentials(cluster).kubeconfig
    assert plugin.find(Cluster("prod", existing=True, region="eastus")) is None
    bench.service.foreign_cluster("theirs-too", "prod")
    with pytest.raises(ProviderError, match="2 clusters prod"):
        plugin.find(cluster)


def test_a_group_with_something_of_the_users_in_it_stays(bench: Bench) -> None:
    bench.up(AUTOMATIC)
    id = "/subscriptions/s/resourcegroups/portable-shop/providers/microsoft.network/publicipaddresses/mine"
    bench.service.things[id] = {"id": id, "name": "mine", "type": "Microsoft.Network/publicIPAddresses"}
    bench.stack().destroy()
    assert bench.service.leftovers() == ["group portable-shop"]
    assert any("publicIPAddresses mine" in getattr(event, "message", "") for event in bench.events)


def test_another_subscription_makes_no_second_cluster(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.up(STANDARD)
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", "99999999-0000-0000-0000-000000000000")
    for operation in (lambda: bench.up(STANDARD), lambda: bench.stack().destroy()):
        with pytest.raises(ProviderError, match=r"is in the subscription 0000.* and 9999") as caught:
            operation()
        assert "az account set --subscription 0000" in caught.value.fix
    assert len(bench.service.clusters) == 1


def test_the_nodes_of_an_automatic_cluster_may_be_older(bench: Bench) -> None:
    wanted = replace(AUTOMATIC, version="1.33")
    bench.up(wanted)
    node = {"name": "hosted", "currentOrchestratorVersion": "1.32.7", "provisioningState": "Succeeded"}
    bench.service.cluster("shop")["properties"]["agentPoolProfiles"].append(node)
    assert bench.up(wanted) == []
