"""Who a pod runs as and what it may do; the namespace's Pod Security level.

Levels are those of https://kubernetes.io/docs/concepts/security/pod-security-standards/ and mean here:

restricted  no root, no capabilities, no privilege escalation: what every workload gets unless it asks for less
baseline    root allowed, with the container runtime's default capabilities; for images that insist on root
privileged  nothing is restricted by us; what it needs (`privileged: true`, a host path) is named in a patch
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from portable.compile.names import labels
from portable.compile.scope import Scope
from portable.provider import KubeObject
from portable.spec.model import App, Workload

LEVELS = ("restricted", "baseline", "privileged")
# Owns volumes when the image's user is unknown: any group does, for Kubernetes adds it to the process.
VOLUME_GROUP = 1000
_UNPRIVILEGED_PORTS = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}


def level(workload: Workload) -> str:
    """The Pod Security level that the workload needs: what it names, else the lowest that it fits."""
    if workload.security.level is not None:
        return workload.security.level
    return "baseline" if workload.security.user == 0 else "restricted"


def check(scope: Scope, workload: Workload) -> None:
    if workload.security.user == 0 and workload.security.level == "restricted":
        scope.problem(
            ("workloads", workload.name, "security", "level"),
            f"{workload.name} runs as root (user: 0), which the level restricted forbids",
            expected="level: baseline, or a user other than 0",
        )


def highest(levels: Iterable[str]) -> str:
    """The level that admits all of them."""
    return max(levels, key=LEVELS.index, default="restricted")


def pod_context(workload: Workload, *, owns_volumes: bool) -> dict[str, Any]:
    """The pod's securityContext. `owns_volumes`: volumes or secrets are mounted, whose files the process must reach."""
    user, strict = workload.security.user, level(workload)
    context: dict[str, Any] = {}
    if owns_volumes:
        context["fsGroup"] = user or VOLUME_GROUP
        # Without it every start walks and chowns the whole volume.
        context["fsGroupChangePolicy"] = "OnRootMismatch"
    if user is not None:
        context["runAsGroup"] = user
    if strict == "restricted":
        context["runAsNonRoot"] = True
    if user is not None:
        context["runAsUser"] = user
    if strict != "privileged":
        context["seccompProfile"] = {"type": "RuntimeDefault"}
    if strict == "restricted" and any(port.target < 1024 for port in workload.ports.values()):
        # A safe sysctl: lets a process without capabilities listen on port 80.
        context["sysctls"] = [dict(_UNPRIVILEGED_PORTS)]
    return context


def container_context(workload: Workload) -> dict[str, Any]:
    strict = level(workload)
    if strict == "privileged":
        return {}
    context: dict[str, Any] = {"allowPrivilegeEscalation": False}
    if strict == "restricted":
        context["capabilities"] = {"drop": ["ALL"]}
    context["readOnlyRootFilesystem"] = "/" not in workload.security.writable
    return context


def namespace(app: App, enforced: str) -> KubeObject:
    """The app's namespace; pods above its Pod Security level are refused, controllers that would make such pods warned of."""
    security = {
        "pod-security.kubernetes.io/enforce": enforced,
        "pod-security.kubernetes.io/warn": enforced,
    }
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": app.namespace, "labels": dict(sorted((labels(app) | security).items()))},
    }
