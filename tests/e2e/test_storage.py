"""Stateful workloads: edits of what Kubernetes calls immutable, and volumes that change their size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.conftest import AppUnderTest
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


def test_from_one_pod_to_several_keeps_the_data(module_app: AppUnderTest) -> None:
    write(module_app, pods=2)
    module_app.up()
    assert len(module_app.pod_uids()["uploads"]) == 2
    claims = module_app.cluster.kube.list("v1", "PersistentVolumeClaim", module_app.namespace)
    assert {claim["metadata"]["name"]: claim["status"]["phase"] for claim in claims} == {
        "files-uploads-0": "Bound",
        "files-uploads-1": "Bound",
    }
    write(module_app, pods=1)
    module_app.up()
    assert len(module_app.pod_uids()["uploads"]) == 1
    assert fetch(url(module_app)).body == b"kept"


def test_a_volume_that_cannot_grow_here_is_refused_before_anything_changes(module_app: AppUnderTest) -> None:
    """Volumes on kind are folders of the host: they have no size, and its provisioner cannot change one."""
    pods = module_app.pod_uids()
    write(module_app, size="2Gi")
    run = module_app.run("up", "--yes", code=1)
    assert "files-uploads-0" in run.err
    assert "resize" in run.err
    assert module_app.pod_uids() == pods
    assert fetch(url(module_app)).body == b"kept"
    write(module_app)
    module_app.up()
    assert module_app.pod_uids() == pods
    assert module_app.up()["changed"] is False


def test_a_volume_cannot_shrink(module_app: AppUnderTest) -> None:
    write(module_app, size="512Mi")
    run = module_app.run("plan", code=1)
    assert "files-uploads-0" in run.err
    assert "less than" in run.err
