"""`open`: where a workload answers: its routes' URLs, or a port on this machine that is forwarded to one of its pods.

Forwarding speaks the API server's own protocol (WebSocket, subprotocol v4.channel.k8s.io): for each connection one
WebSocket, on which channel 0 is data and channel 1 errors, each opened by the port number in two bytes.
https://github.com/kubernetes/kubernetes/blob/v1.36.0/staging/src/k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from portable.compile.names import WORKLOAD_LABEL
from portable.compile.objects import Objects
from portable.errors import ClusterError, UsageError
from portable.kube import Kube, hang_up
from portable.provider import KubeObject
from portable.rollout.view import is_ready

if TYPE_CHECKING:
    from httpx2.websockets import WebSocketSession

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_CHUNK = 16 * 1024
_IDLE_AFTER_CLIENT = 30.0


class PortStream:
    """One connection to a port of a pod. The protocol cannot half-close: after the client's last byte the pod's answer is
    awaited for as long as something comes, at most `_IDLE_AFTER_CLIENT` seconds of silence.
    """

    def __init__(self, session: WebSocketSession) -> None:
        self._session = session
        self._client_ended = False
        self._closed = False

    def send(self, data: bytes) -> None:
        self._session.send_bytes(bytes((_DATA,)) + data)

    def client_ended(self) -> None:
        self._client_ended = True

    def close(self) -> None:
        self._closed = True
        hang_up(self._session)

    def receive(self) -> Iterator[bytes]:
        """What the pod sends, until it closes. Raises ClusterError with the kubelet's words where the port does not answer."""
        from httpx2.websockets import WebSocketDisconnect, WebSocketNetworkError

        opened: set[int] = set()
        last = time.monotonic()
        while True:
            try:
                message = self._session.receive_bytes(timeout=1.0)
            except TimeoutError:
                if self._closed or (self._client_ended and time.monotonic() - last > _IDLE_AFTER_CLIENT):
                    return
                continue
            except (WebSocketDisconnect, WebSocketNetworkError):
                return
            last = time.monotonic()
            channel, data = message[0], message[1:]
            if channel not in opened:
                opened.add(channel)
                data = data[struct.calcsize("<H") :]
            if channel == _ERROR and data:
                raise ClusterError(f"the port cannot be reached: {data.decode(errors='replace').strip()}")
            if channel == _DATA and data:
                yield data


@contextmanager
def port_stream(kube: Kube, namespace: str, pod: str, port: int) -> Iterator[PortStream]:
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward"
    with kube.websocket(path, subprotocol=_PROTOCOL, params={"ports": str(port)}) as session:
        yield PortStream(session)


def port_answers(kube: Kube, namespace: str, pod: str, port: int, *, seconds: float = 1.0) -> bool:
    """Whether something takes connections there: nothing is sent, and for so long no refusal comes back."""
    try:
        with port_stream(kube, namespace, pod, port) as stream:
            patience = threading.Timer(seconds, stream.close)
            patience.start()
            try:
                next(stream.receive(), None)
            finally:
                patience.cancel()
    except ClusterError:
        return False
    return True


@dataclass
class Forward:
    """A listening port of this machine. `serve` runs until `close`."""

    listener: socket.socket
    connect: Callable[[], AbstractContextManager[PortStream]]
    report: Callable[[str], None]
    _open: dict[socket.socket, PortStream | None] = field(default_factory=dict)
    _threads: set[threading.Thread] = field(default_factory=set)
    _closed: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def serve(self) -> None:
        while True:
            try:
                client, _address = self.listener.accept()
            except OSError:
                return
            self._open[client] = None
            thread = threading.Thread(target=self._carry, args=(client,), daemon=True)
            self._threads.add(thread)
            thread.start()

    def wait(self) -> None:
        """Until it is closed; Ctrl-C ends it."""
        self._closed.wait()

    def close(self) -> None:
        self._closed.set()
        # A listener that another thread accepts on is woken by shutdown, not by close.
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for client, stream in list(self._open.items()):
            _shut(client)
            if stream is not None:
                stream.close()
        for thread in list(self._threads):
            thread.join(timeout=5)

    def _carry(self, client: socket.socket) -> None:
        try:
            with self.connect() as stream:
                self._open[client] = stream
                sender = threading.Thread(target=_send, args=(client, stream), daemon=True)
                sender.start()
                for data in stream.receive():
                    client.sendall(data)
        except ClusterError as error:
            self.report(error.message)
        except OSError:
            pass  # the client has gone
        finally:
            _shut(client)
            self._open.pop(client, None)
            self._threads.discard(threading.current_thread())


@contextmanager
def forward(
    kube: Kube, namespace: str, workload: str, port: int, *, local_port: int = 0, report: Callable[[str], None]
) -> Iterator[Forward]:
    """Forwards a port of this machine (0: a free one) to `port` of a ready pod of `workload`; each connection asks anew for a
    pod, so a rollout does not end it. Raises UsageError where the local port is taken.
    """
    try:
        listener = socket.create_server(("127.0.0.1", local_port))
    except OSError as error:
        raise UsageError(
            f"port {local_port} of this machine cannot be used: {error.strerror}", fix="name another --local-port"
        ) from error
    made = Forward(listener, lambda: port_stream(kube, namespace, ready_pod(kube, namespace, workload), port), report)
    thread = threading.Thread(target=made.serve, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.close()
        thread.join(timeout=5)


def ready_pod(kube: Kube, namespace: str, workload: str) -> str:
    """The name of a ready pod, the newest of several. Raises ClusterError where none is ready."""
    pods = kube.list("v1", "Pod", namespace, label_selector=f"{WORKLOAD_LABEL}={workload}")
    ready = [pod for pod in pods if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]]
    if not ready:
        raise ClusterError(f"no pod of {workload} is ready", fix="see why with `portable status`")
    return max(ready, key=lambda pod: pod["metadata"]["creationTimestamp"])["metadata"]["name"]


@dataclass(frozen=True)
class ServicePort:
    """A port of a workload's Service and the port of its pods behind it."""

    name: str
    port: int
    target: int

    @property
    def http(self) -> bool:
        return self.name.startswith(("http", "web"))


def choose_port(objects: Objects, workload: str, wanted: str | None) -> ServicePort:
    """The TCP service port called or numbered `wanted`; the first one for None. Raises UsageError where there is none."""
    manifests = [item.manifest for item in objects.items if item.workload == workload]
    numbers = _numbers(manifests)
    ports = [
        ServicePort(port.get("name", ""), port["port"], numbers[target] if isinstance(target, str) else target)
        for manifest in manifests
        if manifest["kind"] == "Service"
        for port in manifest["spec"]["ports"]
        if port.get("protocol", "TCP") == "TCP"
        for target in (port.get("targetPort", port["port"]),)
    ]
    if not ports:
        raise UsageError(
            f"{workload} has no route and no port to open", fix=f"give it one: workloads.{workload}.service.ports"
        )
    for port in ports:
        if wanted is None or wanted in (port.name, str(port.port)):
            return port
    known = ", ".join(dict.fromkeys(f"{port.name} ({port.port})" for port in ports))
    raise UsageError(f"{workload} has no port {wanted!r}", fix=f"its ports are: {known}")


def _numbers(manifests: Iterable[KubeObject]) -> dict[str, int]:
    """The workload's container ports by name."""
    pods = [manifest["spec"].get("template", {}).get("spec", {}) for manifest in manifests if "spec" in manifest]
    containers = [container for pod in pods for container in pod.get("containers", ())]
    return {
        port["name"]: port["containerPort"] for each in containers for port in each.get("ports", ()) if "name" in port
    }


def _send(client: socket.socket, stream: PortStream) -> None:
    from httpx2.websockets import WebSocketNetworkError

    with suppress(OSError, WebSocketNetworkError):
        while data := client.recv(_CHUNK):
            stream.send(data)
    stream.client_ended()


def _shut(client: socket.socket) -> None:
    with suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
    client.close()
