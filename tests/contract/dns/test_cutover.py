"""Records move from one cluster's load balancer to another's: on each DNS service, and by a person's hand."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from portable.dns import ownership
from portable.dns.public import is_true
from portable.dns.routes import publish_routes, withdraw_routes
from portable.errors import ProviderError, UsageError
from portable.events import nowhere
from portable.kube import Kube
from portable.migrate.cutover import back, expired, lower_ttl, records, switch
from portable.migrate.move import Options
from portable.migrate.sides import Side, Sides
from portable.migrate.steps import cut_over
from portable.provider import Record, Zones
from portable.steps import Progress
from tests.contract.dns import apps
from tests.contract.dns.name_server import NameServer
from tests.contract.dns.services import Service

pytestmark = pytest.mark.contract

OLD, NEW = "192.0.2.10", "198.51.100.20"
_numbers = itertools.count(1)


@dataclass
class _Cloud:
    """A cloud of which only the DNS service is known."""

    service: Service
    name: str = "test"
    title: str = "Testland"

    def dns(self, cluster: Any) -> Zones:
        return self.service.zones()


@dataclass
class Move:
    sides: Sides
    host: str
    zone: str
    service: Service
    zones: Zones = field(init=False)

    def __post_init__(self) -> None:
        self.zones = self.service.zones()

    def live(self) -> list[Record]:
        return ownership.addresses(self.zones, self.zone, self.host)

    def owner(self) -> str | None:
        return ownership.owner_of(self.zones, self.zone, self.host)

    def key(self, role: Literal["source", "target"]) -> str:
        return (self.sides.source if role == "source" else self.sides.target).app.home.app_stack


def _side(kube: Kube, role: Any, provider: Any, host: str, number: int, address: str) -> Side:
    opened = apps.target(f"{role}{number}", {host: None}, provider)
    objects = apps.compiled(opened, kube)
    for item in objects.items:
        if item.manifest["kind"] == "Ingress":
            kube.apply(item.manifest)
            status = {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
            name = item.manifest["metadata"]["name"]
            kube.merge_patch(*_INGRESS, name, status, objects.namespace, subresource="status")
    return Side(role, opened, kube, objects)


_INGRESS = ("networking.k8s.io/v1", "Ingress")


@pytest.fixture
def move(kube: Kube, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Move:
    """The source's record is published, as `up` does."""
    monkeypatch.setenv("PORTABLE_CONFIG", str(tmp_path / "none.toml"))
    number = next(_numbers)
    host = f"moves{number}.example.test"
    source, target = (
        _side(kube, role, _Cloud(service), host, number, address)
        for role, address in (("source", OLD), ("target", NEW))
    )
    publish_routes(source.app, kube, source.objects, nowhere)
    return Move(Sides(f"m{number}", source, target), host, service.zone, service)


def test_the_ttl_is_lowered_and_said_what_to_wait_for(move: Move) -> None:
    lowered = lower_ttl(move.sides, nowhere)
    assert (lowered.wait, lowered.ttl, lowered.by_hand) == (300.0, 30, ())
    assert move.live() == [Record(move.host, "A", (OLD,), 30)]
    assert move.owner() == move.key("source")
    # one that broke off before anybody wrote down the time is asked again: resolvers may still have the long one
    assert lower_ttl(move.sides, nowhere).wait == 300.0


def test_records_are_handed_over_and_the_source_leaves_them(move: Move) -> None:
    cut = switch(move.sides, nowhere)
    assert cut.written == tuple(move.live()) == (Record(move.host, "A", (NEW,), 30),)
    assert move.owner() == move.key("target")
    assert 0 < expired(cut) <= 30
    source = move.sides.source
    withdraw_routes(source.app, source.kube, source.objects, nowhere)  # what `finalize` does
    assert move.live() == [Record(move.host, "A", (NEW,), 30)]
    before = len(move.service.calls)
    assert switch(move.sides, nowhere).written == cut.written
    assert not [call for call in move.service.calls[before:] if "Change" in call], "what is true is not written again"
    target = move.sides.target
    publish_routes(target.app, target.kube, target.objects, nowhere)  # the target's next `up`
    assert move.live() == [Record(move.host, "A", (NEW,), 300)]


def test_a_share_goes_over_first_where_the_service_has_weights(move: Move) -> None:
    cut = switch(move.sides, nowhere, share=10)
    if move.zones.weighted:
        answers = {
            value: weight for record in move.live() for value, weight in zip(record.values, record.weights, strict=True)
        }
        assert answers[OLD] == 9 * answers[NEW]
    else:
        assert not cut.written
        assert move.live()[0].values == (OLD,)
    assert move.owner() == move.key("source"), "not before all of it"
    assert switch(move.sides, nowhere).share == 100
    assert move.live() == [Record(move.host, "A", (NEW,), 30)]


def test_a_share_is_a_step_that_is_taken_back(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target may stop only once no resolver leads to it any more; where a service has no weights nothing is changed."""
    ttl = 2
    monkeypatch.setattr(records, "SHORT_TTL", ttl)
    moving: Any = SimpleNamespace(sides=move.sides, emit=nowhere, options=Options(share=10), require_lease=lambda: None)
    progress = Progress(nowhere, "share")
    if not move.zones.weighted:
        with pytest.raises(UsageError, match="no weighted records"):
            cut_over.SHARE.do(moving, progress)
        assert move.live() == [Record(move.host, "A", (OLD,), 300)]
        return
    assert cut_over.SHARE.do(moving, progress) == {"percent": 10}
    assert set(move.live()[0].values) == {OLD, NEW}
    began = time.monotonic()
    assert cut_over.SHARE.undo is not None
    cut_over.SHARE.undo(moving, progress)
    assert time.monotonic() - began >= ttl
    assert move.live() == [Record(move.host, "A", (OLD,), ttl)]


@pytest.mark.parametrize("after", ["lower_ttl", "share", "all"])
def test_and_back_again(move: Move, after: str) -> None:
    lower_ttl(move.sides, nowhere)
    if after != "lower_ttl":
        switch(move.sides, nowhere, share=50 if after == "share" else 100)
    cut = back(move.sides, nowhere)
    assert cut.share == 0
    assert move.live() == [Record(move.host, "A", (OLD,), 30)]
    assert move.owner() == move.key("source")
    source = move.sides.source
    publish_routes(source.app, source.kube, source.objects, nowhere)
    assert move.live() == [Record(move.host, "A", (OLD,), 300)]


def test_what_is_somebody_elses_is_refused(move: Move) -> None:
    ownership.mark(move.zones, move.zone, move.host, "other.default.test.main")
    for step in (lower_ttl, switch, back):
        with pytest.raises(ProviderError, match=r"somebody else's: it belongs to other\.default"):
            step(move.sides, nowhere)
    assert move.live() == [Record(move.host, "A", (OLD,), 300)]


class _Away:
    """A service that answers no more after so many writes."""

    def __init__(self, zones: Zones, writes: int) -> None:
        self._zones, self._left = zones, writes
        self.title, self.weighted = zones.title, zones.weighted

    def zone(self, host: str) -> str | None:
        return self._zones.zone(host)

    def records(self, zone: str, name: str) -> Sequence[Record]:
        return self._zones.records(zone, name)

    def upsert(self, zone: str, record: Record) -> None:
        if self._left == 0:
            raise ProviderError("the service does not answer")
        self._left -= 1
        self._zones.upsert(zone, record)

    def delete(self, zone: str, record: Record) -> None:
        self._zones.delete(zone, record)


@pytest.mark.parametrize("writes", [0, 1])
def test_a_switch_that_broke_off_is_gone_on_with(move: Move, writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(_Cloud, "dns", lambda self, cluster: _Away(self.service.zones(), writes))
        with pytest.raises(ProviderError):
            switch(move.sides, nowhere)
    assert move.owner() == move.key("source")
    assert len(move.live()) == 1, "at every moment there is one answer"
    switch(move.sides, nowhere)
    assert (move.owner(), move.live()[0].values) == (move.key("target"), (NEW,))


def test_by_hand(kube: Kube, name_server: NameServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a person has to write is said, and waited for."""
    monkeypatch.setenv("PORTABLE_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("PORTABLE_DNS", "manual")
    address, _, port = name_server.address.rpartition(":")
    seen = functools.partial(is_true, nameserver=address, port=int(port))
    monkeypatch.setattr(records, "is_true", seen)
    monkeypatch.setattr("portable.dns.public.is_true", seen)
    number = next(_numbers)
    host, nothing = f"hand{number}.example.test", _Cloud(Service(lambda: name_server.zones, "example.test", ""))
    sides = Sides(
        "m", _side(kube, "source", nothing, host, number, OLD), _side(kube, "target", nothing, host, number, NEW)
    )
    name_server.zones.upsert("example.test", Record(host, "A", (OLD,), 300))
    publish_routes(sides.source.app, kube, sides.source.objects, nowhere)
    lowered = lower_ttl(sides, nowhere)
    assert lowered.by_hand == (f"{host}. 30 IN A {OLD}",)
    assert lowered.wait == 300
    cut = switch(sides, nowhere)
    assert [str(record) for record in cut.by_hand] == [f"{host} A {NEW}"]
    assert expired(cut) == float("inf")
    name_server.zones.upsert("example.test", cut.by_hand[0])
    assert 0 < expired(cut) <= 30
    assert [str(record) for record in back(sides, nowhere).by_hand] == [f"{host} A {OLD}"]
    assert cut.at <= time.time()
