"""Ports of loopback that nobody listens on."""

from __future__ import annotations

import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Free for TCP and UDP, and different from each other."""
    ports: list[int] = []
    with ExitStack() as held:
        while len(ports) < count:
            tcp, udp = held.enter_context(socket.socket()), held.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            ports.append(int(tcp.getsockname()[1]))
    return ports
