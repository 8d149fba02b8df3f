"""Stateful workloads: edits of what Kubernetes calls immutable, and volumes that change their size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.e2e.conftest import AppUnderTest, Cluster
from tests.e2e.web import fetch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def write(under: AppUnderTest, *, pods: int = 1, size: str = "1Gi", patch: Mapping[str, Any] | None = None) -> None:
    uploads = {
        "kind": "stateful",
        "containers": {
            "uploads": {
                "image": "shop/app:1.0",
                "args": ["uploads"],
                "variables": {"UPLOADS_DIR": "/var/uploads"},
                "volumes": {"/var/uploads": {"source": "${resources.files}"}},
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}, "periodSeconds": 1},
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
            }
        },
        "service": {"ports": {"http": {"port": 8080}}},
        "routes": {"files": {"host": f"{under.name}.localhost", "path": "/uploads/"}},
        "scale": {"min": pods, "max": pods},
    }
    patches = {"edit": {"target": "StatefulSet/uploads", "merge": patch}} if patch else {}
    under.write({"uploads": uploads}, resources={"files": {"type": "volume", "size": size}}, patches=patches)


def url(under: AppUnderTest) -> str:
    return under.run("outputs", "--output", "json").json()["workloads.uploads.routes.files.url"] + "note.txt"


def stateful_set(under: AppUnderTest) -> dict[str, Any]:
    return under.get("apps/v1", "StatefulSet", "uploads")


def claims(under: AppUnderTest) -> dict[str, tuple[str, str]]:
    """claim -> (phase, the size that is asked for)."""
    found = under.cluster.kube.list("v1", "PersistentVolumeClaim", under.namespace)
    return {
        claim["metadata"]["name"]: (claim["status"]["phase"], claim["spec"]["resources"]["requests"]["storage"])
        for claim in found
    }


def test_an_immutable_field_changes_and_the_pods_run_on(module_app: AppUnderTest) -> None:
    write(module_app)
    module_app.up()
    assert fetch(url(module_app), method="PUT", body=b"kept").status == 201
    before, pods = stateful_set(module_app)["metadata"]["uid"], module_app.pod_uids()
    write(module_app, patch={"spec": {"podManagementPolicy": "OrderedReady"}})
    plan = module_app.run("plan", "--output", "json").json()["app"]
    (change,) = (change for change in plan if change["operation"] != "same")
    assert (change["operation"], change["name"]) == ("replace", "StatefulSet/uploads")
    assert [field["path"] for field in change["fields"]] == ["spec.podManagementPolicy"]
    module_app.up()
    after = stateful_set(module_app)
    assert after["spec"]["podManagementPolicy"] == "OrderedReady"
    assert after["metadata"]["uid"] != before, "Kubernetes takes this change only by a new object"
    assert module_app.pod_uids() == pods, "its pods were adopted, not replaced"
    assert fetch(url(module_app)).body == b"kept"
    assert module_app.up()["changed"] is False


def test_from_one_pod_to_several_each_gets_a_volume(module_app: AppUnderTest) -> None:
    write(module_app, pods=2)
    module_app.up()
    assert len(module_app.pod_uids()["uploads"]) == 2
    assert claims(module_app) == {"files-uploads-0": ("Bound", "1Gi"), "files-uploads-1": ("Bound", "1Gi")}


@pytest.fixture
def fixed_storage(cluster: Cluster) -> Iterator[None]:
    """As some storage is: what is made keeps its size."""
    at = ("storage.k8s.io/v1", "StorageClass", "portable")
    cluster.kube.merge_patch(*at, {"allowVolumeExpansion": False})
    yield
    cluster.kube.merge_patch(*at, {"allowVolumeExpansion": True})


def test_a_volume_that_cannot_grow_is_refused_and_the_pods_run_on(
    module_app: AppUnderTest, fixed_storage: None
) -> None:
    pods = module_app.pod_uids()
    write(module_app, pods=2, size="2Gi")
    run = module_app.run("up", "--yes", code=1)
    # both claims are asked at the same time: the first refusal ends the run
    assert "files-uploads-0" in run.err or "files-uploads-1" in run.err
    assert "volumes of this storage keep their size" in run.err
    assert "permission" not in run.err
    assert module_app.pod_uids() == pods
    write(module_app, pods=2)
    module_app.up()
    assert module_app.pod_uids() == pods
    assert module_app.up()["changed"] is False


def test_a_volume_cannot_shrink(module_app: AppUnderTest) -> None:
    write(module_app, pods=2, size="512Mi")
    run = module_app.run("plan", code=1)
    assert "files-uploads-0" in run.err
    assert "a volume can grow but not shrink" in run.err


def test_volumes_of_several_pods_grow_and_the_pods_run_on(module_app: AppUnderTest) -> None:
    """The claims are edited, and the StatefulSet, whose claim templates are immutable, is made anew around its pods."""
    pods, before = module_app.pod_uids(), stateful_set(module_app)["metadata"]["uid"]
    write(module_app, pods=2, size="2Gi")
    module_app.up()
    assert claims(module_app) == {"files-uploads-0": ("Bound", "2Gi"), "files-uploads-1": ("Bound", "2Gi")}
    after = stateful_set(module_app)
    assert after["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert after["metadata"]["uid"] != before
    assert module_app.pod_uids() == pods


def test_back_to_one_pod_the_data_is_still_there(module_app: AppUnderTest) -> None:
    write(module_app, pods=1, size="2Gi")
    module_app.up()
    assert len(module_app.pod_uids()["uploads"]) == 1
    assert fetch(url(module_app)).body == b"kept"
    assert "files-uploads-1" in claims(module_app), (
        "what the second pod had kept is not thrown away by a smaller number"
    )
