"""What goes wrong in Azure, in words for a person."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from portable.errors import ClusterGone, ProviderError, SpecError
from portable.provider import Record
from portable.spec.model import Cluster, Nodes
from portable_azure import Azure, operations
from portable_azure.session import Session
from tests.clouds.azure.aks import Body, Refusal
from tests.clouds.azure.service import SUBSCRIPTION
from tests.clouds.azure.world import serving
from tests.clouds.front import Fault, HttpReply, HttpRequest
from tests.contract.azure.conftest import AUTOMATIC, STANDARD, Bench, fast
from tests.contract.dns.azure_dns import GROUP, ZONES, AzureDnsService

pytestmark = pytest.mark.contract


def refused(call: Callable[[], object]) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call()
    assert caught.value.fix, "what to do about it?"
    return caught.value


@pytest.mark.parametrize(
    ("code", "message", "cure"),
    [
        ("QuotaExceeded", "Operation results in exceeding quota limits of Core.", "more quota"),
        ("SkuNotAvailable", "Standard_D2s_v5 is not available in westeurope.", "another region"),
        ("AllocationFailed", "We do not have sufficient capacity.", "another size"),
        ("ReconcileVMSSAgentPoolFailed", "Unable to establish outbound connection from agents.", "mend what it says"),
    ],
)
def test_an_operation_that_fails_says_why_and_is_tried_again(bench: Bench, code: str, message: str, cure: str) -> None:
    bench.service.fail = {"code": code, "message": message}
    error = refused(lambda: bench.up(AUTOMATIC))
    assert error.message == f"creating the cluster shop: Azure says {code}"
    assert message in error.detail
    assert cure in error.fix
    found = bench.plugin().find(AUTOMATIC)
    assert found is not None
    assert (found.healthy, found.detail) == (False, "Failed")
    # the half-made cluster is gone on with, not made beside
    assert bench.up(AUTOMATIC) == ["create cluster", "create disks", "create access", "create audit"]
    assert bench.service.cluster("shop")["properties"]["provisioningState"] == "Succeeded"
    assert len(bench.service.clusters) == 1


def test_a_failed_change_is_seen_and_repaired_by_the_next_up(bench: Bench) -> None:
    bench.up(STANDARD)
    wanted = replace(STANDARD, allow=("203.0.113.0/24",))
    bench.service.fail = {"code": "InternalOperationError", "message": "Internal server error."}
    refused(lambda: bench.up(wanted))
    found = bench.stack().preview(bench.plugin().cluster(wanted))["cluster"]
    assert found is not None
    assert found.changes == ("state",)
    assert bench.up(wanted) == ["update cluster"]
    assert bench.up(wanted) == []


def test_a_failed_node_pool_is_repaired(bench: Bench) -> None:
    bench.up(STANDARD)
    wanted = replace(STANDARD, pools={"default": Nodes(4)})
    bench.service.fail = {"code": "QuotaExceeded", "message": "quota"}
    assert refused(lambda: bench.up(wanted)).message == "changing the node pool default: Azure says QuotaExceeded"
    assert bench.up(wanted) == ["update pool-default"]
    assert bench.up(wanted) == []


def test_a_version_that_is_not_offered_is_named_with_those_that_are(bench: Bench) -> None:
    error = refused(lambda: bench.up(replace(AUTOMATIC, version="1.99")))
    assert error.message == "AKS does not offer Kubernetes 1.99 in westeurope"
    assert error.detail == "there is: 1.30, 1.31, 1.32, 1.33"
    assert bench.service.clusters == {}
    bench.up(AUTOMATIC)
    newer = bench.plugin().cluster(replace(AUTOMATIC, version="1.99"))
    assert refused(lambda: bench.stack().preview(newer)).message == error.message, "a plan says so too"


def test_another_operation_under_way_is_waited_for(bench: Bench) -> None:
    bench.up(STANDARD)
    service = bench.service
    service.slow = 3
    key = next(iter(service.clusters))
    service._begin(key, lambda failed: None, ["Updating"] * 3)
    assert bench.up(replace(STANDARD, allow=("203.0.113.0/24",))) == ["update cluster"]


def test_a_cluster_changed_between_look_and_write_is_read_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.up(STANDARD)
    service, put = bench.service, bench.service._cluster_put
    met: list[str] = []

    def meddled(call: object) -> object:
        if not met:
            met.append("once")
            cluster = service.cluster("shop")
            cluster["eTag"] = '"somebody-was-faster"'
            cluster["tags"]["costs"] = "theirs"
        return put(call)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(service, "_cluster_put", meddled)
    bench.up(replace(STANDARD, allow=("203.0.113.0/24",)))
    assert service.cluster("shop")["tags"]["costs"] == "theirs", "their change was overwritten"
    assert bench.calls.count("ManagedClusters_CreateOrUpdate") == 3, "made, refused, written"


def test_a_broken_connection_in_the_middle_is_gone_on_with(bench: Bench) -> None:
    """Without the SDK's own retries: the operation is taken up by its continuation token."""
    session = Session(interval=0.001, options={"retry_total": 0})
    bench.world.front.expect("Operations_Get", Fault.RESET)
    stack = type(bench.stack())(Azure(session).resource_types(), bench.state)
    assert "create cluster" in stack.up(bench.plugin().cluster(AUTOMATIC))
    assert bench.calls.count("ManagedClusters_CreateOrUpdate") == 1
    assert bench.world.front.unused == []


def test_a_missing_permission_is_named_with_its_place(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(call: object) -> object:
        action = "Microsoft.Authorization/roleAssignments/write"
        raise Refusal(
            403,
            "AuthorizationFailed",
            f"The client 'x' with object id 'y' does not have authorization to perform action '{action}' over scope "
            "'/subscriptions/s/resourceGroups/portable-shop_data' or the scope is invalid.",
        )

    monkeypatch.setattr(bench.service, "_role_put", denied)
    error = refused(lambda: bench.up(AUTOMATIC))
    assert error.message.endswith("the permission Microsoft.Authorization/roleAssignments/write is missing")
    assert error.detail == "at /subscriptions/s/resourceGroups/portable-shop_data"
    assert "portable providers show azure" in error.fix


def test_wrong_credentials_name_the_chain(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "a-wrong-secret")
    error = refused(lambda: bench.plugin().find(AUTOMATIC))
    assert "no Azure credentials" in error.message
    assert "workload identity, managed identity" in error.detail
    assert "az login" in error.fix
    assert "a-wrong-secret" not in f"{error.message} {error.detail} {error.fix}"
    (broken,) = error.detail.splitlines()[1:]
    assert broken.startswith("EnvironmentCredential: "), "of what is not set up nothing is said"


def test_credentials_that_end_are_told_and_up_goes_on_with_new_ones(bench: Bench) -> None:
    bench.world.front.expect("Operations_Get", Fault.EXPIRED)
    error = refused(lambda: bench.up(AUTOMATIC))
    assert "does not accept the credentials" in error.message
    bench.world.front.renew()
    assert bench.up(AUTOMATIC) == ["create cluster", "create disks", "create access", "create audit"]
    assert len(bench.service.clusters) == 1


def test_a_cloud_that_does_not_answer_is_no_traceback(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTABLE_AZURE_ENDPOINT", "https://127.0.0.1:9")
    error = refused(lambda: Azure(Session(options={"retry_total": 0})).find(AUTOMATIC))
    assert error.message == "looking at the cluster shop: Azure did not answer"


def test_throttling_that_goes_on_is_told(bench: Bench) -> None:
    session = Session(interval=0.001, options={"retry_total": 0})
    bench.world.front.expect("ManagedClusters_Get", Fault.THROTTLE)
    error = refused(lambda: Azure(session).find(AUTOMATIC))
    assert error.message == "looking at the cluster shop: Azure says TooManyRequests"


def test_a_stranger_to_the_api_server_is_told_and_not_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.service, "accepts", lambda token: False)
    error = refused(lambda: bench.up(AUTOMATIC))
    assert error.message == "the API server of the cluster shop does not know who we are"


def test_no_subscription_and_no_location_name_every_place_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AZURE_SUBSCRIPTION_ID", "AZURE_DEFAULTS_LOCATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))
    error = refused(lambda: Azure().cluster(AUTOMATIC))
    assert "AZURE_SUBSCRIPTION_ID" in error.detail
    assert str(tmp_path / "azureProfile.json") in error.detail
    # as az writes it, byte order mark included
    (tmp_path / "azureProfile.json").write_text(
        '{"subscriptions": [{"id": "aaa", "isDefault": false}, {"id": "bbb", "isDefault": true}]}', encoding="utf-8-sig"
    )
    error = refused(lambda: Azure().cluster(AUTOMATIC))
    assert all(
        place in error.detail for place in ("cluster.region", "AZURE_DEFAULTS_LOCATION", str(tmp_path / "config"))
    )
    (tmp_path / "config").write_text("[defaults]\nlocation = North Europe\n")
    inputs = Azure().cluster(AUTOMATIC)[2].inputs
    assert (inputs["subscription"], inputs["location"]) == ("bbb", "northeurope")


def test_what_the_sdk_logs_does_not_stand_between(bench: Bench) -> None:
    asks = (
        "from portable.errors import ProviderError\nfrom portable_azure.session import Session\n"
        "try:\n    Session().cluster_token()\nexcept ProviderError as error:\n    print(error.message)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "AZURE_CLIENT_SECRET"}
    asked = subprocess.run([sys.executable, "-c", asks], env=environment, capture_output=True, text=True, check=True)
    assert "no Azure credentials were found" in asked.stdout
    assert asked.stderr == ""


def test_a_dns_record_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    service = AzureDnsService()
    service.account.slow = 400
    work = service.account._started(lambda: None, ["InProgress"] * 400)
    with serving(service) as world:  # pyright: ignore[reportArgumentType]
        for name, value in world.environment.items():
            monkeypatch.setenv(name, value)
        answer = service.answer
        at = f"{world.front.url}/subscriptions/{SUBSCRIPTION}/operationresults/{work.id}?api-version=2025-04-01"

        def slow(request: HttpRequest) -> HttpReply:
            return HttpReply(202, b"", {"Location": at}) if request.method in ("PUT", "DELETE") else answer(request)

        monkeypatch.setattr(service, "answer", slow)
        monkeypatch.setattr(operations, "TIMEOUT", 0.0)
        zone, record = (
            f"{GROUP}/providers/Microsoft.Network/dnszones/{ZONES[0]}",
            Record("a.example.test", "A", ("192.0.2.1",)),
        )
        zones = Azure(fast()).dns(AUTOMATIC)
        for change in (zones.upsert, zones.delete):
            error = refused(partial(change, zone, record))
            assert error.message.startswith(("writing the DNS record of a.", "deleting the DNS record of a."))
            assert "is not done after" in error.message
        work.states.clear()


def test_an_unknown_subscription_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", "99999999-0000-0000-0000-000000000000")
    # a lookup finds no cluster there; making one says why not
    error = refused(lambda: bench.stack().up(bench.plugin().cluster(AUTOMATIC), refresh=False))
    assert "SubscriptionNotFound" in error.message


def test_a_pool_that_no_machine_fits_is_a_problem_of_the_spec(bench: Bench) -> None:
    with pytest.raises(SpecError) as caught:
        bench.plugin().cluster(Cluster("shop", pools={"big": Nodes(cpu="500")}))
    (problem,) = caught.value.problems
    assert problem.path == "cluster.pools.big"
    assert "500 cores" in problem.message


@pytest.mark.parametrize(
    ("cluster", "path"),
    [
        (replace(AUTOMATIC, allow=("not an address",)), "cluster.api.allow"),
        (Cluster("shop", pools={"system": Nodes(1)}), "cluster.pools.system"),
        (Cluster("shop", pools={"default": Nodes(3, 2)}), "cluster.nodes.max"),
        (Cluster("shop", pools={"for-reports": Nodes(1)}), "cluster.pools.for-reports"),
    ],
)
def test_what_aks_would_refuse_is_found_before(bench: Bench, cluster: Cluster, path: str) -> None:
    plugin = bench.plugin()
    types = plugin.resource_types()
    problems = [problem for each in plugin.cluster(cluster) for problem in types[each.type].check(dict(each.inputs))]
    assert [problem.path for problem in problems] == [path]


def test_a_foreign_group_of_our_name_is_refused(bench: Bench) -> None:
    bench.service._make_group("portable-shop", "westeurope", {})
    error = refused(lambda: bench.up(AUTOMATIC))
    assert error.message == "a resource group portable-shop exists and was not made by portable"
    assert "existing" in error.fix
    before: Body = bench.service.groups["portable-shop"]
    assert before["tags"] == {}


def test_there_are_no_credentials_of_an_existing_cluster_that_is_not_there(bench: Bench) -> None:
    with pytest.raises(ClusterGone, match="no cluster prod"):
        Azure(fast()).credentials(Cluster("prod", existing=True))
