"""The load client: what it records of a server that answers, stalls, refuses and hangs up."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread

import pytest

from tests.load import Stream, load

pytestmark = pytest.mark.unit


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = Lock()
        self.answered = 0
        self.connections = 0
        self.stall = Event()
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://app.localhost:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.connections += 1

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.answered += 1
            number = self.server.answered
        if self.server.stall.is_set():
            time.sleep(0.5)
        if self.path == "/cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            self.close_connection = True
            return
        body = f"Hello from pod-{number % 3}, version 1".encode()
        self.send_response(503 if self.path == "/busy" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/once":  # without a word in the answer: the next request finds out
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_constant_rate_on_kept_connections_with_the_spread_by_replica() -> None:
    with serving() as server:
        with load(server.url, Stream("kept", rate=60, connections=3)) as record:
            time.sleep(1)
        summary = record.summary()
        assert summary.failed == 0
        assert 50 <= summary.requests <= 62, "open loop: as many as were due, also on a slow machine"
        assert summary.requests == server.answered
        assert summary.reused == summary.requests - (server.connections - 3), (
            "a new connection only where none was idle"
        )
        assert set(summary.spread) == {"pod-0", "pod-1", "pod-2"}
        assert summary.unevenness() < 0.1
        assert "0 failed" in str(summary)


def test_fresh_connections_are_each_used_once() -> None:
    with serving() as server:
        with load(server.url, Stream("fresh", rate=40, keep_alive=False)) as record:
            time.sleep(0.5)
        summary = record.summary("fresh")
        assert (summary.failed, summary.reused) == (0, 0)
        assert server.connections == summary.requests > 10
        assert record.summary("other").requests == 0


def test_a_stall_shows_in_the_seconds_of_all_that_were_due_meanwhile() -> None:
    with serving() as server, load(server.url, Stream("kept", rate=50)) as record:
        time.sleep(0.3)
        server.stall.set()
        time.sleep(0.4)
        server.stall.clear()
        time.sleep(0.3)
    summary = record.summary()
    assert summary.failed == 0
    assert summary.p99 >= 0.4
    assert sum(response.seconds >= 0.4 for response in record.responses) >= 10, "nobody waited for the slow ones"


@pytest.mark.parametrize(("path", "said"), [("/busy", "status 503"), ("/cut", "IncompleteRead")])
def test_what_is_no_whole_answer_is_failed(path: str, said: str) -> None:
    with serving() as server, load(server.url, Stream("bad", rate=20, path=path)) as record:
        time.sleep(0.3)
    summary = record.summary()
    assert summary.failed == summary.requests >= 4
    assert all(reason.startswith(said) for reason in summary.failures), summary.failures


def test_a_connection_that_was_closed_while_idle_is_replaced() -> None:
    with serving() as server, load(server.url, Stream("once", rate=4, path="/once")) as record:
        time.sleep(1.2)
    assert record.summary().failed == 0, record.summary()
    assert record.summary().reused == 0


def test_the_longest_gap_is_where_nothing_succeeded() -> None:
    with serving() as server:
        free = server.server_address[1]
        with load(f"http://app.localhost:{free}", Stream("fresh", rate=50, keep_alive=False)) as record:
            time.sleep(0.3)
            cut = time.monotonic()
            server.socket.close()  # the server goes on with what it has, and nobody new gets in
            time.sleep(0.5)
    summary = record.summary()
    assert summary.failed >= 5
    assert all(response.good for response in record.responses if response.ended < cut)
    assert any("ConnectionRefused" in reason for reason in summary.failures), summary.failures


def test_each_request_sends_its_own_body_once() -> None:
    with serving() as server:
        stream = Stream("writes", rate=30, method="POST", body=lambda number: f"entry {number}".encode())
        with load(server.url, stream) as record:
            time.sleep(0.5)
        acknowledged = {f"entry {response.number}".encode() for response in record.responses if response.good}
        assert record.summary().failed == 0
        assert sorted(server.bodies) == sorted(acknowledged), "nothing was sent twice"
