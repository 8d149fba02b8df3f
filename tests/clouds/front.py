"""An HTTP front for a stand-in cloud: names each call, keeps the list of them, and goes wrong where a test says so.

A stand-in supplies `Service`: what a request is called, how it is answered, and what its errors look like. The rest is here.
"""

from __future__ import annotations

import enum
import os
import signal
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol


class Fault(enum.Enum):
    """What can happen to one call.

    THROTTLE, SERVER_ERROR: refused before anything was done, once. RESET: the connection ends before anything was done, once.
    LOST: the work is done and the reply is not sent, once. EXPIRED: credentials are refused from this call on, until
    `renew()`. KILL: the work is done, then the calling process is killed (`Front.victim`, a process id).
    """

    THROTTLE = "throttling"
    SERVER_ERROR = "500"
    RESET = "reset"
    LOST = "time-out after the work"
    EXPIRED = "credentials expire"
    KILL = "kill -9"


@dataclass(frozen=True)
class HttpRequest:
    """`path` without the query, `query` as it was sent, header names in lower case."""

    method: str
    host: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class HttpReply:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Service(Protocol):
    """A stand-in cloud's behaviour. Calls come from several threads, one at a time."""

    def name(self, request: HttpRequest) -> str:
        """What this call is called in the cloud's own words: "CreateCluster". Reads and polls have names too."""
        ...

    def answer(self, request: HttpRequest) -> HttpReply: ...

    def refusal(self, fault: Fault, request: HttpRequest) -> HttpReply:
        """The cloud's own words for THROTTLE, SERVER_ERROR and EXPIRED."""
        ...

    def leftovers(self) -> list[str]:
        """Everything of ours that is still there, in words. Empty after `destroy --destroy-data`."""
        ...


class Front:
    """`calls`: names in the order of arrival. `expect` plans faults; `url` is where it listens (loopback)."""

    def __init__(self, service: Service, *, tls: ssl.SSLContext | None = None) -> None:
        self.service = service
        self.calls: list[str] = []
        self.victim = 0
        self._faults: dict[tuple[str, int], Fault] = {}
        self._expired = False
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._scheme = "http"
        if tls is not None:
            self._scheme = "https"
            # the handshake is the connection's own thread's, so that one that hangs holds up no other
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def expect(self, call: str, fault: Fault, *, nth: int = 1) -> None:
        """The nth call of that name from now on goes wrong."""
        self._faults[call, self.calls.count(call) + nth] = fault

    @property
    def unused(self) -> list[str]:
        """Faults that no call met: a test that planned one that never happened proves nothing."""
        return [f"{fault.value} at {call} #{nth}" for (call, nth), fault in self._faults.items()]

    def renew(self) -> None:
        """Credentials are good again."""
        self._expired = False

    @contextmanager
    def serving(self) -> Iterator[Front]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def meet(self, request: HttpRequest) -> HttpReply | None:
        """The reply, or None where the connection is to end without one."""
        with self._lock:
            call = self.service.name(request)
            self.calls.append(call)
            fault = self._faults.pop((call, self.calls.count(call)), None)
            self._expired = self._expired or fault is Fault.EXPIRED
            if self._expired:
                return self.service.refusal(Fault.EXPIRED, request)
            if fault in (Fault.THROTTLE, Fault.SERVER_ERROR):
                return self.service.refusal(fault, request)
            if fault is Fault.RESET:
                return None
            reply = self.service.answer(request)
            if fault is Fault.KILL:
                os.kill(self.victim, signal.SIGKILL)
            return None if fault in (Fault.LOST, Fault.KILL) else reply

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # head and body go in two writes; without this the second one waits for an acknowledgement, 40 ms
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                reply = front.meet(self._request())
                if reply is None:
                    self.close_connection = True
                    return
                self.send_response_only(reply.status)
                for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

            def _request(self) -> HttpRequest:
                path, _, query = self.path.partition("?")
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", "0")))
                return HttpRequest(self.command, headers.get("host", ""), path, query, headers, body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
