"""A cluster that has just been made does not let its maker in at once."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from portable import polling, up
from portable.errors import ClusterError
from portable.events import Event, Step
from portable.kube import Kube

pytestmark = pytest.mark.unit


@contextmanager
def _api_server(*statuses: int) -> Iterator[str]:
    """Answers with these codes in turn, then with the namespace. Yields a kubeconfig."""
    left = list(statuses)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(left.pop(0) if left else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"kind": "Namespace", "message": "Unauthorized"}).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        yield json.dumps(
            {
                "current-context": "x",
                "clusters": [{"name": "x", "cluster": {"server": url}}],
                "users": [{"name": "x", "user": {}}],
                "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
            }
        )
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _no_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = polling.poll.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "sleep", lambda _seconds: None)


def test_refusals_of_the_first_minutes_are_waited_out() -> None:
    events: list[Event] = []
    with _api_server(401, 403, 401) as kubeconfig:
        kube = Kube.connect(kubeconfig)
        assert up._admitted(kube, events.append) is kube
    assert any(isinstance(event, Step) and "API server" in event.detail for event in events)


def test_what_stays_refused_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "_ADMISSION_SECONDS", -1.0)
    with _api_server(401) as kubeconfig, pytest.raises(ClusterError) as caught:
        up._admitted(Kube.connect(kubeconfig), lambda _event: None)
    assert caught.value.status == 401
    assert json.loads(kubeconfig)["clusters"][0]["cluster"]["server"] in caught.value.message, (
        "of several clusters it is told which"
    )


def test_another_error_is_not_waited_out() -> None:
    with _api_server(500, 500, 500, 500, 500, 500) as kubeconfig, pytest.raises(ClusterError) as caught:
        up._admitted(Kube.connect(kubeconfig), lambda _event: None)
    assert caught.value.status == 500
