"""Counts taken to zero and put back, on a real API server: for the next `up` nothing has changed."""

from __future__ import annotations

from typing import Any

import pytest

from portable.kube import Kube
from portable.migrate.replicas import record, release, restore, scale_to_zero, suspend
from portable.migrate.sides import FIELD_MANAGER
from portable.provider import KubeObject
from portable.rollout.handover import SCALE_MANAGER
from portable.rollout.ownership import owned_digest, owned_fields

pytestmark = pytest.mark.unit


def controller(kind: str, name: str, namespace: str, **spec: Any) -> KubeObject:
    labels = {"portable.dev/workload": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "none:1"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": pod}
        | ({"serviceName": name} if kind == "StatefulSet" else {})
        | spec,
    }


def cron(name: str, namespace: str) -> KubeObject:
    pod = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "none:1"}]}}
    labels = {"portable.dev/workload": name}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": pod}}},
    }


def live(kube: Kube, manifest: KubeObject) -> KubeObject:
    metadata = manifest["metadata"]
    found = kube.get(manifest["apiVersion"], manifest["kind"], metadata["name"], metadata["namespace"])
    assert found is not None
    return found


def managers(found: KubeObject) -> set[str]:
    """Who owns fields of it, but for its status."""
    return {entry["manager"] for entry in found["metadata"]["managedFields"] if not entry.get("subresource")}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_count_comes_back_with_its_owner(kube: Kube, namespace: str, kind: str) -> None:
    made = controller(kind, "web", namespace, replicas=3)
    kube.apply(made)
    before = owned_digest(live(kube, made))
    recorded = record(kube, namespace)
    scale_to_zero(kube, namespace, recorded)
    assert live(kube, made)["spec"]["replicas"] == 0
    assert owned_digest(live(kube, made)) != before, "what was taken from us is noticed"
    restore(kube, namespace, recorded)
    assert live(kube, made)["spec"]["replicas"] == 3
    assert owned_digest(live(kube, made)) == before
    kube.apply(controller(kind, "web", namespace))
    assert live(kube, made)["spec"]["replicas"] == 1, "our apply owns the field again: leaving it out lets it go"


def test_what_an_autoscaler_has_chosen_comes_back(kube: Kube, namespace: str) -> None:
    made = controller("Deployment", "api", namespace)
    kube.apply(made)
    scaled = {**made, "spec": {"replicas": 7}}
    kube.apply(scaled, field_manager=SCALE_MANAGER)
    recorded = record(kube, namespace)
    assert recorded["Deployment/api"] == {"replicas": 7, "owner": SCALE_MANAGER}
    scale_to_zero(kube, namespace, recorded)
    restore(kube, namespace, recorded)
    assert live(kube, made)["spec"]["replicas"] == 7
    assert owned_digest(live(kube, made), SCALE_MANAGER) != owned_digest(live(kube, made), FIELD_MANAGER)


def test_cron_jobs_are_suspended_and_go_on(kube: Kube, namespace: str) -> None:
    night, paused = cron("night", namespace), cron("paused", namespace)
    paused["spec"]["suspend"] = True
    kube.apply(night)
    kube.apply(paused)
    recorded = record(kube, namespace)
    suspend(kube, namespace, recorded)
    assert live(kube, night)["spec"]["suspend"] is True
    restore(kube, namespace, recorded)
    assert live(kube, night)["spec"]["suspend"] is False
    assert live(kube, paused)["spec"]["suspend"] is True, "what was suspended before stays so"
    assert managers(live(kube, night)) == {"portable"}
    assert owned_fields(live(kube, paused))["spec"]["suspend"] is True, "and ours"


def test_what_a_migration_has_set_is_made_what_the_spec_says_once_the_app_comes_back(
    kube: Kube, namespace: str
) -> None:
    """A freeze is not undone where the app has moved: the cron job would stay suspended for good."""
    night, web = cron("night", namespace), controller("StatefulSet", "web", namespace, replicas=2)
    kube.apply(night)
    kube.apply(web)
    recorded = record(kube, namespace)
    suspend(kube, namespace, recorded)
    scale_to_zero(kube, namespace, recorded)
    release(kube, namespace)
    assert live(kube, night)["spec"]["suspend"] is True, "nothing starts by it"
    assert live(kube, web)["spec"]["replicas"] == 0
    for made in (night, web):
        kube.apply(made)
        assert managers(live(kube, made)) == {"portable"}
    assert live(kube, night)["spec"]["suspend"] is False
    assert live(kube, web)["spec"]["replicas"] == 2


def test_what_is_left_running_is_not_touched(kube: Kube, namespace: str) -> None:
    kube.apply(controller("StatefulSet", "db", namespace, replicas=1))
    kube.apply(controller("Deployment", "web", namespace, replicas=2))
    assert set(record(kube, namespace, skip=["db"])) == {"Deployment/web"}
