"""Ports of a compose service: those that it names for others, and those that the host publishes, short and long syntax."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from portable.importing.draft import Section, scalar
from portable.spec.document import Node

Protocol = Literal["TCP", "UDP"]
# [[ADDRESS:]HOST:]CONTAINER[/PROTOCOL], numbers or ranges; the address may be IPv6 in brackets
_SHORT = re.compile(r"(?:(?:(?:\[[^\]]*\]|[0-9.]+):)?(?:[0-9-]*):)?([0-9]+)(?:-([0-9]+))?(?:/(tcp|udp))?")


@dataclass(frozen=True)
class Published:
    """A port of the container that the host publishes."""

    port: int
    protocol: Protocol
    node: Node


def taken_ports(service: Section) -> dict[tuple[int, Protocol], Node]:
    """(port, protocol) of `expose`."""
    exposed = service.entries("expose")
    return {(port, protocol): entry for entry in exposed for port, protocol in _short(service, entry, scalar(entry))}


def published(service: Section) -> list[Published]:
    """`ports`, by the container's own number."""
    found: list[Published] = []
    for entry in service.entries("ports"):
        if isinstance(entry.content, dict):
            given = service.of(entry)
            target, protocol = given.text("target"), given.text("protocol", "tcp").upper()
            given.close({}, silent=("published", "host_ip", "mode", "name", "app_protocol"))
            if target.isdigit() and protocol in ("TCP", "UDP"):
                found.append(Published(int(target), cast("Protocol", protocol), entry))
            else:
                service.report(entry, "the port is not taken over", "target and protocol are not plain")
        else:
            found += [Published(port, protocol, entry) for port, protocol in _short(service, entry, scalar(entry))]
    return found


def _short(service: Section, node: Node, text: str) -> list[tuple[int, Protocol]]:
    match = _SHORT.fullmatch(text.strip())
    if match is None:
        service.report(node, f"the port {text} is not taken over", "it is no [HOST:]CONTAINER[/PROTOCOL]")
        return []
    first, last = int(match[1]), int(match[2] or match[1])
    protocol: Protocol = "UDP" if match[3] == "udp" else "TCP"
    if not 0 < first <= last < 65536 or last - first > 20:
        service.report(node, f"the ports {text} are not taken over", "write out those that are needed")
        return []
    return [(port, protocol) for port in range(first, last + 1)]
