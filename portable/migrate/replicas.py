"""How many pods each workload has on one side: recorded, taken to zero, put back exactly.

An autoscaler leaves a workload at zero alone, as long as it is there:
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from portable.compile.names import WORKLOAD_LABEL
from portable.errors import ClusterError
from portable.kube import Kube
from portable.migrate.sides import FIELD_MANAGER
from portable.provider import KubeObject
from portable.rollout.handover import pass_replicas
from portable.rollout.ownership import owns

_SCALED = (("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"))
_CRON = ("batch/v1", "CronJob")
_TRIES = 6


def record(kube: Kube, namespace: str, *, skip: Collection[str] = ()) -> dict[str, Any]:
    """Controller ("Deployment/web") -> {"replicas", "owner": who applied that field, if anybody} or {"suspend"} of a cron job.

    `skip`: workloads that are left running.
    """
    found: dict[str, Any] = {}
    for live in _controllers(kube, namespace, skip):
        if live["kind"] == "CronJob":
            found[_name(live)] = {"suspend": bool(live["spec"].get("suspend", False))}
        else:
            found[_name(live)] = {"replicas": int(live["spec"].get("replicas", 1)), "owner": _owner(live)}
    return found


def suspend(kube: Kube, namespace: str, recorded: Mapping[str, Any]) -> None:
    for name in recorded:
        if name.startswith("CronJob/"):
            _patch(kube, namespace, name, {"spec": {"suspend": True}})


def scale_to_zero(kube: Kube, namespace: str, recorded: Mapping[str, Any]) -> None:
    for name in recorded:
        if not name.startswith("CronJob/"):
            _patch(kube, namespace, name, {"spec": {"replicas": 0}})


def restore(kube: Kube, namespace: str, recorded: Mapping[str, Any]) -> None:
    """The counts as they were recorded, owned by whom they were owned: for the next `up` nothing has changed."""
    for name, before in recorded.items():
        if "suspend" in before:
            _patch(kube, namespace, name, {"spec": {"suspend": before["suspend"]}})
        else:
            live = _patch(kube, namespace, name, {"spec": {"replicas": before["replicas"]}})
            if live is not None and before["owner"]:
                _give_back(kube, live, before["owner"])


def _patch(kube: Kube, namespace: str, name: str, patch: KubeObject) -> KubeObject | None:
    """None where it is gone."""
    kind, _, plain = name.partition("/")
    version = "batch/v1" if kind == "CronJob" else "apps/v1"
    try:
        return kube.merge_patch(version, kind, plain, patch, namespace, field_manager=FIELD_MANAGER)
    except ClusterError as error:
        if error.status == 404:
            return None
        raise


def _controllers(kube: Kube, namespace: str, skip: Collection[str]) -> Iterator[KubeObject]:
    for version, kind in (*_SCALED, _CRON):
        for live in kube.list(version, kind, namespace, label_selector=WORKLOAD_LABEL):
            if live["metadata"]["labels"][WORKLOAD_LABEL] not in skip:
                yield live


def _name(live: KubeObject) -> str:
    return f"{live['kind']}/{live['metadata']['name']}"


def _owner(live: KubeObject) -> str:
    """The manager that applied `replicas`; empty where an update set it."""
    return next(
        (
            str(entry["manager"])
            for entry in live["metadata"].get("managedFields", ())
            if entry.get("operation") == "Apply" and owns(entry, "spec", "replicas")
        ),
        "",
    )


def _give_back(kube: Kube, live: KubeObject, owner: str) -> None:
    """The count, which we own since we set it, to whom it belonged."""
    for _ in range(_TRIES):
        metadata = live["metadata"]
        try:
            pass_replicas(kube, live, FIELD_MANAGER, to=owner)
            return
        except ClusterError as error:
            if error.status != 409:
                raise
        found = kube.get(live["apiVersion"], live["kind"], metadata["name"], metadata["namespace"])
        if found is None:
            return
        live = found
