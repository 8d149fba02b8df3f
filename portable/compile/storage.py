"""Volumes: claims that outlive the app.

A claim is an object of its own, applied like any other, so that a larger `size` is just an apply. A StatefulSet of one pod
refers to it; one of several pods has a claim template, and the claims of its first pods stand beside it. Both call it
VOLUME-WORKLOAD-0, so that going from one pod to several keeps the data. Other workloads use a claim called VOLUME.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portable.compile.names import metadata
from portable.compile.scaling import controller_kind, replicas, single_volumes
from portable.compile.scope import Scope
from portable.provider import KubeObject
from portable.spec.model import App, Volume, Workload

_MODES = {"single": "ReadWriteOnce", "shared": "ReadWriteMany"}


def mounters(app: App) -> dict[str, tuple[str, ...]]:
    """Resource name -> the workloads that mount it, sorted."""
    found: dict[str, set[str]] = {}
    for workload in app.workloads.values():
        for container in workload.containers.values():
            for mount in container.volumes.values():
                found.setdefault(mount.source, set()).add(workload.name)
    return {name: tuple(sorted(users)) for name, users in sorted(found.items())}


def check(scope: Scope, volume: Volume) -> None:
    if volume.access == "shared":
        if scope.profile.storage.shared is None:
            scope.problem(
                ("resources", volume.name, "access"),
                f"{scope.profile.title} has no storage that several nodes can write to",
                expected="access: single",
            )
        elif scope.profile.storage.shared_note:
            scope.note(f"{volume.name}: {scope.profile.storage.shared_note}")
        return
    if scope.profile.storage.single is None:
        scope.problem(("resources", volume.name), f"{scope.profile.title} has no storage for volumes")


def has_template(scope: Scope, workload: Workload) -> bool:
    """Whether the workload's pods get their volumes from claim templates."""
    several = replicas(scope, workload) > 1 or workload.scale.automatic
    return workload.kind == "stateful" and several and bool(single_volumes(scope, workload))


def claim_name(scope: Scope, volume: Volume, ordinal: int = 0) -> str:
    owner = _owner(scope, volume)
    return volume.name if owner is None else f"{volume.name}-{owner.name}-{ordinal}"


def claims(scope: Scope, volume: Volume) -> list[tuple[KubeObject, str | None]]:
    """The claims of a volume, each with the workload that it belongs to (None: several share it)."""
    owner = _owner(scope, volume)
    users = scope.mounters.get(volume.name, ())
    workload = owner.name if owner else users[0] if len(users) == 1 else None
    count = replicas(scope, owner) if owner is not None and has_template(scope, owner) else 1
    return [
        (claim(scope, claim_name(scope, volume, n), volume.size, volume.access, workload), workload)
        for n in range(count)
    ]


def claim(scope: Scope, name: str, size: str, access: str, workload: str | None) -> KubeObject:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(scope.app, name, workload),
        "spec": _claim_spec(scope, size, access),
    }


def claim_templates(scope: Scope, workload: Workload) -> list[KubeObject]:
    """`volumeClaimTemplates` of a StatefulSet with several pods."""
    found: list[KubeObject] = []
    for volume in single_volumes(scope, workload):
        named = metadata(scope.app, volume.name, workload.name)
        del named["namespace"]
        template = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": named}
        found.append(template | {"spec": _claim_spec(scope, volume.size, volume.access)})
    return found


def pod_volumes(scope: Scope, workload: Workload) -> list[dict[str, Any]]:
    """The pod's volumes that are claims; those from templates are added by the StatefulSet controller itself."""
    templated = has_template(scope, workload)
    found: list[dict[str, Any]] = []
    for name, users in scope.mounters.items():
        volume = scope.app.resources.get(name)
        if workload.name in users and isinstance(volume, Volume) and not (templated and volume.access == "single"):
            found.append({"name": name, "persistentVolumeClaim": {"claimName": claim_name(scope, volume)}})
    return found


def _claim_spec(scope: Scope, size: str, access: str) -> Mapping[str, Any]:
    storage = scope.profile.storage
    return {
        "accessModes": [_MODES[access]],
        "resources": {"requests": {"storage": size}},
        "storageClassName": storage.shared if access == "shared" else storage.single,
    }


def _owner(scope: Scope, volume: Volume) -> Workload | None:
    """The stateful workload whose volume it is."""
    if volume.access == "shared":
        return None
    users = (scope.app.workloads[name] for name in scope.mounters.get(volume.name, ()))
    return next((workload for workload in users if controller_kind(workload) == "StatefulSet"), None)
