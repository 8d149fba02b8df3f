"""A side's routes asked at their own address, whatever DNS says."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping

from portable.errors import ClusterError
from portable.migrate.cutover.addresses import Place, asked_as, places
from portable.migrate.cutover.trust import context
from portable.migrate.sides import Side

REQUEST_SECONDS = 10.0
_EVERY = 0.5


def smoke(side: Side, *, timeout: float = 60.0) -> tuple[str, ...]:
    """What is wrong with the routes, in words; empty: each answered, not with an error of the server's (status 5xx), and with a
    certificate that is trusted where it has TLS. A route may take up to `timeout` seconds to answer so."""
    end = time.monotonic() + timeout
    while True:
        try:
            problems = tuple(words for place in places(side) if (words := _problem(side, place)))
        except ClusterError as error:
            problems = (error.message,)
        if not problems or time.monotonic() >= end:
            return problems
        time.sleep(_EVERY)


def ask(
    side: Side,
    place: Place,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    seconds: float = REQUEST_SECONDS,
) -> tuple[int, Mapping[str, str], bytes]:
    """(status, headers, body) of a GET there. Raises OSError (TimeoutError after `seconds` of silence) or http.client.HTTPException."""
    connection = http.client.HTTPConnection(asked_as(place.host), timeout=seconds)
    try:
        connection.sock = _connected(side, place, seconds)
        connection.request("GET", path, headers={"User-Agent": "portable", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def _problem(side: Side, place: Place) -> str:
    at = f"{'https' if place.tls else 'http'}://{asked_as(place.host)}{place.path} at {place.address}:{place.port}"
    try:
        status, _, body = ask(side, place, place.path)
    except ssl.SSLCertVerificationError as error:
        return f"{at}: its certificate is not trusted: {error.verify_message}"
    except (OSError, http.client.HTTPException) as error:
        return f"{at}: {type(error).__name__}: {error}"
    if status >= 500:
        said = body.decode(errors="replace").strip().partition("\n")[0][:200]
        return f"{at}: it answered {status} {said}".rstrip()
    return ""


def _connected(side: Side, place: Place, seconds: float) -> socket.socket:
    plain = socket.create_connection((place.address, place.port), timeout=seconds)
    if not place.tls:
        return plain
    try:
        return context(side, place.host).wrap_socket(plain, server_hostname=asked_as(place.host))
    except BaseException:
        plain.close()
        raise
