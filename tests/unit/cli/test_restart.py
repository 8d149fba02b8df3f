"""`restart` and `scale` on a real API server, with a stand-in for the kubelet."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from portable.errors import RolloutFailed, UsageError
from portable.events import nowhere
from portable.kube import Kube
from portable.provider import KubeObject
from portable.restart import RESTARTED, live_controller, require_scalable, restart_workloads
from portable.rollout import revisions
from portable.running import Running
from portable.situation import live_fields, look_inside
from portable.target import Request, compile_target, open_target
from tests.unit.cli.test_status import deploy
from tests.unit.rollout import kubelet

pytestmark = pytest.mark.unit


@pytest.fixture
def running(app: str, kube: Kube) -> Running:
    """Deployed and ready, as revision 1."""
    for pod in deploy(kube, app):
        kubelet.run(kube, pod)
    target = open_target(Request(cloud="gcp"))
    now = look_inside(target, kube, None)
    made = revisions.of_objects(
        now.objects,
        spec="{}",
        spec_digest=target.app.digest,
        cluster_uid=now.cluster_uid,
        portable_version="0",
        by="ann",
        at="2026-11-23T08:00:00+00:00",
    )
    made = replace(made, status="good", live=live_fields(kube, now.objects))
    number = revisions.record(kube, app, made)
    return Running(target, now, kube, replace(made, number=number))


def template(running: Running) -> KubeObject:
    return live_controller(running, "web")["spec"]["template"]


def test_a_restart_makes_new_pods_and_no_up_takes_it_back(running: Running) -> None:
    kube, namespace = running.kube, running.namespace
    before = {pod["metadata"]["uid"] for pod in kube.list("v1", "Pod", namespace)}
    with kubelet.running(kube, namespace):
        restart_workloads(running, {"web": live_controller(running, "web")}, nowhere)
    after = [pod for pod in kube.list("v1", "Pod", namespace) if "deletionTimestamp" not in pod["metadata"]]
    assert len(after) == 2
    assert not before & {pod["metadata"]["uid"] for pod in after}
    assert RESTARTED in template(running)["metadata"]["annotations"]
    assert live_fields(kube, running.now.objects) == running.last.live, "none of our fields has changed"
    for item in compile_target(running.target).items:
        kube.apply(item.manifest)
    assert RESTARTED in template(running)["metadata"]["annotations"], "nor would an up restart once more"


def test_where_new_pods_cannot_become_ready_the_ones_from_before_go_on(running: Running) -> None:
    kube, namespace = running.kube, running.namespace
    before = {pod["metadata"]["uid"] for pod in kube.list("v1", "Pod", namespace)}

    def crash() -> None:
        new = kubelet.until(
            lambda: [pod for pod in kube.list("v1", "Pod", namespace) if pod["metadata"]["uid"] not in before]
        )
        kubelet.wait_in(kube, new[0], "CrashLoopBackOff", "back-off restarting failed container", restarts=5, code=1)

    threading.Thread(target=crash, daemon=True).start()
    with pytest.raises(RolloutFailed) as failed:
        restart_workloads(running, {"web": live_controller(running, "web")}, nowhere)
    assert "go on" in failed.value.fix
    assert failed.value.causes[0].sign == "CrashLoop"
    assert RESTARTED not in (template(running)["metadata"].get("annotations") or {})
    left = {pod["metadata"]["uid"] for pod in kube.list("v1", "Pod", namespace) if pod["status"]["phase"] == "Running"}
    assert before <= left
    (kept,) = revisions.revisions(kube, namespace)
    assert "restart of web failed" in kept.operations[-1].words


def test_an_autoscaler_keeps_the_count(running: Running) -> None:
    live = live_controller(running, "web")
    require_scalable(running, "web", live, 3)
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": running.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2,
            "maxReplicas": 7,
        },
    }
    running.kube.create(scaler)
    with pytest.raises(UsageError, match="between 2 and 7") as refused:
        require_scalable(running, "web", live, 3)
    assert "workloads.web.scale.min or max" in refused.value.fix


def test_a_volume_of_one_node_is_not_shared(running: Running) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": running.namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    running.kube.create(claim)
    live = live_controller(running, "web")
    live["spec"]["template"]["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    require_scalable(running, "web", live, 1)
    with pytest.raises(UsageError, match="cannot share the volume data"):
        require_scalable(running, "web", live, 2)


def test_what_is_not_there_is_named(running: Running) -> None:
    with pytest.raises(UsageError, match="no workload that runs is called 'wep'"):
        running.workload("wep")


def test_what_was_done_stands_in_the_history(running: Running) -> None:
    running.note("restarted web")
    running.note("scaled web from 2 to 3")
    (kept,) = revisions.revisions(running.kube, running.namespace)
    assert [operation.words for operation in kept.operations] == ["restarted web", "scaled web from 2 to 3"]
    assert kept.live == running.last.live
