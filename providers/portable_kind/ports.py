"""Which host ports the cluster's HTTP and HTTPS entry gets."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    http: int
    https: int


PREFERRED = (Ports(80, 443), Ports(8080, 8443))


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now. Docker's engine binds as root: a refusal to us is no proof."""
    with socket.socket() as probe:
        # As Docker's proxy does: connections that are winding down do not count as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except PermissionError:
            return _nobody_answers(port)
        except OSError:
            return False
    return _nobody_answers(port)


def _nobody_answers(port: int) -> bool:
    """A server on 0.0.0.0 does not keep us from binding 127.0.0.1 everywhere, but Docker would not get the port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) != 0


def any_free(count: int) -> list[int]:
    """Ports that the system says are free, all different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((LOOPBACK, 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def choose(earlier: Ports | None = None, free: Callable[[int], bool] = is_free) -> Ports:
    """The ports that the cluster had before, else 80 and 443, else 8080 and 8443, else any two; only free ones."""
    candidates: Sequence[Ports] = (*((earlier,) if earlier else ()), *PREFERRED)
    for ports in candidates:
        if free(ports.http) and free(ports.https):
            return ports
    return Ports(*any_free(2))
