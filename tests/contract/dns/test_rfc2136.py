"""Updates by RFC 2136, on a real BIND 9."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.dns import ownership
from portable.dns.rfc2136 import Rfc2136, read_key
from portable.errors import ProviderError, UsageError
from portable.provider import Record
from tests.contract.dns.name_server import KEY, NameServer

pytestmark = pytest.mark.contract
ZONE = "example.test"


def test_the_closest_zone_is_found(name_server: NameServer) -> None:
    zones = name_server.zones
    assert zones.zone("a.b.example.test") == "example.test"
    assert zones.zone("shop.deep.example.test") == "deep.example.test"
    assert zones.zone("*.example.test") == "example.test"
    assert zones.zone("example.test") == "example.test"
    assert zones.zone("shop.example.org") is None


def test_records_are_written_changed_and_deleted(name_server: NameServer) -> None:
    zones = name_server.zones
    alias = Record("written.example.test", "CNAME", ("lb.example.org",), 60)
    zones.upsert(ZONE, alias)
    assert zones.records(ZONE, alias.name) == [alias]
    address = Record(alias.name, "A", ("192.0.2.1", "192.0.2.2"), 30)
    zones.upsert(ZONE, address)  # another type, in one step
    assert zones.records(ZONE, alias.name) == [address]
    zones.delete(ZONE, address)
    zones.delete(ZONE, address)
    assert zones.records(ZONE, alias.name) == []


def test_a_text_keeps_its_characters(name_server: NameServer) -> None:
    zones = name_server.zones
    text = Record("text.example.test", "TXT", ('a "quoted" \\ text, owner=x', "second"), 60)
    zones.upsert(ZONE, text)
    assert zones.records(ZONE, text.name) == [text]


def test_a_wildcard_has_a_record_and_a_marker(name_server: NameServer) -> None:
    zones = name_server.zones
    assert ownership.publish(zones, ZONE, Record("*.wild.example.test", "A", ("192.0.2.7",)), "shop")
    assert ownership.owner_of(zones, ZONE, "*.wild.example.test") == "shop"
    assert zones.records(ZONE, "_portable-any.wild.example.test")[0].type == "TXT"
    assert ownership.withdraw(zones, ZONE, "*.wild.example.test", "shop")
    assert zones.records(ZONE, "*.wild.example.test") == []
    assert zones.records(ZONE, "_portable-any.wild.example.test") == []


def test_a_cname_at_the_top_of_a_zone_is_refused_with_what_to_do(name_server: NameServer) -> None:
    with pytest.raises(ProviderError, match="top of its zone") as caught:
        name_server.zones.upsert(ZONE, Record(ZONE, "CNAME", ("lb.example.org",)))
    assert "host below it" in caught.value.fix


@pytest.mark.parametrize("key", [KEY.replace("cG9y", "QUFB"), KEY.replace('"portable"', '"other"'), None])
def test_a_key_that_may_not_is_refused_in_words(name_server: NameServer, tmp_path: Path, key: str | None) -> None:
    file = tmp_path / "wrong.key"
    if key:
        file.write_text(key)
    zones = Rfc2136(name_server.address, file if key else None)
    with pytest.raises(ProviderError, match="refused") as caught:
        zones.upsert(ZONE, Record("refused.example.test", "A", ("192.0.2.1",)))
    assert "update-policy" in caught.value.fix
    assert "secret" not in caught.value.message + caught.value.detail
    assert name_server.zones.records(ZONE, "refused.example.test") == []


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(ProviderError, match="does not answer") as caught:
        Rfc2136("127.0.0.1:1", timeout=2.0).zone("shop.example.test")
    assert "127.0.0.1:1" in caught.value.message


def test_key_files_are_read_as_tsig_keygen_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "update.key"
    file.write_text(KEY)
    assert str(read_key(file).name) == "portable."
    file.write_text("no key")
    with pytest.raises(UsageError, match="no DNS key"):
        read_key(file)
    file.write_text(KEY.replace("cG9ydGFibGUgdGVzdHMsIG5vIHNlY3JldCBhdCBhbGw=", "c2VjcmV0A"))
    with pytest.raises(UsageError) as caught:
        read_key(file)
    assert "c2VjcmV0" not in str(caught.value)


# Ownership


def test_what_is_not_ours_is_never_touched(name_server: NameServer) -> None:
    zones = name_server.zones
    theirs = Record("theirs.example.test", "A", ("192.0.2.9",), 60)
    zones.upsert(ZONE, theirs)
    ours = Record(theirs.name, "A", ("192.0.2.1",))
    with pytest.raises(ProviderError, match="somebody else's: portable did not make it") as caught:
        ownership.publish(zones, ZONE, ours, "shop.prod.aws.main")
    assert "192.0.2.9" in caught.value.detail
    assert "PORTABLE_DNS=manual" in caught.value.fix
    assert not ownership.withdraw(zones, ZONE, theirs.name, "shop.prod.aws.main")
    assert zones.records(ZONE, theirs.name) == [theirs]
    assert zones.records(ZONE, ownership.marker(theirs.name)) == []


def test_a_record_of_somebody_else_that_says_the_same_stays_theirs(name_server: NameServer) -> None:
    zones = name_server.zones
    theirs = Record("same.example.test", "A", ("192.0.2.9",), 60)
    zones.upsert(ZONE, theirs)
    assert not ownership.publish(zones, ZONE, Record(theirs.name, "A", ("192.0.2.9",)), "shop")
    assert not ownership.withdraw(zones, ZONE, theirs.name, "shop")
    assert zones.records(ZONE, theirs.name) == [theirs]


def test_of_two_apps_the_first_keeps_the_host(name_server: NameServer) -> None:
    zones = name_server.zones
    first = Record("two.example.test", "A", ("192.0.2.1",))
    assert ownership.publish(zones, ZONE, first, "shop.prod.aws.main")
    with pytest.raises(ProviderError, match=r"belongs to shop\.prod\.aws\.main") as caught:
        ownership.publish(zones, ZONE, Record(first.name, "A", ("192.0.2.2",)), "shop.prod.gcp.main")
    assert "portable migrate" in caught.value.fix
    assert ownership.publish(zones, ZONE, Record(first.name, "A", ("192.0.2.3",)), "shop.prod.aws.main")
    assert zones.records(ZONE, first.name)[0].values == ("192.0.2.3",)
    assert ownership.withdraw(zones, ZONE, first.name, "shop.prod.aws.main")
    assert zones.records(ZONE, first.name) == []


def test_a_marker_that_a_broken_run_left_is_gone_on_with(name_server: NameServer) -> None:
    zones = name_server.zones
    record = Record("broken.example.test", "A", ("192.0.2.1",))
    ownership.mark(zones, ZONE, record.name, "shop")
    assert ownership.publish(zones, ZONE, record, "shop")
    assert zones.records(ZONE, record.name) == [record]
