"""A recording of the real service (kubernetes-sigs/cloud-provider-azure) played to the real client through our code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from portable.events import nowhere
from portable_azure import clusters, groups, operations, versions
from portable_azure.clusters import live_cluster, writable
from tests.clouds.azure import schema
from tests.clouds.azure.entra import Entra
from tests.clouds.azure.world import certified, environment
from tests.clouds.front import Fault, Front, HttpReply, HttpRequest
from tests.contract.azure.conftest import fast

pytestmark = pytest.mark.contract

FILE = schema.CONTRACTS / "aks" / "cloud-provider-azure-managedclusterclient-AZURECLOUD.yaml"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
GROUP, NAME = "aks-cit-ManagedCluster", "testResource"
HOST = "https://management.azure.com"


class Recording:
    """Answers each call with what was answered to the next one of its method and path; bodies and headers as they are."""

    def __init__(self) -> None:
        self.entra = Entra()
        self.bodies: list[dict[str, Any]] = []
        self._left = [
            (entry["request"]["method"], entry["request"]["url"].removeprefix(HOST).split("?")[0].lower(), entry)
            for entry in yaml.load(FILE.read_text(), Loader=yaml.CSafeLoader)["interactions"]
        ]

    def name(self, request: HttpRequest) -> str:
        return f"{request.method} {request.path.rpartition('/')[2]}"

    def answer(self, request: HttpRequest) -> HttpReply:
        if "openid-configuration" in request.path:
            return self.entra.configuration(request)
        if request.path.endswith("/token"):
            return self.entra.token(request)
        self.bodies += [json.loads(request.body)] if request.body else []
        place = next(
            place
            for place, (method, path, _) in enumerate(self._left)
            if (method, path) == (request.method, request.path.lower())
        )
        reply = self._left.pop(place)[2]["response"]
        here = f"https://{request.headers['host']}"
        headers = {name: values[0].replace(HOST, here) for name, values in reply["headers"].items()}
        headers.pop("Content-Length", None)
        return HttpReply(reply["code"], reply["body"].encode(), headers)

    def refusal(self, fault: Fault, request: HttpRequest) -> HttpReply:
        raise NotImplementedError

    def leftovers(self) -> list[str]:
        return []


@pytest.fixture
def recording(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    if not FILE.exists():
        pytest.skip(f"the recording is not there: {FILE} (PORTABLE_CONTRACTS)")
    service = Recording()
    with Front(service, tls=certified(tmp_path)).serving() as front:
        for name, value in environment(front, tmp_path, subscription=SUBSCRIPTION).items():
            monkeypatch.setenv(name, value)
        yield service


INPUTS = {
    "name": NAME,
    "group": GROUP,
    "subscription": SUBSCRIPTION,
    "owner": "azure.testResource",
    "automatic": False,
    "version": "1.30",
    "allow": [],
    "location": "eastus",
}


def test_the_recorded_creation_is_waited_for_and_read(recording: Recording) -> None:
    session = fast()
    parameters: Any = {"location": "eastus", "properties": {"dnsPrefix": "x"}}
    made = operations.finish(
        session,
        lambda **resumed: session.containers.managed_clusters.begin_create_or_update(
            GROUP, NAME, parameters, **resumed
        ),
        what="cluster",
        emit=nowhere,
    )
    outputs = clusters._outputs(INPUTS, made.as_dict())
    assert outputs["uid"] == "67c570d3f5306600015c42fa"
    assert (outputs["state"], outputs["power"]) == ("Succeeded", "Running")
    assert (outputs["version"], outputs["lowest"]) == ("1.30.9", "1.30.9")
    assert outputs["principal"] == SUBSCRIPTION
    assert outputs["nodeGroup"] == "MC_aks-cit-ManagedCluster_testResource_eastus"
    assert versions.steps(outputs["lowest"], "1.30") == []


def test_what_azure_describes_can_be_written_back(recording: Recording) -> None:
    """GET, then PUT of the whole: nothing that only Azure writes is left in it, by Microsoft's own schema."""
    live = live_cluster(fast(), GROUP, NAME)
    assert live is not None
    assert live["properties"]["provisioningState"]
    body = writable(live)
    # one word comes in a case that is not the schema's; Azure compares without it
    balancer = body["properties"]["networkProfile"]["loadBalancerProfile"]
    assert balancer.pop("backendPoolType") == "nodeIPConfiguration"
    assert schema.faults("managedClusters", NAME, body) == []
    assert body["properties"]["agentPoolProfiles"][0]["count"] == 3
    assert body["properties"]["networkProfile"]["networkPluginMode"] == "overlay"


def test_the_recorded_request_keeps_to_the_schema_and_a_wrong_one_does_not(recording: Recording) -> None:
    sent = next(
        entry["request"]["body"] for _, _, entry in recording._left if "linuxProfile" in entry["request"]["body"]
    )
    body = json.loads(sent)
    assert schema.faults("managedClusters", NAME, body) == []
    wrong = json.loads(sent)
    wrong["properties"]["disableLocalAcounts"] = True
    wrong["sku"]["name"] = "Basic"
    assert len(schema.faults("managedClusters", NAME, wrong)) == 2


def test_what_is_not_there_is_none(recording: Recording) -> None:
    assert live_cluster(fast(), GROUP, "testResourcenotfound") is None


def test_the_recorded_deletion_ends_though_it_carries_an_error(recording: Recording) -> None:
    """Its operation says Succeeded and NotLatestOperation at once, as the service really did."""
    session = fast()
    operations.finish(
        session,
        lambda **resumed: session.containers.managed_clusters.begin_delete(GROUP, NAME, **resumed),
        what="cluster",
        emit=nowhere,
    )
    groups.delete_group(session, GROUP, nowhere)
    assert not any(method == "DELETE" for method, _, _ in recording._left)
