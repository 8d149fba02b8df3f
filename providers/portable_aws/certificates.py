"""Certificates in ACM, where the load balancers of an Ingress find them by their host.
https://docs.aws.amazon.com/acm/latest/APIReference/

A certificate that covers the host is used, whoever made it; one that is requested here is ours and goes with the app.
ACM renews it for as long as its validation record stands.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from portable.errors import ProviderError
from portable.provider import Certificate, Record
from portable_aws.session import STACK_TAG, Sdk, as_dict, as_list, stack_tag
from portable_aws.words import code_of, explained

APP_TAG = "portable:app"
CALLS = (
    "acm:AddTagsToCertificate",
    "acm:DeleteCertificate",
    "acm:DescribeCertificate",
    "acm:ListCertificates",
    "acm:ListTagsForCertificate",
    "acm:RequestCertificate",
)
# What load balancers take; left out, only RSA ones up to 2048 bits are listed.
_KEYS = ["RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1"]
_ALIVE = ("ISSUED", "PENDING_VALIDATION", "FAILED", "VALIDATION_TIMED_OUT")
# Of no use to anyone, but the load balancer may still hold one of them when another is asked for.
_DEAD = ("EXPIRED", "INACTIVE", "REVOKED")
_TTL = 300
# An Ingress's controller takes a minute to let go of a certificate.
_IN_USE_TRIES = 30
_IN_USE_INTERVAL = 10.0


def certificate_for(sdk: Sdk, region: str, cluster: str, host: str, app: str) -> Certificate:
    """Raises ProviderError. One that failed is deleted, so that the next call asks anew."""
    with explained(sdk):
        client = sdk.client("acm", region)
        ours: list[dict[str, Any]] = []
        for live in _listed(client, _ALIVE):
            if live["Status"] == "ISSUED" and _covers(live, host):
                return Certificate(live["CertificateArn"], host, "issued")
            if live["Status"] != "ISSUED" and live["DomainName"] == host and _owner(client, live) == app:
                ours.append(live)
        if ours:
            return _state(client, ours[0]["CertificateArn"], host)
        tags = {APP_TAG: app, STACK_TAG: stack_tag(cluster)}
        made = client.request_certificate(
            DomainName=host, ValidationMethod="DNS", IdempotencyToken=uuid.uuid4().hex, Tags=as_list(tags)
        )
        return _state(client, made["CertificateArn"], host)


def delete_certificates(sdk: Sdk, region: str, app: str) -> Sequence[Certificate]:
    """Raises ProviderError where a load balancer holds on to one for minutes."""
    gone: list[Certificate] = []
    with explained(sdk):
        client = sdk.client("acm", region)
        for live in list(_listed(client, _ALIVE + _DEAD)):
            if _owner(client, live) == app:
                arn = live["CertificateArn"]
                described = client.describe_certificate(CertificateArn=arn)["Certificate"]
                _delete(sdk, client, arn)
                gone.append(Certificate(arn, live["DomainName"], "issued", validation=_validation(described)))
    return gone


def _listed(client: Any, statuses: Sequence[str]) -> Iterator[dict[str, Any]]:
    pages = client.get_paginator("list_certificates").paginate(
        CertificateStatuses=list(statuses), Includes={"keyTypes": _KEYS}
    )
    for page in pages:
        yield from page["CertificateSummaryList"]


def _covers(live: dict[str, Any], host: str) -> bool:
    names = {live["DomainName"], *live.get("SubjectAlternativeNameSummaries", ())}
    return host in names or f"*.{host.partition('.')[2]}" in names


def _owner(client: Any, live: dict[str, Any]) -> str:
    return as_dict(client.list_tags_for_certificate(CertificateArn=live["CertificateArn"])["Tags"]).get(APP_TAG, "")


def _state(client: Any, arn: str, host: str) -> Certificate:
    found = client.describe_certificate(CertificateArn=arn)["Certificate"]
    if found["Status"] == "ISSUED":
        return Certificate(arn, host, "issued")
    if found["Status"] == "PENDING_VALIDATION":
        return Certificate(arn, host, "pending", validation=_validation(found))
    client.delete_certificate(CertificateArn=arn)
    return Certificate(arn, host, "failed", reason=found.get("FailureReason") or found["Status"])


def _validation(found: dict[str, Any]) -> tuple[Record, ...]:
    """Empty for the first seconds of a request."""
    records = [
        option["ResourceRecord"] for option in found.get("DomainValidationOptions", ()) if "ResourceRecord" in option
    ]
    return tuple(
        Record(record["Name"].rstrip("."), record["Type"], (record["Value"].rstrip("."),), _TTL) for record in records
    )


def _delete(sdk: Sdk, client: Any, arn: str) -> None:
    from botocore.exceptions import ClientError

    for attempt in range(_IN_USE_TRIES):
        try:
            client.delete_certificate(CertificateArn=arn)
            return
        except ClientError as error:
            if code_of(error) == "ResourceNotFoundException":
                return
            if code_of(error) != "ResourceInUseException":
                raise
            if attempt + 1 < _IN_USE_TRIES:
                sdk.sleep(_IN_USE_INTERVAL)
    raise ProviderError(
        f"a load balancer still uses the certificate {arn}",
        fix="run the same command again when the load balancer is gone, or delete it in the console",
    )
