"""Tokens that end while an operation goes on, on a real server over HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from portable.errors import ClusterError
from portable.kube import Kube
from portable.provider import Credentials, Token

pytestmark = pytest.mark.unit


@dataclass
class Api:
    """Takes one token at a time; `seen` are the headers that came."""

    accepts: str = "one"
    url: str = ""
    seen: list[str] = field(default_factory=list)


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.seen.append(self.headers["Authorization"])
            good = made.seen[-1] == f"Bearer {made.accepts}"
            body = json.dumps({"gitVersion": "v1.36.0"} if good else {"kind": "Status", "code": 401}).encode()
            self.send_response(200 if good else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with _serving(Handler) as made.url:
        yield made


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _reach(api: Api, tokens: list[Token]) -> Kube:
    """A kubeconfig whose own user would run a program, as an exec plugin does: the token stands in for it."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": api.url}}],
        "users": [
            {"name": "u", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "false"}}}
        ],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    made = iter(tokens)
    return Kube.reach(Credentials(json.dumps(document), token=lambda: next(made)))


def _lasting(value: str) -> Token:
    return Token(value, time.time() + 900)


def test_one_token_serves_many_requests(api: Api) -> None:
    with _reach(api, [_lasting("one")]) as kube:
        assert [kube.version() for _ in range(3)] == ["v1.36.0"] * 3
    assert api.seen == ["Bearer one"] * 3


def test_a_token_near_its_end_is_renewed_before_it_is_refused(api: Api) -> None:
    with _reach(api, [Token("one", time.time() + 30), _lasting("two")]) as kube:
        kube.version()
        api.accepts = "two"
        kube.version()
    assert api.seen == ["Bearer one", "Bearer two"]


def test_a_token_that_is_refused_is_renewed_once(api: Api) -> None:
    with _reach(api, [_lasting("one"), _lasting("two")]) as kube:
        kube.version()
        api.accepts = "two"
        assert kube.version() == "v1.36.0"
    assert api.seen == ["Bearer one", "Bearer one", "Bearer two"]


def test_a_token_that_is_refused_again_is_an_error(api: Api) -> None:
    with _reach(api, [_lasting("three"), _lasting("four")]) as kube, pytest.raises(ClusterError) as refusal:
        kube.version()
    assert refusal.value.status == 401
    assert "four" not in str(refusal.value) + refusal.value.detail + refusal.value.fix


def test_requests_at_once_renew_it_once(api: Api) -> None:
    api.accepts = "two"
    with _reach(api, [_lasting("one"), _lasting("two")]) as kube:
        threads = [threading.Thread(target=kube.version) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
    assert set(api.seen) <= {"Bearer one", "Bearer two"}
    assert api.seen.count("Bearer two") == 8


def test_a_token_is_in_no_repr() -> None:
    credentials = Credentials("secret: text", token=lambda: _lasting("very-secret"))
    assert "secret" not in repr(credentials).replace("kubeconfig", "")
    assert "very-secret" not in repr(_lasting("very-secret"))
