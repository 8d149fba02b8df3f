from __future__ import annotations

import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from portable.errors import ClusterError, UsageError
from portable.reach import choose_port, forward, port_answers, ready_pod
from portable.target import Request, compile_target, open_target
from tests.unit.cli.node import Node, serving
from tests.unit.cli.programs import HELLO, clean_environment

pytestmark = pytest.mark.unit

BIG = os.urandom(3_000_000)


class Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = BIG if self.path == "/big" else self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        digest = hashlib.sha256(body).hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(digest)))
        self.end_headers()
        self.wfile.write(digest)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextmanager
def website() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def ask(port: int, path: str, body: bytes | None = None) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST" if body is not None else "GET", path, body)
    answer = connection.getresponse().read()
    connection.close()
    return answer


def test_requests_pass_both_ways_whole_and_at_the_same_time() -> None:
    node = Node()
    node.add("web-1")
    with website() as node.port, serving(node) as kube, forward(kube, "ns", "web", 8080, report=print) as made:
        assert ask(made.port, "/hello") == b"/hello"
        assert ask(made.port, "/big") == BIG
        assert ask(made.port, "/", BIG) == hashlib.sha256(BIG).hexdigest().encode()
        answers: list[bytes] = []
        threads = [threading.Thread(target=lambda: answers.append(ask(made.port, "/big"))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert answers == [BIG] * 4
    assert set(node.requested_ports) == {"8080"}


def test_each_connection_takes_a_ready_pod() -> None:
    node = Node()
    node.add("web-1")
    with website() as node.port, serving(node) as kube, forward(kube, "ns", "web", 80, report=print) as made:
        assert ask(made.port, "/1") == b"/1"
        node.add("web-1", ready=False)
        node.add("web-2")
        assert ready_pod(kube, "ns", "web") == "web-2"
        assert ask(made.port, "/2") == b"/2"


def test_no_ready_pod_is_said() -> None:
    node = Node()
    node.add("web-1", ready=False)
    with serving(node) as kube, pytest.raises(ClusterError, match="no pod of web is ready"):
        ready_pod(kube, "ns", "web")


def test_a_port_that_nothing_listens_on_is_said_in_the_kubelets_words() -> None:
    node = Node()
    node.add("web-1")
    said: list[str] = []
    with serving(node) as kube, forward(kube, "ns", "web", 80, report=said.append) as made:
        with socket.create_connection(("127.0.0.1", made.port), timeout=30) as client:
            assert client.recv(10) == b""
        deadline = time.monotonic() + 30
        while not said and time.monotonic() < deadline:
            time.sleep(0.02)
    assert said == ["the port cannot be reached: connection refused"]


def test_closing_ends_open_connections_and_frees_the_port() -> None:
    node = Node()
    node.add("web-1")
    with website() as node.port, serving(node) as kube:
        with forward(kube, "ns", "web", 80, report=print) as made:
            port = made.port
            client = socket.create_connection(("127.0.0.1", port), timeout=30)
            assert ask(port, "/x") == b"/x"
        assert client.recv(10) == b""
        client.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_taken_local_port_is_a_usage_error() -> None:
    node = Node()
    with socket.create_server(("127.0.0.1", 0)) as taken, serving(node) as kube:
        port = taken.getsockname()[1]
        with (
            pytest.raises(UsageError, match=f"port {port}"),
            forward(kube, "ns", "web", 80, local_port=port, report=print),
        ):
            pass


def test_whether_a_port_answers() -> None:
    node = Node()
    node.add("web-1")
    with serving(node) as kube:
        with website() as node.port:
            assert port_answers(kube, "ns", "web-1", 8080)
        assert not port_answers(kube, "ns", "web-1", 8080), "nothing listens any more"


def test_ports_are_chosen_by_name_or_number(tmp_path: Path) -> None:
    (tmp_path / "portable.yaml").write_text(HELLO)
    objects = compile_target(open_target(Request(tmp_path / "portable.yaml", cloud="gcp")))
    for wanted in (None, "http", "80"):
        assert choose_port(objects, "web", wanted).target == 8080
    with pytest.raises(UsageError, match="no port 'admin'"):
        choose_port(objects, "web", "admin")


def test_ctrl_c_ends_the_command_also_with_an_open_connection(tmp_path: Path) -> None:
    (tmp_path / "portable.yaml").write_text(HELLO)
    program = (
        "import sys, portable.target\n"
        "from tests.unit.cli.node import Node, serving\n"
        "from tests.unit.cli.test_reach import website\n"
        "from portable.cli import main\n"
        "node = Node(); node.add('web-1')\n"
        "with website() as node.port, serving(node) as kube:\n"
        "    portable.target.connect = lambda _target: kube\n"
        "    code = main(['open', 'web', '--port', 'http', '--cloud', 'gcp'])\n"
        "sys.exit(code)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=clean_environment(tmp_path) | {"PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:")
    connection = http.client.HTTPConnection("127.0.0.1", int(url.rpartition(":")[2]), timeout=60)
    connection.request("GET", "/hello")
    assert connection.getresponse().read() == b"/hello"
    before = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in out + err
    assert time.monotonic() - before < 25, "it waited for the idle connection"
    connection.close()
