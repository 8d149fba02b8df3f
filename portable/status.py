"""`status`: how the app's workloads are now, from the cluster itself, and why those that are not well are not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from portable.compile.names import WORKLOAD_LABEL
from portable.compile.objects import CompiledWorkload, Objects, reference
from portable.dns.routes import route_addresses
from portable.errors import Cause
from portable.health import (
    Autoscaler,
    CertificateLife,
    Happened,
    Restart,
    autoscaler,
    certificate_lives,
    last_restart,
    recent_events,
)
from portable.kube import Kube
from portable.logs import last_lines
from portable.outputs import Address
from portable.provider import KubeObject
from portable.rollout.diagnose import diagnose
from portable.rollout.hints import with_log
from portable.rollout.progress import progress
from portable.rollout.revisions import RevisionStatus, last_of
from portable.rollout.view import Snapshot, View, digest_of, is_ready
from portable.target import Request, Target, compile_target, connect, open_target

_KINDS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "Pod": "v1",
    "Event": "v1",
    "PersistentVolumeClaim": "v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Secret": "v1",
}
_CONTROLLERS = ("Deployment", "StatefulSet", "Job", "CronJob")


@dataclass(frozen=True)
class WorkloadStatus:
    """`ready` pods of the newest version, `earlier` ones of versions before it. `age`: seconds since it was made. `detail`: what it waits for, or when a cron job ran last.

    `state` "absent": in the spec, not in the cluster; "extra": in the cluster, not in the spec any more.
    """

    name: str
    kind: str
    state: Literal["ready", "waiting", "failing", "absent", "extra"]
    ready: int = 0
    wanted: int = 0
    earlier: int = 0
    images: tuple[str, ...] = ()
    restarts: int = 0
    age: float | None = None
    detail: str = ""
    cause: Cause | None = None
    last_restart: Restart | None = None
    events: tuple[Happened, ...] = ()
    autoscaler: Autoscaler | None = None


@dataclass(frozen=True)
class LastRevision:
    """The last revision that was applied; `running` is the one whose version runs (see `portable history`)."""

    number: int
    action: str
    status: RevisionStatus
    at: str
    by: str
    running: int


@dataclass(frozen=True)
class Status:
    app: str
    environment: str | None
    cloud: str
    cluster: str
    namespace: str
    workloads: tuple[WorkloadStatus, ...]
    routes: tuple[Address, ...]
    revision: LastRevision | None = None
    certificates: tuple[CertificateLife, ...] = ()


def status(request: Request) -> Status:
    """Raises ClusterGone where there is no cluster."""
    return next(watch_status(request))


def watch_status(request: Request, *, every: float = 2.0) -> Iterator[Status]:
    """The status now, and then about every so many seconds how it is by then. Raises ClusterGone, as `status`."""
    target = open_target(request, images=False)
    objects = compile_target(target)
    with connect(target) as kube:
        while True:
            yield read_status(target, objects, kube)
            time.sleep(every)


def read_status(target: Target, objects: Objects, kube: Kube) -> Status:
    snapshot = _snapshot(kube, objects.namespace)
    live = _live_workloads(snapshot, objects)
    views = snapshot.views(live)
    secrets = {expected.name: expected.resource for expected in objects.expected}

    def cause(view: View) -> Cause | None:
        signs = diagnose(view, resources=secrets, node_autoscaling=target.profile.node_autoscaling)
        if not signs:
            return None
        lines = last_lines(kube, objects.namespace, signs[0].log) if signs[0].log else ()
        return with_log(signs[0].cause, lines, view.workload)

    found = {name: _workload_status(view, name in objects.workloads, cause) for name, view in views.items()}
    scalers = {
        scaler["spec"]["scaleTargetRef"]["name"]: autoscaler(scaler)
        for scaler in snapshot.kind("HorizontalPodAutoscaler")
    }
    found = {name: replace(each, autoscaler=scalers.get(name)) for name, each in found.items()}
    absent = {
        name: WorkloadStatus(name, workload.controller.kind, "absent", detail="not deployed")
        for name, workload in objects.workloads.items()
        if name not in found
    }
    return Status(
        app=target.app.name,
        environment=target.app.environment,
        cloud=target.provider.name,
        cluster=target.home.cluster,
        namespace=objects.namespace,
        workloads=tuple(value for _name, value in sorted({**found, **absent}.items())),
        routes=tuple(route_addresses(target, kube, objects)),
        revision=_last_revision(snapshot),
        certificates=certificate_lives(snapshot.kind("Secret")),
    )


def _last_revision(snapshot: Snapshot) -> LastRevision | None:
    found = last_of(snapshot.kind("Secret"))
    if found is None:
        return None
    last, running = found
    return LastRevision(last.number, last.action, last.status, last.at, last.by, running)


def _snapshot(kube: Kube, namespace: str) -> Snapshot:
    snapshot = Snapshot()
    with ThreadPoolExecutor(len(_KINDS)) as pool:
        lists = pool.map(lambda kind: kube.list(_KINDS[kind], kind, namespace), _KINDS)
        for kind, items in zip(_KINDS, lists, strict=True):
            snapshot.replace(kind, items)
    return snapshot


def _live_workloads(snapshot: Snapshot, objects: Objects) -> dict[str, CompiledWorkload]:
    """The workloads that are in the cluster, with the digests that they have there: an edited spec changes no status."""
    newest: dict[str, KubeObject] = {}
    for kind in _CONTROLLERS:
        for item in snapshot.kind(kind):
            name = (item["metadata"].get("labels") or {}).get(WORKLOAD_LABEL)
            made_by_cron = any(owner["kind"] == "CronJob" for owner in item["metadata"].get("ownerReferences", ()))
            if name and not made_by_cron and (name not in newest or _made(item) > _made(newest[name])):
                newest[name] = item
    result = {}
    for name, item in newest.items():
        at, digest = reference(item), digest_of(item)
        known = objects.workloads.get(name)
        if known is None:
            result[name] = CompiledWorkload(name, at, digest, timeout=0, on_failure="stop")  # type: ignore[arg-type]
        else:
            result[name] = replace(known, controller=at, digest=digest)
    return result


def _workload_status(view: View, in_spec: bool, diagnosed: Callable[[View], Cause | None]) -> WorkloadStatus:
    name, controller = view.workload.name, view.controller or {}
    now = progress(view)
    cause = None if now.done else diagnosed(view)
    state = "extra" if not in_spec else "ready" if now.done else "failing" if cause else "waiting"
    kind = str(controller.get("kind", ""))
    return WorkloadStatus(
        name=name,
        kind=kind,
        state=state,
        ready=now.ready,
        wanted=now.wanted,
        earlier=sum(is_ready(pod) and "deletionTimestamp" not in pod["metadata"] for pod in view.leaving),
        images=tuple(dict.fromkeys(_images(controller))),
        restarts=sum(_restarts(pod) for pod in view.pods),
        age=_age((view.maker or controller)["metadata"]["creationTimestamp"]),
        detail=_last_run(controller) if kind == "CronJob" else now.detail,
        cause=cause,
        last_restart=last_restart(view.pods),
        events=recent_events(view),
    )


def _images(controller: KubeObject) -> list[str]:
    spec = controller.get("spec", {})
    if controller.get("kind") == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    pod = spec.get("template", {}).get("spec", {})
    return [container["image"] for container in pod.get("containers", ())]


def _restarts(pod: KubeObject) -> int:
    return sum(status.get("restartCount", 0) for status in pod.get("status", {}).get("containerStatuses") or ())


def _last_run(cron: KubeObject) -> str:
    schedule, status = cron["spec"]["schedule"], cron.get("status", {})
    last, good = status.get("lastScheduleTime"), status.get("lastSuccessfulTime")
    if last is None:
        return f"{schedule}, has not run yet"
    if status.get("active"):
        return f"{schedule}, running"
    return f"{schedule}, last run {last} " + ("succeeded" if good and good >= last else "failed")


def _made(item: KubeObject) -> str:
    return item["metadata"]["creationTimestamp"]


def _age(timestamp: str) -> float:
    return max((datetime.now(UTC) - datetime.fromisoformat(timestamp)).total_seconds(), 0.0)
