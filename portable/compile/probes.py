"""Probes: the spec's, and the one that a service gets when it names none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portable.spec.model import Port, Probe, Workload

# What a probe asks for costs a connection, or a small request: often enough that a rollout does not wait for the next try, and
# that a pod that hangs is out of service after 7 s. Kubernetes' own 10 s make that half a minute of unanswered requests.
_READINESS = {"periodSeconds": 2, "failureThreshold": 3}
# Seconds that a process gets to end after its liveness probe has failed.
LAST_WORDS = 10
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


def readiness(spec: Probe, ports: Mapping[str, Port]) -> dict[str, Any]:
    """Asked every 2 s where the spec does not say how often. A command keeps Kubernetes' 10 s: a process costs more."""
    found = probe(spec, ports)
    if spec.exec is None and spec.period is None:
        found["periodSeconds"] = _READINESS["periodSeconds"]
    return found


def liveness(spec: Probe, ports: Mapping[str, Port], drain: int) -> dict[str, Any]:
    """A process that no longer answers gets 10 s to end after its `drain`: what it has not done by then it will not do."""
    return probe(spec, ports) | {"terminationGracePeriodSeconds": drain + LAST_WORDS}


def default_readiness(workload: Workload) -> dict[str, Any] | None:
    """A TCP probe on the first TCP port, so that no pod gets requests before it listens. None: nothing listens."""
    first = next((port for port in workload.ports.values() if port.protocol == "TCP"), None)
    if first is None:
        return None
    return {"tcpSocket": {"port": first.target}, **_READINESS}


def _target(port: int | str, ports: Mapping[str, Port]) -> int | str:
    return ports[port].target if isinstance(port, str) and port in ports else port
