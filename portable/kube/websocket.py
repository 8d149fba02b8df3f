"""WebSockets of the API server: port forwarding, exec."""

from __future__ import annotations

import queue
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from portable.kube import refusals

if TYPE_CHECKING:
    from httpx2.websockets import WebSocketSession

    from portable.kube.wire import Wire


@contextmanager
def opened(
    wire: Wire, path: str, *, subprotocol: str, params: Mapping[str, str | list[str]]
) -> Iterator[WebSocketSession]:
    """A WebSocket to `path` ("/api/v1/.../portforward"). The caller handles httpx2's own errors while it is open."""
    import httpx2
    from httpx2.websockets import WebSocketUpgradeError

    try:
        with wire.http.websocket(
            path, subprotocols=[subprotocol], params=params, keepalive_ping_interval_seconds=None
        ) as session:
            try:
                yield session
            finally:
                _end(session)
    except WebSocketUpgradeError as error:
        words: Mapping[str, Any] = {}
        with suppress(httpx2.StreamError):  # the connection may be closed before the refusal was read
            error.response.read()
            words = refusals.answered(error.response)
        raise refusals.refusal(error.response.status_code, words, wire.server) from error
    except httpx2.HTTPError as error:
        raise refusals.unreachable(wire.server, error) from error


def hang_up(session: WebSocketSession) -> None:
    """Ends a WebSocket from any thread: who reads from it finds that it has ended. What it was opened by closes it.

    Not by closing its socket: the library's own thread would still read from it, and from whatever connection gets the same
    file descriptor next.
    """
    sock = session.stream.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            # not TLS's own, which takes the object apart under its reader
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _end(session: WebSocketSession) -> None:
    """Says goodbye, and waits until nobody reads any more."""
    from httpx2.websockets import WebSocketNetworkError
    from wsproto.events import CloseConnection
    from wsproto.utilities import LocalProtocolError

    with suppress(WebSocketNetworkError, LocalProtocolError):
        session.send(CloseConnection(1000))
    hang_up(session)
    reader, patience = session._background_receive_task, time.monotonic() + 5
    while reader.is_alive() and time.monotonic() < patience:
        with suppress(queue.Empty):  # it may wait for room in its queue
            session._events.get(timeout=0.01)
