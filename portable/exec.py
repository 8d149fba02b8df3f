"""`exec`: a command in a container of a pod, by the API server's own protocol (WebSocket, subprotocol v5.channel.k8s.io).

Each message begins with its channel: 0 standard input, 1 output, 2 error, 3 how it ended (a Status in JSON), 4 the terminal's
size, 255 closes a channel, which v5 brought and without which standard input has no end.
https://github.com/kubernetes/kubernetes/blob/v1.36.0/staging/src/k8s.io/apimachinery/pkg/util/remotecommand/constants.go
https://github.com/kubernetes/enhancements/tree/master/keps/sig-api-machinery/4006-transition-spdy-to-websockets
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portable.compile.names import DEFAULT_CONTAINER_ANNOTATION, WORKLOAD_LABEL
from portable.compile.outputs import database_name, username
from portable.errors import ClusterError, UsageError
from portable.kube import Kube
from portable.reach import ready_pod
from portable.spec.model import App, Database

if TYPE_CHECKING:
    from httpx2.websockets import WebSocketSession

_PROTOCOL = "v5.channel.k8s.io"
_STDIN, _STDOUT, _STDERR, _ERROR, _RESIZE, _CLOSE = 0, 1, 2, 3, 4, 255
CHUNK = 16 * 1024


@dataclass(frozen=True)
class Container:
    """A container that runs, by its pod."""

    namespace: str
    pod: str
    name: str


class Process:
    """A command that runs in a container. `write`, `end_input` and `resize` may be called from other threads than `read`."""

    def __init__(self, session: WebSocketSession) -> None:
        self._session = session
        self.code = 0
        self.ended = False

    def write(self, data: bytes) -> None:
        for at in range(0, len(data), CHUNK):
            self._send(_STDIN, data[at : at + CHUNK])

    def end_input(self) -> None:
        self._send(_CLOSE, bytes((_STDIN,)))

    def resize(self, columns: int, rows: int) -> None:
        self._send(_RESIZE, json.dumps({"Width": columns, "Height": rows}).encode())

    def read(self, seconds: float = math.inf) -> Iterator[tuple[int, bytes]]:
        """(1 for standard output or 2 for error, data) until the command ends; then `code` is its exit code.

        Raises ClusterError where the command could not be run, the connection broke, or it goes on for longer than `seconds`.
        """
        from httpx2.websockets import WebSocketDisconnect, WebSocketNetworkError

        deadline = time.monotonic() + seconds
        while True:
            if time.monotonic() >= deadline:
                raise _broken(f"it has not ended after {seconds:.0f} s")
            try:
                message = self._session.receive_bytes(timeout=1.0)
            except TimeoutError:
                continue
            except WebSocketDisconnect as gone:
                if self.ended:
                    return
                raise _broken(gone.reason or f"code {gone.code}") from gone
            except WebSocketNetworkError as gone:
                if self.ended:
                    return
                raise _broken("the connection was lost") from gone
            channel, data = message[0], bytes(message[1:])
            if channel in (_STDOUT, _STDERR) and data:
                yield channel, data
            elif channel == _ERROR and data:
                self.code, self.ended = exit_code(json.loads(data)), True

    def _send(self, channel: int, data: bytes) -> None:
        from httpx2.websockets import WebSocketDisconnect, WebSocketNetworkError
        from wsproto.utilities import LocalProtocolError

        with suppress(
            WebSocketDisconnect, WebSocketNetworkError, LocalProtocolError, OSError
        ):  # it has ended: `read` says how
            self._session.send_bytes(bytes((channel,)) + data)


def choose_container(
    kube: Kube, namespace: str, workload: str, *, pod: str | None = None, container: str | None = None
) -> Container:
    """The container to work in: of the newest ready pod of `workload` (or of `pod`), its main one (or `container`).

    Raises UsageError for a pod or container that the workload does not have, ClusterError where none is ready.
    """
    name = pod or ready_pod(kube, namespace, workload)
    found = kube.get("v1", "Pod", name, namespace)
    if found is None or (found["metadata"].get("labels") or {}).get(WORKLOAD_LABEL) != workload:
        pods = kube.list("v1", "Pod", namespace, label_selector=f"{WORKLOAD_LABEL}={workload}")
        known = ", ".join(sorted(each["metadata"]["name"] for each in pods)) or "none"
        raise UsageError(f"{workload} has no pod called {name!r}", fix=f"its pods are: {known}")
    names = [each["name"] for each in found["spec"]["containers"]]
    if container is not None and container not in names:
        raise UsageError(f"no container is called {container!r}", fix=f"there are: {', '.join(names)}")
    chosen = (found["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER_ANNOTATION)
    main = chosen if chosen in names else names[0]
    return Container(namespace, name, container or str(main))


def command_for(app: App, workload: str, command: Sequence[str]) -> list[str]:
    """`command` as it has to be run; without one a shell, and a database's own client. psql and its like get the user and the
    database that the app has.
    """
    found = app.resources.get(workload)
    if not isinstance(found, Database):
        return list(command) or ["sh"]
    if found.type == "redis":
        return list(command) or ["redis-cli"]
    return ["env", f"PGUSER={username(found)}", f"PGDATABASE={database_name(found)}", *(command or ["psql"])]


@contextmanager
def process(
    kube: Kube, at: Container, command: Sequence[str], *, stdin: bool = False, tty: bool = False
) -> Iterator[Process]:
    """Starts `command`. With `tty` its error stream comes as output. Raises ClusterError where the pod cannot be reached."""
    options = {"stdin": stdin, "stdout": True, "stderr": not tty, "tty": tty}
    params: dict[str, str | list[str]] = {name: "true" for name, on in options.items() if on}
    params |= {"container": at.name, "command": list(command)}
    path = f"/api/v1/namespaces/{at.namespace}/pods/{at.pod}/exec"
    with kube.websocket(path, subprotocol=_PROTOCOL, params=params) as session:
        yield Process(session)


@dataclass(frozen=True)
class Executed:
    """What a command said; `code` is its exit code."""

    code: int
    output: str
    errors: str


def execute(kube: Kube, at: Container, command: Sequence[str], *, given: str = "", seconds: float = 60.0) -> Executed:
    """Runs `command` to its end, with `given` as its standard input, which is in no process list and no log.

    Raises ClusterError where it cannot be run, and after `seconds`: then it may still go on in the container.
    """
    said = {_STDOUT: bytearray(), _STDERR: bytearray()}
    with process(kube, at, command, stdin=True) as running:
        running.write(given.encode())
        running.end_input()
        for channel, data in running.read(seconds):
            said[channel] += data
    if not running.ended:
        raise _broken("how the command ended was not said")
    output, errors = (bytes(part).decode(errors="replace") for part in said.values())
    return Executed(running.code, output, errors)


def carry(running: Process, read: Callable[[], bytes]) -> None:
    """Sends what `read` gives to the command until it gives nothing more; for a thread of its own."""
    with suppress(OSError, ValueError):
        while data := read():
            running.write(data)
    running.end_input()


# After this runc says what is wrong, in the container's own terms; before it, who asked whom.
_STARTING = "unable to start container process: "


def exit_code(status: dict[str, Any]) -> int:
    """0, or the command's own code. Raises ClusterError where it was never run.

    A NonZeroExitCode failure names the code among its causes: k8s.io/client-go/tools/remotecommand/v4.go
    """
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or ()
    for cause in causes:
        if status.get("reason") == "NonZeroExitCode" and cause.get("reason") == "ExitCode":
            return int(cause["message"])
    message = str(status.get("message") or "the command could not be run")
    fix = "name a command that the image has" if "no such file" in message or "not found" in message else ""
    raise ClusterError(message.rpartition(_STARTING)[2].strip(), fix=fix)


def _broken(why: str) -> ClusterError:
    return ClusterError(
        f"the command's connection broke: {why}", fix="the pod may have ended: see `portable status`, then try again"
    )
