"""Finding a cluster, getting into it, doctor, the role, and what is imported for what."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from portable.errors import ClusterGone
from portable.events import nowhere
from portable.provider import Check, Dns, Identities, KeptData, KeptVolumes, Provider, Sweep, Tokens
from portable.spec.model import Cluster, Nodes
from tests.contract.gcp.conftest import World

pytestmark = pytest.mark.contract
SHOP = Cluster(name="shop")


def test_the_plugin_is_what_it_says(google: World) -> None:
    for capability in (Provider, Tokens, Dns, KeptData, KeptVolumes, Identities, Sweep):
        assert isinstance(google.plugin, capability)


def test_a_project_without_zones(google: World) -> None:
    assert google.plugin.dns(SHOP).zone("shop.example.com") is None


def test_find(google: World) -> None:
    assert google.plugin.find(SHOP) is None
    google.up(SHOP)
    found = google.plugin.find(SHOP)
    assert found is not None
    assert (found.name, found.healthy, found.version) == ("shop", True, "1.34.1-gke.1200")
    assert found.uid == google.cloud.gke.clusters["shop"]["id"]
    google.cloud.gke.clusters["shop"].update(status="DEGRADED", statusMessage="the network is gone")
    found = google.plugin.find(SHOP)
    assert found is not None
    assert not found.healthy
    assert found.detail == "DEGRADED: the network is gone"


def test_credentials_hold_no_secret_and_ask_portable_for_tokens(google: World) -> None:
    google.up(SHOP)
    credentials = google.plugin.credentials(SHOP)
    document = json.loads(credentials.kubeconfig)
    assert document["clusters"][0]["cluster"] == {
        "server": "https://203.0.113.7",
        "certificate-authority-data": google.cloud.ca,
    }
    assert document["users"][0]["user"]["exec"]["args"] == [
        *("token", "--cloud", "gcp", "--cluster", "shop", "--region", "europe-west1")
    ]
    assert credentials.token is not None
    token = credentials.token()
    assert google.cloud.iam.knows(f"Bearer {token.value}")
    assert 3000 < token.expires - time.time() < 3700
    assert token.value not in credentials.kubeconfig


def test_credentials_of_no_cluster(google: World) -> None:
    with pytest.raises(ClusterGone, match="no cluster shop in europe-west1 of acme-shop"):
        google.plugin.credentials(SHOP)


def checks(google: World, cluster: Cluster = SHOP) -> dict[str, Check]:
    return {check.name: check for check in google.plugin.doctor(cluster, fix=False, emit=nowhere)}


def test_doctor_is_content(google: World) -> None:
    found = checks(google)
    assert list(found) == ["credentials", "APIs", "permissions", "region", "quota", "version"]
    assert {check.status for check in found.values()} == {"ok"}
    assert found["version"].detail == "Kubernetes 1.34.1-gke.1200"
    assert (
        google.writes() == ["cloudresourcemanager.projects.testIamPermissions", "serviceusage.services.batchGet"][::-1]
    )


def test_doctor_names_what_is_missing(google: World) -> None:
    google.cloud.iam.granted = {name for name in _permissions(google) if not name.startswith("dns.")}
    assert checks(google)["permissions"].status == "warning"
    google.cloud.iam.granted = set(_permissions(google)) - {"container.clusters.create"}
    google.cloud.compute.quotas = {"CPUS": (8, 4), "IN_USE_ADDRESSES": (8, 7)}
    wanted = Cluster(name="shop", version="1.20", pools={"default": Nodes(min=3)})
    found = checks(google, wanted)
    assert found["permissions"].detail == "missing: container.clusters.create"
    assert found["quota"].detail == "CPUS: 4 free, 6 needed; IN_USE_ADDRESSES: 1 free, 3 needed"
    assert "does not offer Kubernetes 1.20" in found["version"].detail
    assert checks(google, Cluster(region="mars-north1"))["region"].detail == "Google Cloud has no region mars-north1"
    assert checks(google, Cluster(region="us-central1-a"))["region"].fix == "set cluster.region to us-central1"
    google.cloud.iam.disabled = {"container", "iam"}
    found = checks(google)
    assert found["APIs"].detail == "not enabled in acme-shop: container.googleapis.com, iam.googleapis.com"
    assert found["APIs"].fix == (
        "`gcloud services enable container.googleapis.com iam.googleapis.com --project acme-shop`"
    )
    assert "version" not in found


def test_doctor_without_credentials(google: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    (check,) = google.plugin.doctor(SHOP, fix=False, emit=nowhere)
    assert check.status == "missing"
    assert "/nowhere.json" in check.detail


def test_the_role_is_what_the_calls_need(google: World) -> None:
    found = _permissions(google)
    assert len(set(found)) == len(found)
    assert {"container.clusters.create", "iam.serviceAccounts.actAs", "compute.disks.delete"} <= set(found)
    assert not [name for name in found if not name.replace(".", "").isalnum()]


def _permissions(google: World) -> list[str]:
    import yaml

    return yaml.safe_load(google.plugin.permissions())["includedPermissions"]


def test_profile_and_render_import_neither_sdk_nor_engine() -> None:
    code = """
import json, sys
from portable_gcp import Gcp
from portable.spec.model import Cluster
plugin = Gcp()
plugin.profile(Cluster()), plugin.permissions()
print(json.dumps(sorted(sys.modules)))
"""
    loaded = set(json.loads(subprocess.check_output([sys.executable, "-c", code], text=True)))
    assert not {name for name in loaded if name.partition(".")[0] in ("google", "requests", "grpc", "pulumi")}
