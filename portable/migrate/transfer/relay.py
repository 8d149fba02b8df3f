"""The path of last resort: this process carries the bytes, between port forwardings of both clusters' API servers.

It sees what the movers encrypted for each other and nothing else. Each direction of a connection is one thread that reads a
message and writes it before it reads the next: memory does not grow with what is carried.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from portable.errors import ClusterError
from portable.migrate.transfer.control import Mover
from portable.migrate.transfer.objects import PEER_PORT
from portable.reach import PortStream, port_stream

CONNECTIONS = 2
_AGAIN = 1.0


class Relay:
    """Keeps connections between the two ends of a pair until it is closed. `ends` names the pods anew for each connection."""

    def __init__(self, ends: Callable[[], tuple[Mover, Mover]]) -> None:
        self._ends = ends
        self._over = threading.Event()
        self._open: set[PortStream] = set()
        self._threads = [threading.Thread(target=self._keep, daemon=True) for _ in range(CONNECTIONS)]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        return not self._over.is_set()

    def close(self) -> None:
        self._over.set()
        for stream in tuple(self._open):
            stream.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _keep(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            with suppress(ClusterError):  # a pod that is not there yet, an API server that restarts
                self._connect()
            self._over.wait(max(0.0, _AGAIN - (time.monotonic() - began)))

    def _connect(self) -> None:
        source, target = self._ends()
        with (
            port_stream(source.kube, source.namespace, source.pod, PEER_PORT) as a,
            port_stream(target.kube, target.namespace, target.pod, PEER_PORT) as b,
        ):
            self._open |= {a, b}
            try:
                back = threading.Thread(target=_carry, args=(b, a), daemon=True)
                back.start()
                _carry(a, b)
                back.join(timeout=5)
            finally:
                self._open -= {a, b}


def _carry(read: PortStream, write: PortStream) -> None:
    from httpx2.websockets import WebSocketNetworkError
    from wsproto.utilities import LocalProtocolError

    try:
        with suppress(ClusterError, WebSocketNetworkError, LocalProtocolError):  # either end has gone
            for data in read.receive():
                write.send(data)
    finally:
        read.close()
        write.close()
