"""What a mover is asked to do: one line of JSON to its port on loopback, reached by the API server's port forwarding.

See providers/portable_kind/mover/control.go for the other end.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from portable.errors import ClusterError
from portable.kube import Kube
from portable.migrate.transfer.objects import CONTROL_PORT
from portable.reach import PortStream, port_stream

# A mover tells how far it is twice a second. After so many seconds of silence its node, or the way to it, is taken for lost.
SILENCE = 40.0
Told = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Mover:
    """One end of a pair: a pod that runs."""

    kube: Kube
    namespace: str
    pod: str


class MoverError(Exception):
    """What a mover could not do. `kind`: disconnected, full, permission, changed, empty, missing or failed."""

    def __init__(self, kind: str, message: str, path: str = "", free: int = 0, size: int = 0) -> None:
        super().__init__(message)
        self.kind, self.message, self.path, self.free, self.size = kind, message, path, free, size


def ask(mover: Mover, do: str, told: Told = lambda _progress: None, **details: Any) -> Mapping[str, Any]:
    """The result of a request; `told` hears how far it is. Raises MoverError, of kind "disconnected" also where the mover
    went away. Giving up the call ends what the mover does."""
    try:
        with port_stream(mover.kube, mover.namespace, mover.pod, CONTROL_PORT) as stream:
            stream.send((json.dumps({"do": do, **details}) + "\n").encode())
            with _watched(stream) as lines:
                for line in lines:
                    answer = json.loads(line)
                    if "progress" in answer:
                        told(answer["progress"])
                    elif "error" in answer:
                        raise MoverError(**{"message": "", **answer["error"]})
                    else:
                        return answer["result"]
    except ClusterError as error:
        raise MoverError("disconnected", f"{mover.pod}: {error.message}") from error
    raise MoverError("disconnected", f"the mover {mover.pod} went away")


class _watched:
    """Lines of a stream, which is closed when none comes for too long."""

    def __init__(self, stream: PortStream) -> None:
        self._stream = stream
        self._last = time.monotonic()
        self._over = threading.Event()

    def __enter__(self) -> Iterator[bytes]:
        threading.Thread(target=self._watch, daemon=True).start()
        return self._lines()

    def __exit__(self, *_exception: object) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            if time.monotonic() - self._last > SILENCE:
                self._stream.close()
                return

    def _lines(self) -> Iterator[bytes]:
        rest = b""
        for data in self._stream.receive():
            self._last = time.monotonic()
            *lines, rest = (rest + data).split(b"\n")
            yield from lines
