"""Certificates of a cloud's store: ACM as moto has it, proven in moto's Route 53 or by records that a person has to write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from moto import settings

from portable.certificate_stores import delete_certificates, request_certificates
from portable.compile import compile_app
from portable.errors import ProviderError
from portable.events import Event, Notice, Step, nowhere
from portable.provider import Certificate
from portable.spec.model import Cluster
from portable_aws import Aws, certificates
from tests.contract.dns.apps import target
from tests.contract.dns.services import REGION, Service, route53

pytestmark = pytest.mark.contract
SHOP = "shop.example.test"
# seconds; until a test says that ACM has looked
PENDING = 3600


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("PORTABLE_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setattr("moto.settings.ACM_VALIDATION_WAIT", PENDING)
    with route53(tmp_path) as found:
        yield found


def request(
    service: Service, hosts: Sequence[str], emit: Any = nowhere, *, looks: bool = True, **limits: float
) -> None:
    """`looks`: ACM looks at the records once it was waited for, and finds what it wants: moto goes by the time alone."""

    def emit_and_look(event: Event) -> None:
        if looks and isinstance(event, Step) and "not proven yet" in event.detail:
            settings.ACM_VALIDATION_WAIT = 0
        emit(event)

    to = target("acm", dict.fromkeys(hosts, "auto"), Aws(service.more))
    request_certificates(to, compile_app(to.app, to.profile), emit_and_look, interval=0.05, **limits)


def acm(service: Service) -> Any:
    return service.more.client("acm", REGION)


def known(service: Service) -> dict[str, str]:
    return {one["DomainName"]: one["Status"] for one in acm(service).list_certificates()["CertificateSummaryList"]}


def test_a_certificate_is_requested_proven_and_goes_with_the_app(service: Service) -> None:
    request(service, [SHOP, "api.example.test"])
    assert known(service) == {SHOP: "ISSUED", "api.example.test": "ISSUED"}
    (arn,) = [
        one["CertificateArn"]
        for one in acm(service).list_certificates()["CertificateSummaryList"]
        if one["DomainName"] == SHOP
    ]
    proof = acm(service).describe_certificate(CertificateArn=arn)["Certificate"]["DomainValidationOptions"][0][
        "ResourceRecord"
    ]
    zones = service.zones()
    assert [record.values for record in zones.records(service.zone, proof["Name"].rstrip("."))] == [
        (proof["Value"].rstrip("."),)
    ]

    service.calls.clear()
    request(service, [SHOP, "api.example.test"])
    assert set(service.calls) == {"acm:ListCertificates"}  # what is there is used

    to = target("acm", {}, Aws(service.more))
    delete_certificates(to, nowhere)
    delete_certificates(to, nowhere)
    assert known(service) == {}
    assert zones.records(service.zone, proof["Name"].rstrip(".")) == []


def test_the_permissions_are_those_of_the_calls(service: Service) -> None:
    request(service, [SHOP])
    delete_certificates(target("acm", {}, Aws(service.more)), nowhere)
    asked = {call for call in service.calls if call.startswith("acm:")}
    # tags that come with a request take the permission to tag
    assert asked == set(certificates.CALLS) - {"acm:AddTagsToCertificate"}


def test_one_that_somebody_else_made_is_used_and_stays(service: Service) -> None:
    made = acm(service).request_certificate(DomainName="*.example.test", ValidationMethod="DNS")["CertificateArn"]
    settings.ACM_VALIDATION_WAIT = 0
    assert acm(service).describe_certificate(CertificateArn=made)["Certificate"]["Status"] == "ISSUED"
    request(service, [SHOP])
    assert known(service) == {"*.example.test": "ISSUED"}
    delete_certificates(target("acm", {}, Aws(service.more)), nowhere)
    assert known(service) == {"*.example.test": "ISSUED"}


def test_where_nobody_has_the_zone_the_record_is_told_and_the_next_run_goes_on(service: Service) -> None:
    told: list[Event] = []
    with pytest.raises(ProviderError, match="certificates is not done") as caught:
        request(service, ["shop.example.org"], told.append, looks=False, timeout=0.2)
    assert "create the DNS record: _" in caught.value.detail
    assert "goes on from here" in caught.value.fix
    assert any(isinstance(event, Notice) and "300 IN CNAME" in event.message for event in told)
    request(service, ["shop.example.org"])
    assert known(service) == {"shop.example.org": "ISSUED"}


def test_a_name_of_ones_own_machine_is_told_and_not_asked_for(service: Service) -> None:
    told: list[Event] = []
    request(service, ["shop.localhost"], told.append)
    assert [event.message for event in told if isinstance(event, Notice)] == [
        "shop.localhost gets no certificate on Amazon EKS: it is a name of your own machine"
    ]
    assert known(service) == {}


def test_a_store_that_says_no_is_quoted() -> None:
    class Store:
        name, title = "test", "Testland"

        def certificate_for(self, cluster: Cluster, host: str, app: str) -> Certificate:
            return Certificate("1", host, "failed", reason="CAA_ERROR")

        def delete_certificates(self, cluster: Cluster, app: str) -> Sequence[Certificate]:
            return ()

    to = target("failed", {SHOP: "auto"}, Store())
    with pytest.raises(ProviderError, match=r"Testland refuses a certificate for shop\.example\.test: CAA_ERROR"):
        request_certificates(to, compile_app(to.app, to.profile), nowhere)


def test_a_request_whose_state_is_bad_is_asked_anew(service: Service) -> None:
    """moto never fails a certificate by itself: its own record of one is set to what ACM would say."""
    from moto.backends import get_backend

    with pytest.raises(ProviderError):
        request(service, ["bad.example.org"], looks=False, timeout=0.0)
    (held,) = get_backend("acm")["123456789012"][REGION]._certificates.values()
    held.status = "FAILED"
    with pytest.raises(ProviderError, match="FAILED"):
        request(service, ["bad.example.org"])
    assert known(service) == {}
    request(service, ["bad.example.org"])
    assert known(service) == {"bad.example.org": "ISSUED"}


def test_one_that_expired_is_replaced_and_goes_with_the_app(service: Service) -> None:
    from moto.backends import get_backend

    request(service, [SHOP])
    held = get_backend("acm")["123456789012"][REGION]._certificates
    (old,) = held.values()
    old.status = "EXPIRED"
    request(service, [SHOP])
    assert sorted(one.status for one in held.values()) == ["EXPIRED", "ISSUED"]
    delete_certificates(target("acm", {}, Aws(service.more)), nowhere)
    assert not held
