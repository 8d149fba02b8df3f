"""Switching autoscaling on for what runs, on a real API server with real controllers."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from portable.compile.names import WORKLOAD_LABEL
from portable.compile.objects import CompiledWorkload, Item, Objects
from portable.kube import Kube
from portable.provider import KubeObject
from portable.rollout.handover import AUTOSCALER, SCALE_MANAGER, dismiss_autoscalers, hand_over_replicas
from portable.rollout.ownership import owned_fields
from portable.rollout.watch import Watcher
from tests.unit.rollout import kubelet
from tests.unit.rollout.kubelet import controller, pods, until, workload

pytestmark = pytest.mark.unit


def objects(namespace: str, *workloads: CompiledWorkload) -> Objects:
    return Objects("shop", None, "test", namespace, (), {found.name: found for found in workloads})


def live(kube: Kube, namespace: str, kind: str = "Deployment") -> KubeObject:
    found = kube.get("apps/v1", kind, "web", namespace)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_the_count_never_drops(kube: Kube, namespace: str, kind: str) -> None:
    kube.apply(controller("web", namespace, kind=kind, replicas=5))
    counts: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        version = live(kube, namespace, kind)["metadata"]["resourceVersion"]
        for _, item in kube.watch("apps/v1", kind, namespace, resource_version=version, timeout=30):
            counts.append(item["spec"]["replicas"])
            if stop.is_set():
                return

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    scaled = workload("web", kind=kind, autoscaled=True, scale_min=2)
    assert hand_over_replicas(kube, objects(namespace, scaled)) == ("web",)
    kube.apply(controller("web", namespace, kind=kind, replicas=None))
    assert live(kube, namespace, kind)["spec"]["replicas"] == 5
    assert hand_over_replicas(kube, objects(namespace, scaled)) == (), "once is enough"
    stop.set()
    last = {"metadata": {"labels": {"last": "change"}}}
    kube.merge_patch("apps/v1", kind, "web", last, namespace)
    watching.join(30)
    assert set(counts) == {5}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_only_the_count_is_given_away_also_where_no_apply_follows(kube: Kube, namespace: str, kind: str) -> None:
    kube.apply(controller("web", namespace, kind=kind, replicas=3))
    before = owned_fields(live(kube, namespace, kind))
    assert hand_over_replicas(kube, objects(namespace, workload("web", kind=kind, autoscaled=True))) == ("web",)
    assert before["spec"].pop("replicas") == 3
    assert owned_fields(live(kube, namespace, kind)) == before
    assert owned_fields(live(kube, namespace, kind), SCALE_MANAGER)["spec"] == {"replicas": 3}


def test_without_the_hand_over_it_would_drop(kube: Kube, namespace: str) -> None:
    """What this module is for; should Kubernetes change its ways, the module can go."""
    kube.apply(controller("web", namespace, replicas=5))
    kube.apply(controller("web", namespace, replicas=None))
    assert live(kube, namespace)["spec"]["replicas"] == 1


def test_an_autoscaler_that_is_faster_wins(kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kube.apply(controller("web", namespace, replicas=3))
    real, scaled = kube.apply, []

    def apply(manifest: KubeObject, **options: Any) -> KubeObject:
        if options.get("field_manager") == SCALE_MANAGER and not scaled:
            scaled.append(kube.merge_patch("apps/v1", "Deployment", "web", {"spec": {"replicas": 4}}, namespace))
        return real(manifest, **options)

    monkeypatch.setattr(kube, "apply", apply)
    handed = hand_over_replicas(kube, objects(namespace, workload("web", autoscaled=True, scale_min=2)))
    assert handed == (), "whoever changed it has taken it over"
    monkeypatch.undo()
    kube.apply(controller("web", namespace, replicas=None))
    assert live(kube, namespace)["spec"]["replicas"] == 4


def test_switching_it_off_and_on_again(kube: Kube, namespace: str) -> None:
    scaled = objects(namespace, workload("web", autoscaled=True, scale_min=2))
    for count in (3, 6):
        kube.apply(controller("web", namespace, replicas=count))
        assert hand_over_replicas(kube, scaled) == ("web",)
        kube.apply(controller("web", namespace, replicas=None))
        assert live(kube, namespace)["spec"]["replicas"] == count


def test_what_is_new_or_not_autoscaled_is_left_alone(kube: Kube, namespace: str) -> None:
    new = workload("web", autoscaled=True, scale_min=2)
    assert hand_over_replicas(kube, objects(namespace, new)) == ()
    kube.apply(controller("web", namespace, replicas=2))
    assert hand_over_replicas(kube, objects(namespace, workload("web"))) == ()


def test_a_new_one_starts_at_its_minimum_and_is_not_ready_before(kube: Kube, namespace: str) -> None:
    scaled = workload("web", autoscaled=True, scale_min=3)
    with Watcher(kube, namespace, {"web": scaled}, lambda _: None) as watcher:
        kube.apply(controller("web", namespace, replicas=None))
        for pod in pods(kube, namespace, "v1", 3):
            kubelet.run(kube, pod)
        watcher.wait("web")
    kube.apply(controller("web", namespace, replicas=None))
    assert live(kube, namespace)["spec"]["replicas"] == 3, "and our next apply does not take it away"
    kube.merge_patch("apps/v1", "Deployment", "web", {"spec": {"replicas": 7}}, namespace, field_manager="hpa")
    with Watcher(kube, namespace, {"web": scaled}, lambda _: None):
        until(lambda: live(kube, namespace)["status"].get("replicas") == 7)
    assert live(kube, namespace)["spec"]["replicas"] == 7, "more than the minimum is the autoscaler's business"


def autoscaler(name: str, namespace: str, labels: dict[str, str]) -> KubeObject:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5}
    return {"apiVersion": AUTOSCALER[0], "kind": AUTOSCALER[1], "metadata": metadata, "spec": spec}


def test_the_autoscaler_of_what_has_a_fixed_count_goes_before_the_apply(kube: Kube, namespace: str) -> None:
    """Left until the new pods are ready, it would take the count that we apply back to its minimum."""
    for name in ("web", "scaled", "leaving"):
        kube.apply(autoscaler(name, namespace, {WORKLOAD_LABEL: name}))
    kube.apply(autoscaler("somebodys", namespace, {}))
    staying = Item(autoscaler("scaled", namespace, {WORKLOAD_LABEL: "scaled"}), "scaled")
    wanted = objects(namespace, workload("web"), workload("scaled", autoscaled=True, scale_min=2), workload("new"))
    assert dismiss_autoscalers(kube, replace(wanted, items=(staying,))) == ("web",)
    left = {found["metadata"]["name"] for found in kube.list(*AUTOSCALER, namespace)}
    assert left == {"scaled", "leaving", "somebodys"}
    assert dismiss_autoscalers(kube, replace(wanted, items=(staying,))) == (), "once is enough"
