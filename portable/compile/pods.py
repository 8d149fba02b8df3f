"""Pods: where they run and as whom, and the volumes that their containers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portable.compile import identity, names, security, storage
from portable.compile.config import SECRET_MODE, Files, environment
from portable.compile.containers import drain, early_container, main_container, phases, writable_volume
from portable.compile.scaling import LONG_RUNNING, controller_kind, single_volumes
from portable.compile.scope import Scope
from portable.provider import KubeObject
from portable.spec.model import Config, Container, Registry, Resource, Secret, Workload

GRACE = 30
_DEAD_NODE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def pod_template(
    scope: Scope, workload: Workload, bundle: Files, mounted: Mapping[str, Resource], configs: Mapping[str, KubeObject]
) -> dict[str, Any]:
    early, late = phases(scope, workload)
    volumes = _volumes(scope, workload, bundle, mounted, configs)
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "containers": [main_container(scope, workload, container, bundle) for container in late],
        "enableServiceLinks": False,
    }
    if pull := _pull_secrets(scope, workload):
        spec["imagePullSecrets"] = [{"name": name} for name in pull]
    if early:
        spec["initContainers"] = [early_container(scope, workload, container, bundle) for container in early]
    if workload.kind in ("job", "cron"):
        spec["restartPolicy"] = "Never"
    owns_volumes = any(not isinstance(found, Config) for found in mounted.values())
    context = security.pod_context(workload, owns_volumes=owns_volumes or bool(bundle.generated))
    if context:
        spec["securityContext"] = context
    spec["serviceAccountName"] = workload.name
    if workload.kind in LONG_RUNNING:
        spec["terminationGracePeriodSeconds"] = drain(scope, workload) + GRACE
        spec |= _placement(scope, workload)
    if scope.profile.tolerations:
        spec["tolerations"] = [*spec.get("tolerations", ()), *map(dict, scope.profile.tolerations)]
    if volumes:
        spec["volumes"] = volumes
    return {"metadata": _pod_metadata(scope, workload, late), "spec": spec}


def _pod_metadata(scope: Scope, workload: Workload, containers: list[Container]) -> dict[str, Any]:
    annotations = dict(workload.annotations)
    if len(containers) > 1:
        annotations.setdefault(names.DEFAULT_CONTAINER_ANNOTATION, containers[0].name)
    if workload.kind in LONG_RUNNING:
        # A rotated secret rolls the pods that use it; it is no reason to run a finished job again.
        for name in _secrets(scope, workload):
            if name in scope.secret_digests:
                annotations[names.SECRET_ANNOTATION + name] = scope.secret_digests[name]
    labels = names.labels(scope.app, workload.name) | identity.pod_labels(scope, workload)
    found: dict[str, Any] = {"labels": dict(sorted(labels.items()))}
    if annotations:
        found["annotations"] = dict(sorted(annotations.items()))
    return found


def _placement(scope: Scope, workload: Workload) -> dict[str, Any]:
    """Apart from each other if possible; away from a dead node after 30 s unless a volume ties the pod to it."""
    found: dict[str, Any] = {}
    if controller_kind(workload) == "Deployment" and not single_volumes(scope, workload):
        found["tolerations"] = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30} for key in _DEAD_NODE
        ]
    spread = workload.availability.spread
    if spread != "none":
        # Zones are only ever preferred: nodes without the label would take no pod at all.
        insist = "DoNotSchedule" if spread == "hard" else "ScheduleAnyway"
        topologies = (("kubernetes.io/hostname", insist), ("topology.kubernetes.io/zone", "ScheduleAnyway"))
        found["topologySpreadConstraints"] = [_spread(workload, key, when) for key, when in topologies]
    return found


def _spread(workload: Workload, key: str, when: str) -> dict[str, Any]:
    constraint: dict[str, Any] = {"labelSelector": {"matchLabels": names.selector(workload.name)}}
    if controller_kind(workload) == "Deployment":
        # Only pods of one revision count, else the old ones decide where the new ones go.
        constraint["matchLabelKeys"] = ["pod-template-hash"]
    return constraint | {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": when}


def _pull_secrets(scope: Scope, workload: Workload) -> list[str]:
    hosts = {_host(container.image) for container in workload.containers.values()}
    registries = (found for found in scope.app.resources.values() if isinstance(found, Registry))
    return sorted(registry.name for registry in registries if _server(registry) in hosts)


def _host(image: str) -> str:
    """The registry of an image, by Docker's rule: a first part with a dot or a port, or `localhost`."""
    first = image.partition("/")[0] if "/" in image else ""
    return first if "." in first or ":" in first or first == "localhost" else "docker.io"


def _server(registry: Registry) -> str:
    server = registry.server.partition("://")[2] or registry.server
    host = server.partition("/")[0]
    return "docker.io" if host in ("index.docker.io", "registry-1.docker.io") else host


def mounted_resources(scope: Scope, workload: Workload) -> dict[str, Resource]:
    """The resources that the workload mounts, by name."""
    found = (scope.app.resources.get(name) for name, users in scope.mounters.items() if workload.name in users)
    return {resource.name: resource for resource in found if resource is not None}


def _secrets(scope: Scope, workload: Workload) -> list[str]:
    """The secret resources that the workload's pods read."""
    used = {name for name, found in mounted_resources(scope, workload).items() if isinstance(found, Secret)}
    for container in workload.containers.values():
        for variable in environment(scope, workload, container):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference is not None:
                used.add(reference["name"])
    return sorted(used)


def _volumes(
    scope: Scope, workload: Workload, bundle: Files, mounted: Mapping[str, Resource], configs: Mapping[str, KubeObject]
) -> list[dict[str, Any]]:
    found = list(bundle.volumes) + storage.pod_volumes(scope, workload)
    for name, resource in mounted.items():
        if name in configs:
            found.append({"name": name, "configMap": {"name": configs[name]["metadata"]["name"]}})
        elif isinstance(resource, Secret):
            found.append({"name": name, "secret": {"secretName": name, "defaultMode": SECRET_MODE}})
    found += [
        {"name": writable_volume(path), "emptyDir": {}} for path in sorted(workload.security.writable) if path != "/"
    ]
    return sorted(found, key=lambda volume: volume["name"])
