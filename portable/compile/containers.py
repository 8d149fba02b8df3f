"""Containers: what runs before the others and beside them, and what each is given."""

from __future__ import annotations

from typing import Any

from portable.compile import names, probes, security
from portable.compile.config import VOLUME_PREFIX, Files, environment, literal
from portable.compile.ports import container_ports
from portable.compile.scaling import LONG_RUNNING
from portable.compile.scope import Scope
from portable.spec.model import Container, Workload

# What a container asks for when the spec is silent. Enough for a small service to start on; small enough that a dozen fit
# a laptop; never nothing, for a pod without requests is the first to be evicted and an autoscaler cannot count it.
REQUESTS = {"cpu": "50m", "memory": "64Mi"}
# How long kube-proxies take to forget a pod that ends; requests that arrive meanwhile are still served.
DRAIN = 5


def phases(scope: Scope, workload: Workload) -> tuple[list[Container], list[Container]]:
    """Containers that others wait for (init containers, in an order that suits all), and the rest."""
    early = {name for name, container in workload.containers.items() if container.before}
    ordered: list[Container] = []
    waiting = [container for name, container in workload.containers.items() if name in early]
    while waiting:
        named = {other for container in waiting for other in container.before}
        ready = [container for container in waiting if container.name not in named] or waiting
        ordered += ready
        waiting = [container for container in waiting if container not in ready]
    late = [container for name, container in workload.containers.items() if name not in early]
    if not late:
        scope.problem(
            ("workloads", workload.name, "containers"),
            f"every container of {workload.name} is to run before another one",
        )
    return ordered, late


def main_container(scope: Scope, workload: Workload, container: Container, bundle: Files) -> dict[str, Any]:
    """A container that runs as long as the pod. The first of them stands for the workload's ports."""
    found = _container(scope, workload, container, bundle)
    if workload.kind in LONG_RUNNING and workload.ports:
        found["lifecycle"] = {"preStop": {"sleep": {"seconds": drain(scope, workload)}}}
    main = [each for each in workload.containers.values() if not each.before]
    if container is main[0] and workload.ports:
        found["ports"] = container_ports(workload)
        readiness = probes.default_readiness(workload)
        if readiness is not None and not any(each.readiness for each in main):
            found["readinessProbe"] = readiness
    return dict(sorted(found.items(), key=_name_first))


def early_container(scope: Scope, workload: Workload, container: Container, bundle: Files) -> dict[str, Any]:
    """A container that others wait for: run to its end, or (a native sidecar) started, or healthy, and kept running."""
    found = _container(scope, workload, container, bundle)
    if "complete" not in container.before.values():
        found["restartPolicy"] = "Always"
        health = found.get("readinessProbe") or found.get("livenessProbe")
        if "healthy" in container.before.values() and health is not None:
            # The next container starts when this passes; a startup probe may fail for long without a restart.
            patient = {key: value for key, value in health.items() if key != "successThreshold"}
            found.setdefault("startupProbe", {**patient, "periodSeconds": 2, "failureThreshold": 150})
    return dict(sorted(found.items(), key=_name_first))


def _name_first(entry: tuple[str, Any]) -> tuple[bool, str]:
    return entry[0] != "name", entry[0]


def _container(scope: Scope, workload: Workload, container: Container, bundle: Files) -> dict[str, Any]:
    """What containers of every kind have."""
    parts: dict[str, Any] = {
        "args": [literal(word) for word in container.args],
        "command": [literal(word) for word in container.command],
        "env": environment(scope, workload, container),
        "image": container.image,
        "imagePullPolicy": "IfNotPresent",
        "name": container.name,
        "resources": _resources(container),
        "securityContext": security.container_context(workload),
        "volumeMounts": _mounts(workload, container, bundle),
    }
    parts |= _probes(scope, workload, container)
    return {key: value for key, value in parts.items() if value}


def _probes(scope: Scope, workload: Workload, container: Container) -> dict[str, Any]:
    """The spec's, with what it leaves open."""
    ports, found = workload.ports, dict[str, Any]()
    if container.liveness is not None:
        found["livenessProbe"] = probes.liveness(container.liveness, ports, drain(scope, workload))
    if container.readiness is not None:
        found["readinessProbe"] = probes.readiness(container.readiness, ports)
    if container.startup is not None:
        found["startupProbe"] = probes.probe(container.startup, ports)
    return found


def _resources(container: Container) -> dict[str, Any]:
    """Requests are always set: the spec's, else its limits (as Kubernetes would), else a small default."""
    limits = dict(sorted(container.resources.limits.items()))
    requests = {**REQUESTS, **limits, **container.resources.requests}
    return ({"limits": limits} if limits else {}) | {"requests": dict(sorted(requests.items()))}


def _mounts(workload: Workload, container: Container, bundle: Files) -> list[dict[str, Any]]:
    found = list(bundle.mounts.get(container.name, []))
    for mount in container.volumes.values():
        entry: dict[str, Any] = {"name": mount.source, "mountPath": mount.path}
        if mount.sub_path is not None:
            entry["subPath"] = mount.sub_path
        if mount.read_only:
            entry["readOnly"] = True
        found.append(entry)
    found += [{"name": writable_volume(path), "mountPath": path} for path in workload.security.writable if path != "/"]
    return sorted(found, key=lambda mount: mount["mountPath"])


def writable_volume(path: str) -> str:
    return f"{VOLUME_PREFIX}writable-{names.slug(path, dots=False, limit=50)}"


def drain(scope: Scope, workload: Workload) -> int:
    """Seconds that a pod goes on serving after it was told to stop; 0 for one that nobody calls."""
    if not workload.ports:
        return 0
    return max(DRAIN, scope.profile.ingress.drain) if workload.routes else DRAIN
