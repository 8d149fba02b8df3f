"""A stand-in for scheduler and kubelet: sets the status of real pods on a real API server, as those two would."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from portable.compile.objects import CompiledWorkload, Reference
from portable.errors import ClusterError
from portable.kube import Kube
from portable.provider import KubeObject
from portable.rollout.view import DIGEST_ANNOTATION
from tests.meanwhile import repeating

PROBED = {"tcpSocket": {"port": 8080}}


def workload(
    name: str, digest: str = "v1", *, kind: str = "Deployment", timeout: int = 60, **more: Any
) -> CompiledWorkload:
    api = "batch/v1" if kind in ("Job", "CronJob") else "apps/v1"
    return CompiledWorkload(name, Reference(api, kind, name), digest, timeout, "rollback", **more)


def controller(
    name: str,
    namespace: str,
    digest: str = "v1",
    *,
    kind: str = "Deployment",
    replicas: int | None = 1,
    probed: bool = True,
) -> KubeObject:
    container: dict[str, Any] = {"name": "main", "image": f"shop/{name}:1"} | (
        {"readinessProbe": PROBED} if probed else {}
    )
    template = {
        "metadata": {"labels": {"app": name}, "annotations": {DIGEST_ANNOTATION: digest}},
        "spec": {"containers": [container]},
    }
    spec: dict[str, Any] = {"template": template}
    if kind == "Job":
        template["spec"]["restartPolicy"] = "Never"
        spec["backoffLimit"] = 0
    else:
        spec |= {"selector": {"matchLabels": {"app": name}}} | ({} if replicas is None else {"replicas": replicas})
    if kind == "Deployment":
        spec["strategy"] = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    if kind == "StatefulSet":
        spec["serviceName"] = name
    api = "batch/v1" if kind == "Job" else "apps/v1"
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def pods(kube: Kube, namespace: str, digest: str, count: int = 1) -> list[KubeObject]:
    """The pods of a version, once `count` of them exist."""

    def found() -> list[KubeObject]:
        have = kube.list("v1", "Pod", namespace)
        wanted = [pod for pod in have if (pod["metadata"].get("annotations") or {}).get(DIGEST_ANNOTATION) == digest]
        wanted = [pod for pod in wanted if "deletionTimestamp" not in pod["metadata"]]
        return wanted if len(wanted) == count else []

    return until(found)


def until(found: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Polls until `found` returns something true."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.05)
    return value


def run(kube: Kube, pod: KubeObject, *, ready: bool = True) -> None:
    """The pod has a node and its container runs."""
    state = {"running": {"startedAt": _now()}}
    _status(kube, pod, "Running", [_container(pod, state, ready=ready)], ready=ready)


def wait_in(
    kube: Kube, pod: KubeObject, reason: str, message: str = "", *, restarts: int = 0, code: int | None = None
) -> None:
    """The container waits for `reason`; with `code`, after an earlier run that ended so."""
    status = _container(pod, {"waiting": {"reason": reason, "message": message}}, restarts=restarts)
    if code is not None:
        status["lastState"] = {"terminated": _ended(code)}
    _status(kube, pod, "Pending" if code is None else "Running", [status])


def end(kube: Kube, pod: KubeObject, code: int) -> None:
    """The pod has run and is over."""
    state = {"terminated": _ended(code)}
    _status(kube, pod, "Succeeded" if code == 0 else "Failed", [_container(pod, state)])


def forget(kube: Kube, pod: KubeObject) -> None:
    """What the kubelet does last with a deleted pod."""
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
    kube.raw("DELETE", path, params={"gracePeriodSeconds": "0"})


def unschedulable(kube: Kube, pod: KubeObject, message: str) -> None:
    found = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    _patch(kube, pod, {"phase": "Pending", "conditions": [found]})


def tell(kube: Kube, pod: KubeObject, reason: str, message: str) -> None:
    """An event on the pod."""
    metadata = pod["metadata"]
    kube.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": metadata["namespace"]},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod"}
            | {k: metadata[k] for k in ("name", "namespace", "uid")},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "firstTimestamp": _now(),
            "lastTimestamp": _now(),
            "count": 1,
        }
    )


def _container(pod: KubeObject, state: dict[str, Any], *, ready: bool = False, restarts: int = 0) -> dict[str, Any]:
    spec = pod["spec"]["containers"][0]
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": f"sha256:{'ab' * 32}",
        "ready": ready,
        "restartCount": restarts,
        "state": state,
    }


def _ended(code: int) -> dict[str, Any]:
    return {
        "exitCode": code,
        "reason": "Completed" if code == 0 else "Error",
        "startedAt": _now(),
        "finishedAt": _now(),
    }


def _status(kube: Kube, pod: KubeObject, phase: str, statuses: list[dict[str, Any]], *, ready: bool = False) -> None:
    truth = "True" if ready else "False"
    found = [{"type": "PodScheduled", "status": "True"}] + [
        {"type": kind, "status": truth, "lastTransitionTime": _now()} for kind in ("Ready", "ContainersReady")
    ]
    _patch(kube, pod, {"phase": phase, "conditions": found, "containerStatuses": statuses})


def _patch(kube: Kube, pod: KubeObject, status: dict[str, Any]) -> None:
    metadata = pod["metadata"]
    kube.merge_patch("v1", "Pod", metadata["name"], {"status": status}, metadata["namespace"], subresource="status")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def running(kube: Kube, namespace: str) -> Iterator[None]:
    """Runs what is new and forgets what is deleted, for as long as the block runs."""

    def work() -> None:
        for pod in kube.list("v1", "Pod", namespace):
            with suppress(ClusterError):
                if "deletionTimestamp" in pod["metadata"]:
                    forget(kube, pod)
                elif pod["status"]["phase"] == "Pending":
                    run(kube, pod)

    with repeating(work, every=0.1):
        yield
