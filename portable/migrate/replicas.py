"""How many pods each workload has on one side, and whether a cron job is suspended: recorded, taken to zero, put back exactly.

An autoscaler leaves a workload at zero alone, as long as it is there:
https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#implicit-maintenance-mode-deactivation
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from portable.compile.names import WORKLOAD_LABEL
from portable.errors import ClusterError
from portable.kube import FIELD_MANAGER as APPLIER
from portable.kube import Kube
from portable.migrate.sides import FIELD_MANAGER
from portable.provider import KubeObject
from portable.rollout.handover import pass_field
from portable.rollout.ownership import owns

_SCALED = (("apps/v1", "Deployment"), ("apps/v1", "StatefulSet"))
_CRON = ("batch/v1", "CronJob")
_DEFAULTS = {"replicas": 1, "suspend": False}
_TRIES = 6


def record(kube: Kube, namespace: str, *, skip: Collection[str] = ()) -> dict[str, Any]:
    """Controller ("Deployment/web") -> {"replicas", "owner": who applied that field, if anybody} or {"suspend",
    "owner"} of a cron job.

    `skip`: workloads that are left running.
    """
    found: dict[str, Any] = {}
    for live in _controllers(kube, namespace, skip):
        field = _field(live["kind"])
        found[_name(live)] = {field: live["spec"].get(field, _DEFAULTS[field]), "owner": _owner(live, field)}
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
    """All as it was recorded, owned by whom it was owned: for the next `up` nothing has changed."""
    for name, before in recorded.items():
        field = _field(name.partition("/")[0])
        live = _patch(kube, namespace, name, {"spec": {field: before[field]}})
        if live is not None:
            # a migration that an earlier version began has no owner of a cron job's
            _pass(kube, live, field, before.get("owner", ""))


def release(kube: Kube, namespace: str) -> None:
    """Gives what migrations have set here to `portable`, as it is: the `up` that starts the app makes it what the spec says. What it leaves
    out stays as somebody else has set it, so a cron job would stay suspended for good."""
    for live in _controllers(kube, namespace, ()):
        field = _field(live["kind"])
        entries = live["metadata"].get("managedFields", ())
        if any(entry["manager"] == FIELD_MANAGER and owns(entry, "spec", field) for entry in entries):
            _pass(kube, live, field, APPLIER)


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


def _field(kind: str) -> str:
    """What of a controller's spec a migration sets."""
    return "suspend" if kind == "CronJob" else "replicas"


def _name(live: KubeObject) -> str:
    return f"{live['kind']}/{live['metadata']['name']}"


def _owner(live: KubeObject, field: str) -> str:
    """The manager that applied `spec.FIELD`; empty where an update set it."""
    return next(
        (
            str(entry["manager"])
            for entry in live["metadata"].get("managedFields", ())
            if entry.get("operation") == "Apply" and owns(entry, "spec", field)
        ),
        "",
    )


def _pass(kube: Kube, live: KubeObject, field: str, owner: str) -> None:
    """What we own since we set it, to whom it belongs; to nobody where `owner` is empty."""
    for _ in range(_TRIES):
        metadata = live["metadata"]
        try:
            pass_field(kube, live, field, FIELD_MANAGER, to=owner)
            return
        except ClusterError as error:
            if error.status != 409:
                raise
        found = kube.get(live["apiVersion"], live["kind"], metadata["name"], metadata["namespace"])
        if found is None:
            return
        live = found
