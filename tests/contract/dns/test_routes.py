"""`up` and `destroy` with DNS: Ingresses in a real API server, records on a real BIND. The load balancer is a status that is set."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from portable.compile.objects import Objects
from portable.dns import ledger
from portable.dns.public import is_true
from portable.dns.routes import publish_routes, route_addresses, withdraw_routes
from portable.errors import ProviderError
from portable.events import Event, Notice, Step, nowhere
from portable.kube import Kube
from portable.provider import Record, RouteAddress
from portable.target import Target
from tests.contract.dns.apps import compiled, target
from tests.contract.dns.name_server import NameServer

pytestmark = pytest.mark.contract
ZONE = "example.test"
FOUR = [{"ip": "192.0.2.10"}]
NAME = [{"hostname": "lb-1.elb.example.net"}]


@pytest.fixture(autouse=True)
def _settings(name_server: NameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTABLE_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("PORTABLE_DNS_SERVER", name_server.address)
    monkeypatch.setenv("PORTABLE_DNS_KEY_FILE", str(name_server.key))


def deployed(to: Target, kube: Kube, points: Sequence[Mapping[str, str]] | None = FOUR) -> Objects:
    """The app's Ingresses, with the load balancer that a controller would have made."""
    objects = compiled(to, kube)
    for item in objects.items:
        if item.manifest["kind"] == "Ingress":
            kube.apply(item.manifest)
    if points is not None:
        give_address(kube, objects, points)
    return objects


def give_address(kube: Kube, objects: Objects, points: Sequence[Mapping[str, str]]) -> None:
    for ingress in kube.list("networking.k8s.io/v1", "Ingress", objects.namespace):
        status = {"status": {"loadBalancer": {"ingress": list(points)}}}
        name = ingress["metadata"]["name"]
        kube.merge_patch("networking.k8s.io/v1", "Ingress", name, status, objects.namespace, subresource="status")


def addresses_of(name_server: NameServer, host: str) -> list[Record]:
    return [record for record in name_server.zones.records(ZONE, host) if record.type != "TXT"]


def test_records_are_written_once_and_follow_the_load_balancer(kube: Kube, name_server: NameServer) -> None:
    to = target("follow", {"a.follow.example.test": None, "b.follow.example.test": None})
    objects = deployed(to, kube)
    first, _ = publish_routes(to, kube, objects, nowhere)
    assert (first.url, first.note) == ("http://a.follow.example.test/", "")
    assert addresses_of(name_server, "b.follow.example.test") == [Record("b.follow.example.test", "A", ("192.0.2.10",))]

    told: list[Event] = []
    publish_routes(to, kube, objects, told.append, settled=True)
    assert [(step.status, step.detail) for step in told if isinstance(step, Step)] == [
        ("started", ""),
        ("skipped", "as they are"),
    ]

    give_address(kube, objects, NAME)
    publish_routes(to, kube, objects, nowhere, settled=True)
    moved = Record("a.follow.example.test", "CNAME", ("lb-1.elb.example.net",))
    assert addresses_of(name_server, "a.follow.example.test") == [moved]


def test_a_host_that_left_the_spec_loses_its_record_and_destroy_takes_the_rest(
    kube: Kube, name_server: NameServer
) -> None:
    to = target("leave", {"stays.leave.example.test": None, "goes.leave.example.test": None})
    publish_routes(to, kube, deployed(to, kube), nowhere)
    smaller = target("leave", {"stays.leave.example.test": None})
    objects = deployed(smaller, kube)
    publish_routes(smaller, kube, objects, nowhere)
    assert addresses_of(name_server, "goes.leave.example.test") == []
    assert len(addresses_of(name_server, "stays.leave.example.test")) == 1
    withdraw_routes(smaller, kube, objects, nowhere)
    withdraw_routes(smaller, kube, objects, nowhere)
    assert addresses_of(name_server, "stays.leave.example.test") == []
    assert ledger.read(kube, objects.namespace) == ()


def test_a_record_that_can_no_longer_be_deleted_is_named(
    kube: Kube, name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = target("manual", {"shop.manual.example.test": None})
    objects = deployed(to, kube)
    publish_routes(to, kube, objects, nowhere)
    monkeypatch.setenv("PORTABLE_DNS", "manual")
    told: list[Event] = []
    withdraw_routes(to, kube, objects, told.append)
    (notice,) = [event.message for event in told if isinstance(event, Notice)]
    assert notice.startswith("the DNS record of shop.manual.example.test stays")


def test_destroy_finds_its_records_where_the_cluster_is_gone(kube: Kube, name_server: NameServer) -> None:
    to = target("gone", {"shop.gone.example.test": None, "theirs.gone.example.test": None})
    theirs = Record("theirs.gone.example.test", "A", ("192.0.2.10",))
    name_server.zones.upsert(ZONE, theirs)
    objects = deployed(to, kube)
    publish_routes(to, kube, objects, nowhere)
    withdraw_routes(to, None, objects, nowhere)
    assert addresses_of(name_server, "shop.gone.example.test") == []
    assert addresses_of(name_server, theirs.name) == [theirs]


def test_somebody_elses_record_fails_up_and_the_other_hosts_are_served(kube: Kube, name_server: NameServer) -> None:
    theirs = Record("a.held.example.test", "A", ("192.0.2.99",))
    name_server.zones.upsert(ZONE, theirs)
    to = target("held", {"a.held.example.test": None, "b.held.example.test": None})
    objects = deployed(to, kube)
    with pytest.raises(ProviderError, match=r"a\.held\.example\.test is somebody else's"):
        publish_routes(to, kube, objects, nowhere)
    assert addresses_of(name_server, theirs.name) == [theirs]
    assert len(addresses_of(name_server, "b.held.example.test")) == 1
    withdraw_routes(to, kube, objects, nowhere)
    assert addresses_of(name_server, theirs.name) == [theirs]
    assert addresses_of(name_server, "b.held.example.test") == []


def test_without_a_zone_the_record_is_told_until_it_is_there(kube: Kube, name_server: NameServer) -> None:
    to = target("manual", {"shop.example.org": None})
    objects = deployed(to, kube, NAME)
    (only,) = publish_routes(to, kube, objects, nowhere)
    assert only.note == "create the DNS record: shop.example.org. 300 IN CNAME lb-1.elb.example.net."
    (entry,) = ledger.read(kube, objects.namespace)
    assert (entry.service, entry.ours) == ("", False)
    assert route_addresses(to, kube, objects) == (only,)  # as `status` tells it


def test_by_hand_means_by_hand(kube: Kube, name_server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTABLE_DNS", "manual")
    to = target("byhand", {"shop.byhand.example.test": None})
    (only,) = publish_routes(to, kube, deployed(to, kube), nowhere)
    assert only.note == "create the DNS record: shop.byhand.example.test. 300 IN A 192.0.2.10"
    assert addresses_of(name_server, "shop.byhand.example.test") == []


def test_a_record_is_true_when_resolvers_say_so(name_server: NameServer) -> None:
    zones = name_server.zones
    host, _, port = name_server.address.partition(":")
    record = Record("true.example.test", "A", ("192.0.2.3", "192.0.2.4"), 60)
    assert not is_true(record, nameserver=host, port=int(port))
    zones.upsert(ZONE, Record(record.name, "A", ("192.0.2.3",), 60))
    assert not is_true(record, nameserver=host, port=int(port))
    zones.upsert(ZONE, record)
    assert is_true(record, nameserver=host, port=int(port))
    zones.upsert(ZONE, Record("target.example.test", "A", record.values, 60))
    # written as the addresses that the name leads to, as some services do at the top of a zone
    assert is_true(Record(record.name, "CNAME", ("target.example.test",)), nameserver=host, port=int(port))
    assert not is_true(Record(record.name, "CNAME", ("other.example.test",)), nameserver=host, port=int(port))


def test_a_load_balancer_is_waited_for(kube: Kube, name_server: NameServer) -> None:
    to = target("late", {"shop.late.example.test": None})
    objects = deployed(to, kube, None)
    waiting = threading.Event()

    def emit(event: Event) -> None:
        if isinstance(event, Step) and "0 of 1 hosts have an address" in event.detail:
            waiting.set()

    def controller() -> None:
        assert waiting.wait(60)
        give_address(kube, objects, FOUR)

    thread = threading.Thread(target=controller)
    thread.start()
    publish_routes(to, kube, objects, emit, interval=0.05)
    thread.join()
    assert len(addresses_of(name_server, "shop.late.example.test")) == 1


def test_one_that_never_comes_is_told_and_keeps_its_record(
    kube: Kube, name_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = target("never", {"shop.never.example.test": None})
    objects = deployed(to, kube)
    publish_routes(to, kube, objects, nowhere)
    monkeypatch.setenv("PORTABLE_DNS_ADDRESS_WAIT", "0")
    give_address(kube, objects, [])
    told: list[Event] = []
    publish_routes(to, kube, objects, told.append)
    assert any("no address yet" in event.message for event in told if isinstance(event, Notice))
    assert len(addresses_of(name_server, "shop.never.example.test")) == 1
    withdraw_routes(to, kube, objects, nowhere)
    assert addresses_of(name_server, "shop.never.example.test") == []


def test_names_of_ones_own_machine_and_local_providers_need_no_dns(kube: Kube) -> None:
    local = target("mine", {"shop.localhost": None})
    told: list[Event] = []
    (only,) = publish_routes(local, kube, deployed(local, kube, None), told.append)
    assert (only.url, only.note, told) == ("http://shop.localhost/", "", [])

    class Reached:
        """A provider that knows how routes are reached: nothing is awaited, nothing written."""

        name, title = "test", "Testland"

        def addresses(self, cluster: object, hosts: Sequence[tuple[str, str, bool]]) -> Sequence[RouteAddress]:
            return [RouteAddress(f"http://{host}:8080{path}") for host, path, _ in hosts]

        def certificate(self, hosts: Sequence[str]) -> tuple[str, str]:
            raise AssertionError("nobody asked")

    reached: Any = Reached()
    to = replace(target("mine", {"shop.mine.example.test": None}), provider=reached)
    (only,) = publish_routes(to, kube, compiled(to, kube), told.append)
    assert (only.url, told) == ("http://shop.mine.example.test:8080/", [])
