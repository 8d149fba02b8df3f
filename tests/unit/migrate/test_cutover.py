"""The parts of a cut-over that need no cluster: paths, objects, answers, shares."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from portable.home import Home
from portable.migrate.cutover import Cut, expired, forwarder, records, smoke
from portable.migrate.cutover.forwarding import KEEP_PATH, _with_paths
from portable.migrate.sides import Side, Sides
from portable.provider import Record, RouteAddress
from portable.spec.model import Route
from portable.target import Target
from tests.unit.compile.apps import PROFILE, app, compiled, manifests, workload

pytestmark = pytest.mark.unit

HOST, SECURE = "shop.localhost", "safe.localhost"


class _Local:
    """A plugin whose routes answer on a port of this machine."""

    name, title = "test", "Testland"

    def __init__(self, port: int = 0) -> None:
        self._port = port

    def addresses(self, cluster: Any, hosts: Any) -> list[RouteAddress]:
        return [RouteAddress(f"http://{host}:{self._port}{path}") for host, path, _tls in hosts]

    def certificate(self, hosts: Any) -> tuple[str, str]:
        raise AssertionError("nobody asks")


class _Kube:
    """What the status of the app's Ingress says; no other object is there."""

    def get(self, _version: str, kind: str, *_: Any) -> dict[str, Any] | None:
        rules = [{"host": HOST}, {"host": SECURE}]
        found = {"spec": {"rules": rules}, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}}
        return found if kind == "Ingress" else None


def side(role: Any, port: int = 0, **routes: Route) -> Side:
    made = routes or {"shop": Route("shop", HOST), "safe": Route("safe", SECURE, tls="auto")}
    web = workload(routes=made)
    local: Any = _Local(port)
    kube: Any = _Kube()
    opened = Target(Path("portable.yaml"), app(web), local, PROFILE, Home("shop", None, "test", role), (), {})
    return Side(role, opened, kube, compiled(web))


SIDES = Sides("m1", side("source"), side("target"))


def test_forwarded_paths_lead_to_the_forwarder_and_the_apps_services_stay_known() -> None:
    paths = [
        {"path": "/api", "pathType": "Prefix", "backend": {"service": {"name": "api", "port": {"number": 80}}}},
        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}},
    ]
    before = {"spec": {"rules": [{"host": HOST, "http": {"paths": paths}}]}}
    copied = json.dumps(before)
    found = {True: _with_paths(before, forwarded=True), False: _with_paths(before, forwarded=False)}
    assert json.dumps(before) == copied

    def backends(forwarded: bool) -> dict[str, str]:
        return {path["path"]: path["backend"]["service"]["name"] for path in found[forwarded][0]["http"]["paths"]}

    ours = {forwarder.PROBE_PATH: forwarder.NAME, f"{KEEP_PATH}/0": "api", f"{KEEP_PATH}/1": "web"}
    assert backends(False) == ours | {"/api": "api", "/": "web"}
    assert backends(True) == ours | {"/api": forwarder.NAME, "/": forwarder.NAME}


def test_the_forwarder_dials_the_targets_load_balancer_with_tls_where_the_route_has_it() -> None:
    config = json.loads(forwarder.destinations(SIDES))
    assert config["migration"] == "m1"
    found = {host: (to["address"], to["port"], to["tls"]) for host, to in config["hosts"].items()}
    assert found == {HOST: ("192.0.2.7", 80, False), SECURE: ("192.0.2.7", 443, True)}


def test_the_forwarder_fits_into_a_restricted_namespace_and_no_service_of_the_apps() -> None:
    made = {each["kind"]: each for each in forwarder.objects(SIDES, "mover:1")}
    assert set(made) == set(forwarder.kinds())
    assert {kind: each["apiVersion"] for kind, each in made.items()} == dict(forwarder.kinds())
    pod = made["Deployment"]["spec"]["template"]
    assert pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    selector = manifests(SIDES.source.objects)["Service/web"]["spec"]["selector"]
    assert not selector.items() <= pod["metadata"]["labels"].items()
    grace = pod["spec"]["terminationGracePeriodSeconds"]
    waits = [
        int(each.partition("=")[2][:-1])
        for each in pod["spec"]["containers"][0]["args"]
        if each.startswith(("-linger", "-drain"))
    ]
    assert grace > sum(waits), "what it carries ends before it does"


@contextmanager
def _answering(status: int) -> Iterator[tuple[int, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.headers['Host']}{self.path}")
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"no backend\nmore")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port, asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("status", [200, 302, 404])
def test_a_route_that_answers_is_well(status: int) -> None:
    with _answering(status) as (port, asked):
        assert smoke(side("target", port, shop=Route("shop", "*.localhost", "/api")), timeout=0) == ()
    assert asked == ["www.localhost/api"]


def test_a_route_that_fails_is_named_with_what_it_said() -> None:
    with _answering(503) as (port, _asked):
        problem = smoke(side("target", port, shop=Route("shop", HOST)), timeout=0)
    assert problem == (f"http://{HOST}/ at 127.0.0.1:{port}: it answered 503 no backend",)
    silent = smoke(side("target", port, shop=Route("shop", HOST)), timeout=0)
    assert "ConnectionRefusedError" in silent[0]


class _Weighted:
    weighted = True


def test_shares_are_of_answers_however_many_addresses_a_side_has() -> None:
    here, there = Record(HOST, "A", ("192.0.2.1", "192.0.2.2"), 30), Record(HOST, "A", ("192.0.2.9",), 30)
    zones: Any = _Weighted()
    found = records._weighted(zones, here, there, 10)
    assert found is not None
    parts = dict(zip(found.values, found.weights, strict=True))
    assert parts["192.0.2.9"] / sum(found.weights) == pytest.approx(0.1)
    assert records._weighted(zones, here, Record(HOST, "CNAME", ("lb.example.org",), 30), 10) is None


def test_an_answer_has_expired_after_its_ttl() -> None:
    import time

    record = Record(HOST, "A", ("192.0.2.1",), 30)
    assert expired(Cut(100, time.time(), 30, (record,))) == pytest.approx(30, abs=2)
    assert expired(Cut(100, time.time() - 31, 30, (record,))) == 0
    assert expired(Cut(100, time.time(), 30)) == 0, "where there is no record there is nothing to wait for"
