"""doctor: what would go wrong, found before money is spent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from portable.events import nowhere
from portable.provider import Check
from portable.spec.model import Cluster
from portable_azure.permissions import actions
from tests.clouds.front import Fault
from tests.contract.azure.conftest import AUTOMATIC, STANDARD, Bench

pytestmark = pytest.mark.contract


def checks(bench: Bench, cluster: Cluster = AUTOMATIC, *, fix: bool = False) -> dict[str, Check]:
    return {check.name: check for check in bench.plugin().doctor(cluster, fix=fix, emit=nowhere)}


def test_all_is_well(bench: Bench) -> None:
    found = checks(bench)
    assert {check.status for check in found.values()} == {"ok"}
    assert list(found) == [
        "SDK",
        "subscription",
        "credentials",
        "location",
        "permissions",
        "resource providers",
        "version",
        "quota",
    ]
    assert found["credentials"].detail.startswith("signed in as the service principal 33333333-")
    assert found["version"].detail == "1.32"
    assert bench.service.groups == {}, "doctor made something"


def test_what_stands_on_credentials_is_left_out_without_them(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "wrong")
    found = checks(bench)
    assert list(found) == ["SDK", "subscription", "credentials"]
    assert found["credentials"].status == "missing"
    assert "az login" in found["credentials"].fix


def test_missing_permissions_are_listed(bench: Bench) -> None:
    bench.service.permitted = [action for action in actions() if "roleAssignments/write" not in action]
    found = checks(bench)["permissions"]
    assert found.status == "missing"
    assert found.detail == "on the subscription these are missing: Microsoft.Authorization/roleAssignments/write"


def test_wildcards_of_roles_count(bench: Bench) -> None:
    bench.service.permitted = ["microsoft.*", "*/register/action"]
    assert checks(bench)["permissions"].status == "ok"


def test_resource_providers_are_registered_by_fix(bench: Bench) -> None:
    bench.service.registered = False
    found = checks(bench)["resource providers"]
    assert (found.status, found.fixable) == ("missing", True)
    assert "az provider register --namespace Microsoft.ContainerService" in found.fix
    assert checks(bench, fix=True)["resource providers"].status == "warning"
    assert checks(bench)["resource providers"].status == "ok"


def test_too_little_quota_is_told_with_figures(bench: Bench) -> None:
    bench.service.cores = (95, 100)
    found = checks(bench, STANDARD)["quota"]
    assert found.status == "missing"
    assert found.detail == "5 of 100 cores are free in westeurope, a new cluster takes 6"


def test_a_location_and_a_version_that_are_not_there(bench: Bench) -> None:
    found = checks(bench, replace(AUTOMATIC, region="atlantis"))
    assert found["location"].detail == "the subscription has no location atlantis"
    assert "version" not in found
    assert checks(bench, replace(AUTOMATIC, version="1.2"))["version"].status == "missing"


def test_versions_that_azure_does_not_tell_are_a_line_and_no_traceback(bench: Bench) -> None:
    bench.world.front.expect("ManagedClusters_ListKubernetesVersions", Fault.EXPIRED)
    found = checks(bench)["version"]
    assert found.status == "missing"
    assert "does not accept the credentials" in found.detail
