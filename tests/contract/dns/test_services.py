"""What every DNS service promises, held against each: Route 53 (moto), Cloud DNS and Azure DNS (stand-ins), and a real BIND."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from portable.dns import ownership
from portable.errors import ProviderError
from portable.provider import Record
from tests.contract.dns.services import Service, azure_dns, cloud_dns, route53

pytestmark = pytest.mark.contract


def test_the_closest_public_zone_is_found(service: Service) -> None:
    zones = service.zones()
    assert zones.zone("a.b.example.test") == service.zone
    assert zones.zone("*.example.test") == service.zone
    assert zones.zone("example.test") == service.zone
    assert zones.zone("shop.deep.example.test") == service.deep
    assert zones.zone("shop.inner.test") is None  # private, or not there
    assert zones.zone("example.org") is None


def test_records_are_written_replaced_and_deleted(service: Service) -> None:
    zones = service.zones()
    alias = Record("life.example.test", "CNAME", ("lb.example.org",), 60)
    zones.upsert(service.zone, alias)
    assert zones.records(service.zone, alias.name) == [alias]
    _stands(service, alias.name, {("CNAME", "lb.example.org.")})
    address = Record(alias.name, "A", ("192.0.2.1", "192.0.2.2"), 30)
    zones.upsert(service.zone, address)
    assert zones.records(service.zone, alias.name) == [address]
    _stands(service, alias.name, {("A", "192.0.2.1"), ("A", "192.0.2.2")})
    six = Record(alias.name, "AAAA", ("2001:db8::1",), 30)
    zones.upsert(service.zone, six)
    assert zones.records(service.zone, alias.name) == [six]
    zones.delete(service.zone, six)
    zones.delete(service.zone, six)
    assert zones.records(service.zone, alias.name) == []
    _stands(service, alias.name, set())


def _stands(service: Service, name: str, wanted: set[tuple[str, str]]) -> None:
    if service.stands is not None:
        assert service.stands(name) == wanted


def test_what_is_so_already_is_not_written_again(service: Service) -> None:
    record = Record("twice.example.test", "A", ("192.0.2.1",), 60)
    service.zones().upsert(service.zone, record)
    before = [call for call in service.calls if _writes(call)]
    service.zones().upsert(service.zone, record)
    assert [call for call in service.calls if _writes(call)] == before


def _writes(call: str) -> bool:
    return any(word in call.lower() for word in ("change", "create", "delete")) and "get" not in call.lower()


def test_texts_keep_their_characters_and_stand_beside_addresses(service: Service) -> None:
    zones = service.zones()
    text = Record("text.example.test", "TXT", ('a "quoted" \\ text, owner=x', "second"), 60)
    address = Record(text.name, "A", ("192.0.2.1",), 60)
    zones.upsert(service.zone, address)
    zones.upsert(service.zone, text)
    assert zones.records(service.zone, text.name) == [address, text]
    zones.delete(service.zone, address)
    assert zones.records(service.zone, text.name) == [text]


def test_wildcards_and_owners(service: Service) -> None:
    zones = service.zones()
    record = Record("*.wild.example.test", "A", ("192.0.2.7",))
    assert ownership.publish(zones, service.zone, record, "shop.prod.aws.main")
    assert service.zones().records(service.zone, record.name) == [record]
    assert ownership.owner_of(zones, service.zone, record.name) == "shop.prod.aws.main"
    with pytest.raises(ProviderError, match=r"belongs to shop\.prod\.aws\.main"):
        ownership.publish(zones, service.zone, Record(record.name, "A", ("192.0.2.8",)), "shop.prod.gcp.main")
    assert ownership.withdraw(zones, service.zone, record.name, "shop.prod.aws.main")
    assert service.zones().records(service.zone, record.name) == []


def test_a_ttl_is_lowered(service: Service) -> None:
    """As a migration does ahead of its cut-over."""
    zones = service.zones()
    record = Record("lower.example.test", "CNAME", ("lb.example.org",), 300)
    zones.upsert(service.zone, record)
    lowered = Record(record.name, "CNAME", record.values, 30)
    zones.upsert(service.zone, lowered)
    assert zones.records(service.zone, record.name) == [lowered]


def test_answers_by_weight(service: Service) -> None:
    """From one answer to two in proportion, to another proportion, and to the other one: a cut-over."""
    zones = service.zones()
    if not zones.weighted:
        return  # said by the service: who moves traffic asks first
    name, old, new = "weighed.example.test", "old.example.org", "new.example.org"
    zones.upsert(service.zone, Record(name, "CNAME", (old,), 30))
    for weights in ((10, 90), (0, 100)):
        weighed = Record(name, "CNAME", (new, old), 30, weights)
        zones.upsert(service.zone, weighed)
        assert service.zones().records(service.zone, name) == [weighed]
    zones.upsert(service.zone, Record(name, "CNAME", (new,), 30))
    assert service.zones().records(service.zone, name) == [Record(name, "CNAME", (new,), 30)]


def test_weights_are_said_where_they_work() -> None:
    from portable.dns.rfc2136 import Rfc2136
    from portable_aws.dns import Route53
    from portable_azure.dns import AzureDns
    from portable_gcp.dns import CloudDns

    assert [each.weighted for each in (Route53, CloudDns, AzureDns, Rfc2136)] == [True, True, False, False]


# What each has of its own


def test_route_53_has_aliases_at_the_top_of_a_zone(tmp_path: Path) -> None:
    import boto3

    with route53(tmp_path) as service:
        endpoint = service.more._endpoint
        ec2, elb = (boto3.Session().client(name, endpoint_url=endpoint) for name in ("ec2", "elbv2"))
        subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"][:2]]
        balancer = elb.create_load_balancer(Name="shop", Subnets=subnets, Type="application")["LoadBalancers"][0]
        zones = service.zones()
        record = Record("example.test", "CNAME", (balancer["DNSName"].lower(),))
        zones.upsert(service.zone, record)
        assert service.zones().records(service.zone, "example.test") == [record]
        assert service.stands is not None
        assert {kind for kind, _ in service.stands("example.test")} >= {"A", "NS", "SOA"}
        zones.delete(service.zone, record)
        assert service.zones().records(service.zone, "example.test") == []
        with pytest.raises(ProviderError, match="no load balancer elsewhere"):
            zones.upsert(service.zone, Record("example.test", "CNAME", ("elsewhere.example.org",)))


@pytest.mark.parametrize("made", [cloud_dns, azure_dns])
def test_elsewhere_a_cname_at_the_top_is_refused(made: Any, tmp_path: Path) -> None:
    with made(tmp_path) as service, pytest.raises(ProviderError, match="top of its zone"):
        service.zones().upsert(service.zone, Record("example.test", "CNAME", ("lb.example.org",)))


def test_the_permissions_are_those_of_the_calls(tmp_path: Path) -> None:
    from portable_aws import dns as aws
    from portable_azure import dns as azure
    from portable_gcp.calls import DNS_CALLS

    for made, wanted in ((route53, set(aws.CALLS)), (cloud_dns, set(DNS_CALLS)), (azure_dns, set(azure.ACTIONS))):
        (tmp_path / made.__name__).mkdir()
        with made(tmp_path / made.__name__) as service:
            zones = service.zones()
            assert zones.zone("shop.example.test") == service.zone
            record = Record("shop.example.test", "A", ("192.0.2.1",))
            zones.upsert(service.zone, record)
            zones.delete(service.zone, record)
            if made is route53:
                with pytest.raises(ProviderError):
                    zones.upsert(service.zone, Record("example.test", "CNAME", ("elsewhere.example.org",)))
            asked = {call for call in service.calls if not call.startswith(("Entra_", "sts.", "resourcemanager"))}
            # moto says at once that a change is everywhere
            assert asked == wanted - {"route53:GetChange"}
