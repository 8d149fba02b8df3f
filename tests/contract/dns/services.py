"""Every service that records can be written to, as the tests of what they promise meet it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from portable.provider import Zones
from tests.clouds.front import Front

REGION = "eu-central-1"


@dataclass(frozen=True)
class Service:
    """`zones()` is an adapter with nothing remembered. `zone` is the id of example.test, `deep` that of deep.example.test.

    `calls`: what was asked, in the cloud's words; `stands(name)`: (type, value) there, read by another client.
    """

    zones: Callable[[], Zones]
    zone: str
    deep: str
    calls: list[str] = field(default_factory=list)
    stands: Callable[[str], set[tuple[str, str]]] | None = None
    more: Any = None


@contextmanager
def route53(folder: Path) -> Iterator[Service]:
    """moto's Route 53, ACM and load balancers behind a real HTTP server; calls as botocore's events tell them."""
    import boto3
    from moto.moto_api._internal.models import moto_api_backend
    from moto.server import ThreadedMotoServer

    from portable_aws.dns import Route53
    from portable_aws.session import Sdk

    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    keys |= {"AWS_CONFIG_FILE": str(folder / "none"), "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none")}
    keys |= {"AWS_DEFAULT_REGION": REGION}
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    with patch.dict(os.environ, keys):
        server.start()
        try:
            moto_api_backend.reset()
            host, port = server.get_host_and_port()
            sdk = Sdk(f"http://{host}:{port}", sleep=lambda _seconds: None)
            calls: list[str] = []
            sdk.session.events.register("before-call", lambda model, **_: calls.append(_permission(model)))
            made = boto3.Session().client("route53", endpoint_url=f"http://{host}:{port}", region_name=REGION)
            zone, deep = (_hosted_zone(made, name) for name in ("example.test", "deep.example.test"))
            _hosted_zone(made, "inner.test", private=True)
            calls.clear()
            yield Service(lambda: Route53(sdk, REGION), zone, deep, calls, _reader(made, zone), sdk)
        finally:
            server.stop()


def _permission(model: Any) -> str:
    return f"{model.service_model.endpoint_prefix}:{model.name}"


def _hosted_zone(client: Any, name: str, *, private: bool = False) -> str:
    network = {"VPC": {"VPCRegion": REGION, "VPCId": "vpc-1"}} if private else {}
    made = client.create_hosted_zone(
        Name=name, CallerReference=name, HostedZoneConfig={"PrivateZone": private}, **network
    )
    return made["HostedZone"]["Id"].rpartition("/")[2]


def _reader(client: Any, zone: str) -> Callable[[str], set[tuple[str, str]]]:
    def stands(name: str) -> set[tuple[str, str]]:
        sets = client.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        return {
            (one["Type"], entry["Value"])
            for one in sets
            if one["Name"] == f"{name}."
            for entry in one.get("ResourceRecords", [{"Value": one.get("AliasTarget", {}).get("DNSName")}])
        }

    return stands


@contextmanager
def cloud_dns(folder: Path) -> Iterator[Service]:
    from portable_gcp.dns import CloudDns
    from portable_gcp.session import Google
    from tests.clouds.gcp.cloud import PROJECT
    from tests.clouds.gcp.world import PACE, environment
    from tests.contract.dns.cloud_dns import CloudDnsService

    service = CloudDnsService()

    def stands(name: str) -> set[tuple[str, str]]:
        sets = (one for (_, at, _), one in service.sets.items() if at == f"{name}.")
        return {(one["type"], value) for one in sets for value in one.get("rrdatas", [])}

    with Front(service).serving() as front:
        moved = environment(front, folder) | {"CLOUDSDK_API_ENDPOINT_OVERRIDES_DNS": front.url}
        with patch.dict(os.environ, moved):
            yield Service(lambda: CloudDns(Google(PACE), PROJECT), "public", "deep", front.calls, stands, front)
    assert service.account.violations == []


@contextmanager
def azure_dns(folder: Path) -> Iterator[Service]:
    from portable_azure.dns import AzureDns
    from portable_azure.session import Session
    from tests.clouds.azure.world import serving
    from tests.contract.dns.azure_dns import GROUP, ZONES, AzureDnsService

    service = AzureDnsService()
    with serving(service) as world, patch.dict(os.environ, world.environment):  # type: ignore[arg-type]
        session = Session(interval=0.0, sleep=lambda _seconds: None)
        at = [f"{GROUP}/providers/Microsoft.Network/dnszones/{name}" for name in ZONES]
        yield Service(
            lambda: AzureDns(session), at[0], at[1], world.front.calls, _microsoft(session, ZONES[0]), world.front
        )


def _microsoft(session: Any, zone: str) -> Callable[[str], set[tuple[str, str]]]:
    """Read by Microsoft's own client for DNS."""
    from azure.core.exceptions import ResourceNotFoundError
    from azure.mgmt.dns import DnsManagementClient

    from portable_azure import configuration

    client = DnsManagementClient(session.credential, session.subscription, base_url=configuration.endpoint())

    def stands(name: str) -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for kind in ("A", "AAAA", "CNAME", "TXT"):
            try:
                live = client.record_sets.get("names", zone, name.removesuffix(zone).rstrip(".") or "@", kind)
            except ResourceNotFoundError:
                continue
            found |= {(kind, str(one.ipv4_address)) for one in live.a_records or ()}
            found |= {(kind, str(one.ipv6_address)) for one in live.aaaa_records or ()}
            found |= {(kind, f"{live.cname_record.cname}.")} if live.cname_record else set()
            found |= {(kind, "".join(one.value or ())) for one in live.txt_records or ()}
        return found

    return stands


SERVICES: Sequence[Callable[[Path], Any]] = (route53, cloud_dns, azure_dns)
