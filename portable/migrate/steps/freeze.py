"""Freeze: the source stands still. What ran is recorded first, a fence keeps it so, and nothing mounts its volumes any more."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from portable.compile.names import WORKLOAD_LABEL
from portable.errors import ClusterError
from portable.kube import Kube
from portable.migrate import home_record, journal, replicas
from portable.migrate.move import Move, end_of, wait_until
from portable.migrate.steps.step import Facts, MigrationStep
from portable.polling import elapsed
from portable.provider import KubeObject
from portable.rollout.revisions import last_good
from portable.rollout.watch import Watcher
from portable.steps import Progress

# Beyond a pod's own grace, for the kubelet and the API server.
_PATIENCE = 30.0


def _freeze(move: Move, progress: Progress) -> Facts:
    kube, namespace = move.source_kube, move.namespace
    if "before" not in move.record.facts("freeze"):
        before = replicas.record(kube, namespace)
        move.note("freeze", before=before)
    before = move.record.facts("freeze")["before"]
    home_record.write(kube, namespace, "frozen", move.migration, end_of(move.source))
    replicas.suspend(kube, namespace, before)
    _wait_for_jobs(move, progress)
    if "stopped_at" not in move.record.facts("freeze"):
        move.note("freeze", stopped_at=time.time())
    stopping = {name: count for name, count in before.items() if name.partition("/")[2] not in move.replicated}
    replicas.scale_to_zero(kube, namespace, stopping)
    wait_for_pods_gone(kube, namespace, stopping, progress)
    positions = {}
    for name, replication in move.replications.items():
        progress.note(f"{name}: no more writes")
        positions[name] = replication.fence_source()
    return {"positions": positions}


def _still_mounted(move: Move) -> str:
    mine = {volume.claim for volume in move.volumes}
    names = [pod["metadata"]["name"] for pod in _mounting(move.source_kube, move.namespace, mine)]
    return f"the volumes are still in use by {', '.join(names)}" if names else ""


def _thaw(move: Move, progress: Progress) -> None:
    """The source as it was: databases first, then what uses them."""
    before: Mapping[str, Any] = move.record.facts("freeze").get("before", {})
    kube, namespace = move.source_kube, move.namespace
    databases = {name: count for name, count in before.items() if name.partition("/")[2] in move.replicated}
    replicas.restore(kube, namespace, databases)
    for name, replication in move.replications.items():
        _wait_for_ready(kube, namespace, f"StatefulSet/{name}")
        replication.unfence_source()
    replicas.restore(kube, namespace, before)
    if move.record.header.reverses:
        home_record.write(kube, namespace, "home", move.record.header.reverses, end_of(move.source))
    else:
        home_record.clear(kube, namespace)
    progress.note("waiting until the source is ready")
    good = last_good(kube, namespace)  # as it was applied: with digests of secrets and images
    running = {
        name: found for name, found in (good.workloads if good else {}).items() if found.controller.kind != "Job"
    }
    with Watcher(kube, namespace, running, move.emit) as watcher:
        watcher.wait_all()
    if move.source_side.objects.routes and any(entry.step == journal.CUT_OVER for entry in move.record.entries):
        from portable.migrate.cutover import Forwarding

        Forwarding(move.sides, move.emit).undo()


def _wait_for_jobs(move: Move, progress: Progress) -> None:
    """A job that runs finishes: cut off, it would run from its start on the target."""
    kube, patience = move.source_kube, move.options.wait_for_jobs

    def running() -> list[str]:
        jobs = kube.list("batch/v1", "Job", move.namespace, label_selector=WORKLOAD_LABEL)
        return [job["metadata"]["name"] for job in jobs if job.get("status", {}).get("active")]

    def none_runs() -> bool:
        if names := running():
            progress.note(f"waiting for {', '.join(names)}")
        return not names

    if not wait_until(none_runs, timeout=patience, interval=1.0):
        raise ClusterError(
            f"jobs still run after {elapsed(patience)}: {', '.join(running())}",
            fix="wait until they have ended, or delete them with `kubectl delete job`; then `portable migrate resume`",
        )


def wait_for_pods_gone(kube: Kube, namespace: str, recorded: Mapping[str, Any], progress: Progress) -> None:
    """Raises ClusterError naming what does not stop within its own grace."""
    names = {name.partition("/")[2] for name in recorded if not name.startswith("CronJob/")}

    def left() -> list[KubeObject]:
        return [
            pod
            for pod in kube.list("v1", "Pod", namespace, label_selector=WORKLOAD_LABEL)
            if pod["metadata"]["labels"][WORKLOAD_LABEL] in names and not _ended(pod)
        ]

    grace = max((float(pod["spec"].get("terminationGracePeriodSeconds", 30)) for pod in left()), default=0.0)
    progress.note("waiting until its pods have stopped")
    if wait_until(lambda: not left(), timeout=grace + _PATIENCE):
        return
    still = left()
    words = ", ".join(f"{pod['metadata']['name']} on node {pod['spec'].get('nodeName', '?')}" for pod in still)
    raise ClusterError(
        f"these pods do not stop, {elapsed(grace + _PATIENCE)} after they were told to: {words}",
        detail="as long as one may still run, it may still write",
        fix="find out what holds them (`kubectl describe pod`). Where the node is gone for good: `kubectl delete pod --force"
        " --grace-period=0 NAME`. Then `portable migrate resume`",
    )


def _mounting(kube: Kube, namespace: str, claims: set[str]) -> Iterator[KubeObject]:
    """Pods of the app that use one of the claims; a mover only reads, and is no pod of the app's."""
    for pod in kube.list("v1", "Pod", namespace, label_selector=WORKLOAD_LABEL):
        mounted = {
            volume["persistentVolumeClaim"]["claimName"]
            for volume in pod["spec"].get("volumes", ())
            if "persistentVolumeClaim" in volume
        }
        if mounted & claims and not _ended(pod):
            yield pod


def _wait_for_ready(kube: Kube, namespace: str, name: str, timeout: float = 120.0) -> None:
    kind, _, plain = name.partition("/")

    def ready() -> bool:
        live = kube.get("apps/v1", kind, plain, namespace) or {}
        return live.get("status", {}).get("readyReplicas", 0) >= live.get("spec", {}).get("replicas", 1)

    if not wait_until(ready, timeout=timeout):
        raise ClusterError(
            f"{name} is not ready {elapsed(timeout)} after it was started again",
            fix="see why with `portable status`; then `portable migrate rollback` goes on",
        )


def _ended(pod: KubeObject) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


FREEZE = MigrationStep("freeze", "the source stands still", _freeze, check=_still_mounted, undo=_thaw)
