"""What goes wrong, in words that say why and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.errors import ProviderError
from portable.spec.model import Cluster
from portable_gcp import Gcp
from portable_gcp.session import Google, Pace, Refused
from tests.clouds.front import Fault
from tests.clouds.gcp import world
from tests.contract.gcp.conftest import World

pytestmark = pytest.mark.contract
SHOP = Cluster(name="shop")
_CREATE = "container.projects.locations.clusters.create"
# as issues on GitHub quote Google, now and in 2020
_NO_QUOTA_PROJECT = (
    (
        "Your application is authenticating by using local Application Default Credentials. The compute.googleapis.com "
        "API requires a quota project, which is not set by default."
    ),
    (
        "Your application has authenticated using end user credentials from the Google Cloud SDK or Google Cloud Shell "
        "which are not supported by the compute.googleapis.com."
    ),
)


def test_a_cluster_that_gke_gives_up_on_says_why_and_the_next_up_replaces_it(google: World) -> None:
    google.cloud.gke.fail["shop"] = ("GCE_QUOTA_EXCEEDED", "Insufficient regional quota to satisfy request: CPUS")
    with pytest.raises(ProviderError, match=r"^cluster shop failed$") as caught:
        google.up(SHOP)
    assert caught.value.detail == "GKE says: Insufficient regional quota to satisfy request: CPUS"
    assert "ask for more quota" in caught.value.fix
    assert google.up(SHOP) == ["create cluster"]
    assert google.up(SHOP) == []


def test_a_cluster_that_gke_gave_up_on_is_destroyed_like_any_other(google: World) -> None:
    google.cloud.gke.fail["shop"] = ("GCE_STOCKOUT", "no machines")
    with pytest.raises(ProviderError):
        google.up(SHOP)
    google.stack.destroy()
    assert google.cloud.leftovers() == []


def test_an_operation_of_compute_engine_that_fails_says_why(google: World) -> None:
    google.cloud.compute.fail = ("QUOTA_EXCEEDED", "Quota 'NETWORKS' exceeded. Limit: 5.0 globally.")
    with pytest.raises(ProviderError, match=r"Quota 'NETWORKS' exceeded\. Limit: 5\.0 globally\."):
        google.up(SHOP)
    google.up(SHOP)
    assert google.up(SHOP) == []


def test_quota_that_is_refused_at_once_is_not_tried_again(google: World) -> None:
    google.up(SHOP)
    google.cloud.denied[_CREATE] = "Insufficient quota to satisfy the request"
    google.cloud.gke.clusters.clear()
    google.calls()
    with pytest.raises(ProviderError, match="Insufficient quota") as caught:
        google.up(SHOP)
    assert "ask for more quota" in caught.value.fix
    assert google.calls().count(_CREATE) == 1


def test_a_permission_that_is_missing_is_named(google: World) -> None:
    google.cloud.denied[_CREATE] = (
        'Required "container.clusters.create" permission(s) for "projects/acme-shop/locations/europe-west1".'
    )
    with pytest.raises(ProviderError, match=r"container\.clusters\.create is missing") as caught:
        google.up(SHOP)
    assert "portable providers show gcp" in caught.value.fix
    # and where Google does not name it, our own table does
    google.cloud.denied = {"compute.networks.get": "Forbidden"}
    (google.folder / "state.json").unlink()
    with pytest.raises(ProviderError, match=r"may not do compute\.networks\.get: compute\.networks\.get is missing"):
        google.up(SHOP)


def test_a_region_that_does_not_exist_is_no_missing_permission(google: World) -> None:
    # as issues on GitHub quote GKE
    google.cloud.denied["container.projects.locations.clusters.get"] = (
        "Permission denied on 'locations/moon-west1' (or it may not exist)."
    )
    with pytest.raises(ProviderError, match="has no region moon-west1, or these credentials may not use it") as caught:
        google.plugin.find(SHOP)
    assert "cluster.region" in caught.value.fix


@pytest.mark.timeout(60)
def test_google_out_of_reach_is_told_soon_however_long_its_troubles_would_be_borne(
    google: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER", "http://127.0.0.1:1/")
    with pytest.raises(ProviderError, match="could not be reached") as caught:
        Gcp(Pace(retry=0.1, patience=3600.0)).find(SHOP)
    assert "Connection refused" in caught.value.detail
    assert "Pool" not in caught.value.detail


def test_an_api_that_is_not_enabled_is_named(google: World) -> None:
    google.cloud.denied["compute.networks.get"] = (
        "Compute Engine API has not been used in project 123 before or it is disabled."
    )
    with pytest.raises(ProviderError, match=r"the API compute\.googleapis\.com is not enabled") as caught:
        google.up(SHOP)
    assert caught.value.fix == "`gcloud services enable compute.googleapis.com`"


@pytest.mark.parametrize("said", _NO_QUOTA_PROJECT)
def test_a_login_without_a_quota_project_is_told_how_to_get_one(google: World, said: str) -> None:
    google.cloud.denied["compute.networks.get"] = said
    with pytest.raises(ProviderError, match="name no project whose quota") as caught:
        google.up(SHOP)
    assert caught.value.fix == "`gcloud auth application-default set-quota-project PROJECT`"
    assert caught.value.detail == said


@pytest.mark.parametrize("fault", [Fault.THROTTLE, Fault.SERVER_ERROR, Fault.RESET, Fault.LOST])
def test_what_passes_is_tried_again_and_makes_nothing_twice(google: World, fault: Fault) -> None:
    google.front.expect(_CREATE, fault)
    google.up(SHOP)
    assert google.calls().count(_CREATE) == 2
    assert len(google.cloud.gke.clusters) == 1


def test_credentials_that_end_in_the_middle(google: World) -> None:
    google.front.expect(_CREATE, Fault.EXPIRED)
    with pytest.raises(ProviderError, match="Google does not take these credentials") as caught:
        google.up(SHOP)
    assert "gcloud auth application-default login" in caught.value.fix
    google.front.renew()
    assert google.up(SHOP) == ["create cluster"]


def test_no_credentials_at_all(google: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "none"))
    with pytest.raises(ProviderError, match="no Google credentials were found") as caught:
        google.plugin.find(SHOP)
    assert (
        "GOOGLE_APPLICATION_CREDENTIALS; gcloud's application default credentials; the machine's" in caught.value.detail
    )


def test_nobody_there(google: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER", "http://127.0.0.1:9")
    plugin = Gcp(Pace(poll=0.001, retry=0.001, most=0.01, patience=0.05))
    with pytest.raises(ProviderError, match="could not be reached") as caught:
        plugin.find(SHOP)
    assert "it carries on" in caught.value.fix


def test_where_the_project_and_the_region_come_from(
    google: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from portable_gcp.place import locate

    asked = Google(world.PACE)
    for name in ("GOOGLE_CLOUD_PROJECT", "CLOUDSDK_COMPUTE_REGION"):
        monkeypatch.delenv(name)
    # the credentials of the stand-in belong to no project
    with pytest.raises(ProviderError, match="which Google Cloud project") as caught:
        locate(asked, SHOP)
    assert "GOOGLE_CLOUD_PROJECT, CLOUDSDK_CORE_PROJECT, the credentials, core/project in" in caught.value.detail
    monkeypatch.setenv("CLOUDSDK_CORE_PROJECT", "acme-shop")
    with pytest.raises(ProviderError, match="which Google Cloud region") as caught:
        locate(asked, SHOP)
    for looked in ("cluster.region in the spec", "CLOUDSDK_COMPUTE_REGION", "GOOGLE_CLOUD_REGION", "config_default"):
        assert looked in caught.value.detail
    folder = tmp_path / "gcloud"
    (folder / "configurations").mkdir(parents=True)
    (folder / "active_config").write_text("work")
    (folder / "configurations" / "config_work").write_text("[core]\nproject = other\n[compute]\nregion = us-east1\n")
    assert locate(asked, SHOP).parent == "projects/acme-shop/locations/us-east1"
    monkeypatch.delenv("CLOUDSDK_CORE_PROJECT")
    assert locate(asked, SHOP).parent == "projects/other/locations/us-east1"
    assert locate(asked, Cluster(region="asia-east1")).region == "asia-east1"


def test_another_writer_of_the_projects_policy_is_not_overwritten(google: World) -> None:
    google.cloud.iam.interlopers = 2
    google.up(SHOP)
    assert google.calls().count("cloudresourcemanager.projects.setIamPolicy") == 3


def test_a_refusal_of_compute_engine_has_its_reason(google: World) -> None:
    google.up(SHOP)
    with pytest.raises(Refused) as caught:
        Google(world.PACE).rest("compute.networks.delete", project="acme-shop", name="portable-shop")
    assert caught.value.reason == "resourceInUseByAnotherResource"
