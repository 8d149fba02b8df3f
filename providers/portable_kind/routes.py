"""Where routes answer from the user's machine: loopback addresses, on the host ports that the cluster was given."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from portable.provider import RouteAddress
from portable_kind.ports import LOOPBACK, Ports


def resolves_here(host: str) -> bool:
    """Whether this machine takes `host` for itself, as browsers and curl do with *.localhost without asking (RFC 6761)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return any(address[4][0] in (LOOPBACK, "::1") for address in socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):
        return False


def addresses(
    ports: Ports,
    hosts: Sequence[tuple[str, str, bool]],
    trust_note: str,
    here: Callable[[str], bool] = resolves_here,
) -> tuple[RouteAddress, ...]:
    """One address per (host, path, tls). A wildcard or empty host is shown with a name that it matches."""
    return tuple(_address(ports, host, path, tls, trust_note, here) for host, path, tls in hosts)


def _address(
    ports: Ports, host: str, path: str, tls: bool, trust_note: str, here: Callable[[str], bool]
) -> RouteAddress:
    name = host.replace("*", "www", 1) if host else "localhost"
    scheme, port, usual = ("https", ports.https, 443) if tls else ("http", ports.http, 80)
    authority = name if port == usual else f"{name}:{port}"
    notes = [] if here(name) else [f'add "{LOOPBACK} {name}" to /etc/hosts']
    if tls:
        notes.append(trust_note)
    return RouteAddress(f"{scheme}://{authority}{path if path.startswith('/') else '/' + path}", "; ".join(notes))
