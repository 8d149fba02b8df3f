"""A stand-in for the part of an API server that a kubelet answers: pod lists, logs that can be followed, port forwarding.

The WebSocket side is wsproto's server, and what is forwarded to is a real socket; only the kubelet's own framing
(v4.channel.k8s.io) is written here, from Kubernetes' sources.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection

from portable.kube import Kube

_WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Log:
    """What a container has said; followers wait for more until it `end`s."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self.breaks_after: int | None = None

    def say(self, *lines: str) -> None:
        with self._changed:
            for line in lines:
                number = len(self._lines)
                self._lines.append(f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}.000000001Z {line}")
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read(self, follow: bool, tail: int | None) -> Iterator[str]:
        at = 0 if tail is None else max(len(self._lines) - tail, 0)
        while True:
            with self._changed:
                while follow and at >= len(self._lines) and not self._ended:
                    self._changed.wait(timeout=30)
                if at >= len(self._lines):
                    return
                line = self._lines[at]
            yield line
            at += 1


class Node:
    """`pods` is what is listed, `logs` is by (pod, container), `port` is where forwarded connections really go (None: refused).

    `executed` are the queries of commands, to each of which `answers` (channel, data) are sent before the connection closes.
    """

    def __init__(self) -> None:
        self.pods: list[dict[str, Any]] = []
        self.logs: dict[tuple[str, str], Log] = defaultdict(Log)
        self.forgotten: set[str] = set()  # pods of whose run before the kubelet has no log any more
        self.port: int | None = None
        self.requested_ports: list[str] = []
        self.answers: list[bytes] = []
        self.executed: list[dict[str, list[str]]] = []

    def add(self, pod: str, workload: str = "web", *, container: str = "web", ready: bool = True, run: int = 0) -> Log:
        self.pods = [other for other in self.pods if other["metadata"]["name"] != pod]
        self.pods.append(
            {
                "metadata": {
                    "name": pod,
                    "labels": {"portable.dev/workload": workload},
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                },
                "spec": {"containers": [{"name": container}], "initContainers": [{"name": "prepare"}]},
                "status": {
                    "phase": "Running",
                    "conditions": [{"type": "Ready", "status": str(ready)}],
                    "containerStatuses": [
                        {
                            "name": container,
                            "containerID": f"{pod}-{run}",
                            "state": {"running": {}},
                            "restartCount": run,
                        }
                    ],
                },
            }
        )
        return self.logs[pod, container]


@contextmanager
def serving(node: Node) -> Iterator[Kube]:
    """A Kube whose server is `node`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(node))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    try:
        with Kube.connect(json.dumps(kubeconfig)) as kube:
            yield kube
    finally:
        for log in node.logs.values():
            log.end()
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(node: Node) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            words = path.split("/")
            if path.endswith("/log"):
                self._log(words[-2], query)
            elif path.endswith("/portforward"):
                node.requested_ports += query["ports"]
                self._forward()
            elif path.endswith("/exec"):
                node.executed.append(query)
                self._upgrade()
                web = Connection(ConnectionType.SERVER)
                for answer in node.answers:
                    self.connection.sendall(web.send(BytesMessage(answer)))
                self.connection.sendall(web.send(CloseConnection(1000)))
                self.connection.recv(4096)  # what is left unread when a socket closes takes what was sent with it
            elif path.endswith("/pods"):
                self._pods(query)

        def _pods(self, query: dict[str, list[str]]) -> None:
            """By one of the two forms of a selector: "label=one" and "label in (one,two)"."""
            _, equals, one = query["labelSelector"][0].partition("=")
            wanted = [one] if equals else query["labelSelector"][0].partition("(")[2].rstrip(")").split(",")
            items = [pod for pod in node.pods if pod["metadata"]["labels"]["portable.dev/workload"] in wanted]
            self._json(200, {"items": items, "metadata": {"resourceVersion": "1"}})

        def _log(self, pod: str, query: dict[str, list[str]]) -> None:
            key = (pod, query["container"][0])
            if key not in node.logs:
                self._json(400, {"message": f"container {key[1]} is waiting to start"})
                return
            if "previous" in query and pod in node.forgotten:
                self._text(b"unable to retrieve container logs for containerd://f5fb760bb140")
                return
            log = node.logs[key]
            tail = int(query["tailLines"][0]) if "tailLines" in query else None
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with suppress(OSError):
                for number, line in enumerate(log.read("follow" in query, tail), start=1):
                    data = f"{line}\n".encode()
                    self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                    self.wfile.flush()
                    if log.breaks_after == number:
                        log.breaks_after = None
                        self.connection.shutdown(socket.SHUT_RDWR)  # as when a load balancer cuts a quiet connection
                        self.close_connection = True
                        return
                self.wfile.write(b"0\r\n\r\n")

        def _forward(self) -> None:
            self._upgrade()
            _carry(self.connection, node.port)

        def _upgrade(self) -> None:
            key = self.headers["Sec-WebSocket-Key"] + _WEBSOCKET_GUID
            self.send_response_only(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
            self.send_header("Sec-WebSocket-Protocol", self.headers["Sec-WebSocket-Protocol"])
            self.end_headers()
            self.close_connection = True

        def _json(self, status: int, document: dict[str, Any]) -> None:
            self._text(json.dumps(document).encode(), status)

        def _text(self, body: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    return Handler


def _carry(client: socket.socket, port: int | None) -> None:
    """As the kubelet: both channels open with the port, then data in channel 0 and errors in channel 1."""
    web = Connection(ConnectionType.SERVER)
    opening = struct.pack("<H", port or 0)
    for channel in (b"\x00", b"\x01"):
        client.sendall(web.send(BytesMessage(channel + opening)))
    try:
        upstream = socket.create_connection(("127.0.0.1", port or 0))  # nothing listens on 0
    except OSError:
        client.sendall(web.send(BytesMessage(b"\x01" + b"connection refused")))
        client.sendall(web.send(CloseConnection(1000)))
        return

    def back() -> None:
        with suppress(OSError):
            while data := upstream.recv(4096):
                client.sendall(web.send(BytesMessage(b"\x00" + data)))
            client.sendall(web.send(CloseConnection(1000)))

    threading.Thread(target=back, daemon=True).start()
    whole = b""
    with suppress(OSError):
        while data := client.recv(4096):
            web.receive_data(data)
            for event in web.events():
                if isinstance(event, CloseConnection):
                    client.sendall(web.send(event.response()))
                    upstream.close()
                    return
                if isinstance(event, BytesMessage):
                    whole += event.data
                    if event.message_finished:
                        upstream.sendall(whole[1:])
                        whole = b""
    upstream.close()
