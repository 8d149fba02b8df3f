"""Probes: the spec's, and the one that a service gets when it names none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portable.spec.model import Port, Probe, Workload

_TIMES = (
    ("initialDelaySeconds", "initial_delay"),
    ("periodSeconds", "period"),
    ("timeoutSeconds", "timeout"),
    ("successThreshold", "success_threshold"),
    ("failureThreshold", "failure_threshold"),
)


def probe(spec: Probe, ports: Mapping[str, Port]) -> dict[str, Any]:
    """A probe as Kubernetes has it. A port's name stands for the port that the container listens on."""
    found: dict[str, Any] = {}
    if spec.http is not None:
        get: dict[str, Any] = {"path": spec.http.path, "port": _target(spec.http.port, ports)}
        headers = dict(spec.http.headers)
        if spec.http.host is not None:
            # The probe's own `host` would make the kubelet dial elsewhere, and Pod Security refuses it; a header is what is meant.
            headers.setdefault("Host", spec.http.host)
        if headers:
            get["httpHeaders"] = [{"name": name, "value": value} for name, value in sorted(headers.items())]
        if spec.http.scheme != "HTTP":
            get["scheme"] = spec.http.scheme
        found["httpGet"] = get
    elif spec.exec is not None:
        found["exec"] = {"command": list(spec.exec)}
    elif spec.tcp is not None:
        found["tcpSocket"] = {"port": _target(spec.tcp, ports)}
    for name, field in _TIMES:
        value = getattr(spec, field)
        if value is not None:
            found[name] = value
    return found


def default_readiness(workload: Workload) -> dict[str, Any] | None:
    """A TCP probe on the first TCP port, so that no pod gets requests before it listens. None: nothing listens.

    Every 2 s: a rollout waits for the next try after a pod's start, and an open connection costs nothing.
    """
    first = next((port for port in workload.ports.values() if port.protocol == "TCP"), None)
    if first is None:
        return None
    return {"tcpSocket": {"port": first.target}, "periodSeconds": 2, "failureThreshold": 3}


def _target(port: int | str, ports: Mapping[str, Port]) -> int | str:
    return ports[port].target if isinstance(port, str) and port in ports else port
