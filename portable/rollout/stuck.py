"""Two places where Kubernetes itself does not go on, and what gets it going again."""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import Any

from portable.compile.objects import CompiledWorkload
from portable.kube import Kube
from portable.provider import KubeObject
from portable.rollout.ownership import applied_fields
from portable.rollout.view import Snapshot, View, condition, containers, digest_of, is_leaving, is_ready

# The controller replaces old pods by itself where it can; a pod that it has left alone for this long it is waiting for.
RELEASE_AFTER = 5.0
_BACKING_OFF = {
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
}


def release_stuck_pods(
    kube: Kube, namespace: str, view: View, since: MutableMapping[str, float], now: float
) -> list[str]:
    """Deletes pods of an older version that a StatefulSet waits for in vain; returns their names.

    A StatefulSet does not replace a pod that never became ready, not even by the version that would repair it: "you must
    also delete any Pods that StatefulSet had already attempted to run with the bad configuration"
    (https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback).
    `since`: since when each pod (by uid) has been seen so; kept by the caller. Raises ClusterError.
    """
    controller = view.controller
    if controller is None or not view.applied or controller["kind"] != "StatefulSet":
        return []
    if controller.get("status", {}).get("observedGeneration", 0) < controller["metadata"].get("generation", 0):
        return []
    released = []
    for pod in view.leaving:
        uid, name = pod["metadata"]["uid"], pod["metadata"]["name"]
        if is_leaving(pod) or is_ready(pod):
            since.pop(uid, None)
        elif now - since.setdefault(uid, now) >= RELEASE_AFTER:
            kube.delete("v1", "Pod", name, namespace, propagation="Background", uid=uid)
            released.append(name)
    return released


def retry_failed(kube: Kube, namespace: str, workloads: Iterable[CompiledWorkload]) -> tuple[str, ...]:
    """A new run gives what failed before a new try at once: call it before the watcher starts; names what was retried.

    Pods of the wanted version that back off (up to five minutes between tries) are deleted, so that their controller makes
    them anew; a failed job of the wanted version is made anew. Nothing that works is touched. Raises ClusterError.
    """
    snapshot = Snapshot()
    wanted = {workload.name: workload for workload in workloads}
    apis = (("apps/v1", "Deployment"), ("apps/v1", "ReplicaSet"), ("apps/v1", "StatefulSet"), ("batch/v1", "Job"))
    for api_version, kind in (*apis, ("v1", "Pod")):
        snapshot.replace(kind, kube.list(api_version, kind, namespace))
    retried = []
    for name, view in snapshot.views(wanted).items():
        if _retry_job(kube, namespace, view) or [pod for pod in view.pods if _retry_pod(kube, namespace, pod)]:
            retried.append(name)
    return tuple(retried)


def _retry_pod(kube: Kube, namespace: str, pod: KubeObject) -> bool:
    waiting = {(status.get("state", {}).get("waiting") or {}).get("reason", "") for _spec, status in containers(pod)}
    if is_ready(pod) or not waiting & _BACKING_OFF:
        return False
    metadata = pod["metadata"]
    return kube.delete("v1", "Pod", metadata["name"], namespace, propagation="Background", uid=metadata["uid"])


def _retry_job(kube: Kube, namespace: str, view: View) -> bool:
    job = view.controller
    if job is None or job["kind"] != "Job" or digest_of(job) != view.workload.digest:
        return False
    failed = condition(job, "Failed")
    if failed is None or failed["status"] != "True":
        return False
    manager, manifest = applied_fields(job)
    if not manager:
        return False  # not applied by us: nothing says what of it to make anew
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    kube.delete("batch/v1", "Job", name, namespace, uid=uid)
    if kube.wait_gone("batch/v1", "Job", name, namespace, uid=uid, timeout=60.0):
        kube.apply(_identified(manifest, job), field_manager=manager)
        return True
    return False


def _identified(manifest: dict[str, Any], live: KubeObject) -> KubeObject:
    metadata = live["metadata"]
    names = {"name": metadata["name"], "namespace": metadata["namespace"]}
    return {
        **manifest,
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {**manifest.get("metadata", {}), **names},
    }
