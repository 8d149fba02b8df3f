"""Two real name servers of one zone: what is written is true on both before anybody goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from portable.dns import public, secondaries
from portable.errors import ProviderError
from portable.provider import Record
from tests.contract.dns.name_server import NameServer, second, serving
from tests.ports import free_ports

pytestmark = pytest.mark.contract
ZONE = "pair.test"


@dataclass(frozen=True)
class Pair:
    """`stop` ends the secondary, which listens at `port` of ::1."""

    primary: NameServer
    stop: ExitStack
    port: int

    def has(self, record: Record) -> bool:
        return public.is_true(record, nameserver="::1", port=self.port)


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pair]:
    port = free_ports(1)[0]
    monkeypatch.setattr(secondaries, "_PORT", port)  # 53 may be somebody's on this machine
    for name in ("primary", "secondary"):
        (tmp_path / name).mkdir()
    with serving(tmp_path / "primary", [ZONE], secondary=port) as primary, ExitStack() as other:
        other.enter_context(second(tmp_path / "secondary", primary, [ZONE], port))
        yield Pair(primary, other, port)


def record(value: str) -> Record:
    return Record(f"shop.{ZONE}", "A", (value,), 60)


def test_a_change_is_on_both_once_it_is_made(pair: Pair) -> None:
    for number in range(1, 6):
        pair.primary.zones.upsert(ZONE, record(f"192.0.2.{number}"))
        assert pair.has(record(f"192.0.2.{number}"))
    pair.primary.zones.delete(ZONE, record("192.0.2.5"))
    assert not pair.has(record("192.0.2.5"))


def test_one_that_is_away_holds_up_nobody(pair: Pair) -> None:
    pair.stop.close()
    pair.primary.zones.upsert(ZONE, record("192.0.2.1"))
    assert [found.values for found in pair.primary.zones.records(ZONE, f"shop.{ZONE}")] == [("192.0.2.1",)]


def test_one_that_stays_behind_is_named(pair: Pair) -> None:
    """Its serial is behind for as long as the primary's, as it is asked here, goes up with each look."""
    zones = pair.primary.zones
    zones.upsert(ZONE, record("192.0.2.1"))
    serials = iter(range(10**6, 2 * 10**6))

    def ahead(message):  # type: ignore[no-untyped-def]
        answer = zones._ask(message)
        for rrset in answer.answer:
            if rrset.rdtype.name == "SOA":
                rrset.add(rrset.pop().replace(serial=next(serials)))
        return answer

    with pytest.raises(ProviderError, match=rf"ns2.{ZONE} \(::1\) still has the old {ZONE}") as caught:
        secondaries.await_secondaries(ahead, ZONE, "127.0.0.1", patience=0.5)
    assert "also-notify" in caught.value.fix
