"""The ports of a workload's pods, by name: a Service and a policy that name a port mean each pod's own number for it.

So a version that listens on another port takes over without a gap: the pods of the version before are reached on theirs.
"""

from __future__ import annotations

from typing import Any

from portable.spec.model import Port, Workload

# What Kubernetes takes as the name of a container's port (RFC 6335, 5.1); names in a spec are DNS labels already.
_LONGEST = 15


def pod_ports(workload: Workload) -> dict[Port, str | int]:
    """How to refer to the pods' port behind each service port: by name, or by its number where that cannot be one.

    Kubernetes lets a pod have each number once, so ports that lead to the same one share the first of their names.
    """
    names: dict[tuple[int, str], str] = {}
    for name in sorted(workload.ports):
        port = workload.ports[name]
        names.setdefault((port.target, port.protocol), name)
    return {port: _name(names[port.target, port.protocol]) or port.target for port in workload.ports.values()}


def container_ports(workload: Workload) -> list[dict[str, Any]]:
    found = {(port.target, port.protocol): name for port, name in pod_ports(workload).items()}
    return [
        ({"name": name} if isinstance(name, str) else {}) | {"containerPort": number, "protocol": protocol}
        for (number, protocol), name in sorted(found.items(), key=lambda entry: entry[0])
    ]


def _name(label: str) -> str | None:
    return label if len(label) <= _LONGEST and "--" not in label else None
