"""A request to a route as a browser on this machine sends it: by the route's host name, TLS verified."""

from __future__ import annotations

import json
import socket
import ssl
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def fetch(
    url: str,
    *,
    method: str = "GET",
    body: bytes | dict[str, Any] | None = None,
    trust: ssl.SSLContext | None = None,
    address: str = "127.0.0.1",
) -> Answer:
    """Connects to `address`, since not every resolver knows that *.localhost is here. `trust`: portable's authority unless given.

    Raises OSError (ssl.SSLError, ConnectionError, TimeoutError).
    """
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    connection = HTTPConnection(parts.netloc)
    plain = socket.create_connection((address, parts.port or (443 if tls else 80)), timeout=30)
    connection.sock = (trust or authority()).wrap_socket(plain, server_hostname=parts.hostname) if tls else plain
    try:
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.request(method, f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}", content)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    finally:
        connection.close()


def authority() -> ssl.SSLContext:
    from portable_kind.authority import certificate_file

    return ssl.create_default_context(cafile=certificate_file())
