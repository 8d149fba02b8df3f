"""`restart` and `scale`: changes to what runs that are no new version. Made live, watched, and noted in the history."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from portable.deploy import watch
from portable.errors import ClusterError, RolloutFailed, UsageError
from portable.events import Emit
from portable.provider import KubeObject
from portable.rollout.handover import AUTOSCALER
from portable.rollout.stuck import retry_failed
from portable.rollout.view import digest_of
from portable.rollout.watch import Watcher
from portable.running import Running, open_running
from portable.steps import step

if TYPE_CHECKING:
    from portable.compile.objects import CompiledWorkload
    from portable.target import Request

# kubectl's own, so that either tool restarts what the other one did.
RESTARTED = "kubectl.kubernetes.io/restartedAt"
# Not `portable`: an `up` neither takes such a change back for a drift of its own fields, nor restarts once more.
_RESTART_MANAGER = "portable-restart"
# An `up` takes the count back by force, and `drift` shows it: the spec is what counts.
_SCALE_MANAGER = "portable-scale-command"
_LONG_RUNNING = ("Deployment", "StatefulSet")


@dataclass(frozen=True)
class Restarted:
    workloads: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Scaled:
    """`spec`: the count that the last applied spec asks for, and the next `up` puts back."""

    workload: str
    before: int
    replicas: int
    spec: int
    seconds: float


def restart(request: Request, names: Collection[str], *, emit: Emit) -> Restarted:
    """New pods for each workload, the old ones ended as in an update, and waits until all are ready.

    Raises UsageError for what is unknown or does not go on running, RolloutFailed once the pods from before serve again.
    """
    started = time.monotonic()
    with open_running(request, emit) as app:
        controllers = {name: live_controller(app, name) for name in dict.fromkeys(names)}
        app.note(f"restarted {', '.join(controllers)}")
        restart_workloads(app, controllers, emit)
        return Restarted(tuple(controllers), time.monotonic() - started)


def restart_workloads(app: Running, controllers: Mapping[str, KubeObject], emit: Emit) -> None:
    """`controllers`: the live ones, by workload. Where new pods cannot become ready, the template from before comes back."""
    watched = {name: _as_it_runs(app, name, live) for name, live in controllers.items()}
    at = datetime.now(UTC).isoformat(timespec="seconds")
    with step(emit, "restart", f"new pods for {', '.join(controllers)}"), _watcher(app, watched, emit) as watcher:
        retry_failed(app.kube, app.namespace, watched.values())
        for live in controllers.values():
            _annotate(app, live, at)
        try:
            watcher.wait_all()
        except RolloutFailed as failure:
            failed = {cause.workload for cause in failure.causes}
            for name, live in controllers.items():
                if name in failed:
                    app.note(f"the restart of {name} failed: the pods from before go on")
                    _annotate(app, live, (_template(live)["metadata"].get("annotations") or {}).get(RESTARTED))
            failure.fix = failure.fix or "the pods from before go on: nothing was lost"
            raise


def scale(request: Request, name: str, replicas: int, *, emit: Emit) -> Scaled:
    """Another number of pods, until the next `up`, and waits until they are ready.

    Raises UsageError where an autoscaler decides or the workload cannot have that many; RolloutFailed with the cause where
    the new pods cannot become ready (the count stays, to be looked at).
    """
    started = time.monotonic()
    with open_running(request, emit) as app:
        live = live_controller(app, name)
        require_scalable(app, name, live, replicas)
        before = int(live["spec"].get("replicas", 1))
        watched = {name: _as_it_runs(app, name, live)}
        if before != replicas:
            app.note(f"scaled {name} from {before} to {replicas}")
        with (
            step(emit, "scale", f"{name} from {before} to {replicas}"),
            _watcher(app, watched, emit) as watcher,
        ):
            app.kube.merge_patch(
                "apps/v1",
                live["kind"],
                live["metadata"]["name"],
                {"spec": {"replicas": replicas}},
                app.namespace,
                field_manager=_SCALE_MANAGER,
            )
            try:
                watcher.wait_all()
            except RolloutFailed as failure:
                failure.fix = failure.fix or f"go back with `portable scale {name} {before}`"
                raise
        return Scaled(name, before, replicas, _applied_replicas(app, name), time.monotonic() - started)


def live_controller(app: Running, name: str) -> KubeObject:
    """The live Deployment or StatefulSet. Raises UsageError for a job, and for what is not there."""
    at = app.workload(name).controller
    if at.kind not in _LONG_RUNNING:
        raise UsageError(
            f"{name} is a {at.kind}: it has no pods that go on running",
            fix="a job runs once for each version of itself, a cron job at its time",
        )
    live = app.kube.get(at.api_version, at.kind, at.name, app.namespace)
    if live is None:
        raise ClusterError(f"{at} is not in the cluster any more", fix="`portable up` makes it again")
    return live


def _as_it_runs(app: Running, name: str, live: KubeObject) -> CompiledWorkload:
    """With the digest that is live: the last version that was applied may have failed, and another one be back."""
    return replace(app.workload(name), digest=digest_of(live))


def _watcher(app: Running, workloads: Mapping[str, CompiledWorkload], emit: Emit) -> Watcher:
    return watch(app.target, replace(app.now, objects=replace(app.now.objects, workloads=workloads)), emit)


def _annotate(app: Running, live: KubeObject, at: str | None) -> None:
    """None takes the annotation away."""
    patch = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: at}}}}}
    name = live["metadata"]["name"]
    app.kube.merge_patch("apps/v1", live["kind"], name, patch, app.namespace, field_manager=_RESTART_MANAGER)


def require_scalable(app: Running, name: str, live: KubeObject, replicas: int) -> None:
    """Raises UsageError where an autoscaler decides, or the pods could not share what they hold."""
    workload = app.workload(name)
    if (scaler := _autoscaler(app, live)) is not None:
        spec, now = scaler["spec"], scaler.get("status", {}).get("currentReplicas", "?")
        low, high = spec.get("minReplicas", 1), spec["maxReplicas"]
        raise UsageError(
            f"an autoscaler decides how many pods {name} has: between {low} and {high}, now {now}",
            fix=f"change {workload.place}.scale.min or max in the spec, and run `portable up`",
        )
    if workload.section == "resources" and replicas > 1:
        raise UsageError(
            f"{name} is a database of one pod: more would not share its data",
            fix="use 1, or 0 to stop it",
        )
    for volume in _exclusive_volumes(app, live):
        if replicas > 1:
            raise UsageError(
                f"{replicas} pods of {name} cannot share the volume {volume}: its access is single",
                fix="use `kind: stateful` (a volume for each pod) or `access: shared`, and run `portable up`",
            )


def _autoscaler(app: Running, live: KubeObject) -> KubeObject | None:
    wanted = (live["kind"], live["metadata"]["name"])
    for scaler in app.kube.list(*AUTOSCALER, app.namespace):
        at = scaler["spec"]["scaleTargetRef"]
        if (at["kind"], at["name"]) == wanted:
            return scaler
    return None


def _exclusive_volumes(app: Running, live: KubeObject) -> Iterator[str]:
    for volume in _template(live)["spec"].get("volumes", ()):
        if name := volume.get("persistentVolumeClaim", {}).get("claimName"):
            claim = app.kube.get("v1", "PersistentVolumeClaim", name, app.namespace)
            if claim is not None and "ReadWriteMany" not in claim["spec"].get("accessModes", ()):
                yield volume["name"]


def _applied_replicas(app: Running, name: str) -> int:
    at = app.workload(name).controller
    for item in app.last.items:
        if item.manifest["kind"] == at.kind and item.manifest["metadata"]["name"] == at.name:
            return int(item.manifest["spec"].get("replicas", 1))
    return 1


def _template(live: KubeObject) -> KubeObject:
    return live["spec"]["template"]
