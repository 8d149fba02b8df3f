"""Route 53. https://docs.aws.amazon.com/Route53/latest/APIReference/

One change batch is one step, so a change of type, or from one answer to weighted ones, leaves no moment without an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portable.dns.records import closest, presented, understood
from portable.errors import ProviderError
from portable.provider import ADDRESS_TYPES, Record
from portable_aws.session import Sdk
from portable_aws.words import explained

CALLS = (
    "elasticloadbalancing:DescribeLoadBalancers",
    "route53:ChangeResourceRecordSets",
    "route53:GetChange",
    "route53:ListHostedZones",
    "route53:ListResourceRecordSets",
)
_TYPES = (*ADDRESS_TYPES, "TXT")
# https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/route-53-faqs: "typically within 60 seconds"
_SYNC_SECONDS = 300.0
_SYNC_INTERVAL = 3.0


class Route53:
    """The public zones of an account; `region` is where load balancers are. A CNAME at the top of a zone becomes an alias."""

    title = "Route 53"
    weighted = True

    def __init__(self, sdk: Sdk, region: str) -> None:
        self._sdk = sdk
        self._region = region
        self._known: dict[str, str] | None = None

    def zone(self, host: str) -> str | None:
        return closest({name: zone for zone, name in self._zones().items()}, host)

    def records(self, zone: str, name: str) -> Sequence[Record]:
        found: dict[str, list[tuple[str, int | None, int]]] = {}
        for live in self._sets(zone, name):
            kind, values = _read(live)
            found.setdefault(kind, []).extend((value, live.get("Weight"), live.get("TTL", 0)) for value in values)
        return [_record(name, kind, entries) for kind, entries in sorted(found.items())]

    def upsert(self, zone: str, record: Record) -> None:
        wanted = {_key(made): made for made in self._made(zone, record)}
        kinds = _TYPES[:3] if record.type in ADDRESS_TYPES else (record.type,)
        live = {_key(one): one for one in self._sets(zone, record.name) if one["Type"] in kinds}
        gone = [_change("DELETE", one) for key, one in live.items() if key not in wanted]
        self._change(zone, gone + [_change("UPSERT", made) for key, made in wanted.items() if live.get(key) != made])

    def delete(self, zone: str, record: Record) -> None:
        live = [one for one in self._sets(zone, record.name) if _read(one)[0] == record.type]
        self._change(zone, [_change("DELETE", one) for one in live])

    # -- calls -----------------------------------------------------------------------------------------------------

    @property
    def _client(self) -> Any:
        return self._sdk.client("route53", self._region)

    def _zones(self) -> dict[str, str]:
        """id -> name of the public ones. Of several of one name the one with the most records is in use."""
        if self._known is None:
            with explained(self._sdk):
                pages = self._client.get_paginator("list_hosted_zones").paginate()
                listed = [zone for page in pages for zone in page["HostedZones"]]
            public = [zone for zone in listed if not zone.get("Config", {}).get("PrivateZone")]
            ordered = sorted(public, key=lambda zone: zone.get("ResourceRecordSetCount", 0))
            self._known = {zone["Id"].rpartition("/")[2]: _plain(zone["Name"]) for zone in ordered}
        return self._known

    def _sets(self, zone: str, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        start: dict[str, str] = {"StartRecordName": name}
        while True:
            with explained(self._sdk):
                page = self._client.list_resource_record_sets(HostedZoneId=zone, **start)
            sets = page["ResourceRecordSets"]
            found += [one for one in sets if _plain(one["Name"]) == name and one["Type"] in _TYPES]
            if not page.get("IsTruncated") or _plain(page.get("NextRecordName", "")) != name:
                return found
            start = {"StartRecordName": page["NextRecordName"], "StartRecordType": page["NextRecordType"]}
            if page.get("NextRecordIdentifier"):
                start["StartRecordIdentifier"] = page["NextRecordIdentifier"]

    def _change(self, zone: str, changes: list[dict[str, Any]]) -> None:
        if not changes:
            return
        with explained(self._sdk):
            made = self._client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
            waited = 0.0
            while made["ChangeInfo"]["Status"] != "INSYNC":
                if waited > _SYNC_SECONDS:
                    raise ProviderError(
                        f"Route 53 has not published a change in {_SYNC_SECONDS:.0f} s",
                        fix="run the same command again",
                    )
                self._sdk.sleep(_SYNC_INTERVAL)
                waited += _SYNC_INTERVAL
                made = self._client.get_change(Id=made["ChangeInfo"]["Id"])

    # -- record sets -----------------------------------------------------------------------------------------------

    def _made(self, zone: str, record: Record) -> list[dict[str, Any]]:
        name = f"{record.name}."
        if record.type == "CNAME" and record.name == self._zones()[zone]:
            return [{"Name": name, "Type": "A", "AliasTarget": self._alias(record.values[0])}]
        base = {"Name": name.replace("*", "\\052"), "Type": record.type, "TTL": record.ttl}
        values = [{"Value": value} for value in presented(record)]
        if not record.weights:
            return [base | {"ResourceRecords": values}]
        return [
            base | {"SetIdentifier": plain, "Weight": weight, "ResourceRecords": [value]}
            for plain, weight, value in zip(record.values, record.weights, values, strict=True)
        ]

    def _alias(self, load_balancer: str) -> dict[str, Any]:
        client = self._sdk.client("elbv2", self._region)
        with explained(self._sdk):
            pages = client.get_paginator("describe_load_balancers").paginate()
            known = {
                one["DNSName"].lower(): one["CanonicalHostedZoneId"] for page in pages for one in page["LoadBalancers"]
            }
        if load_balancer not in known:
            raise ProviderError(
                f"there is no load balancer {load_balancer} in {self._region} that an alias record could lead to",
                fix="use a host below the top of the zone",
            )
        return {"HostedZoneId": known[load_balancer], "DNSName": f"{load_balancer}.", "EvaluateTargetHealth": False}


def _plain(name: str) -> str:
    return name.replace("\\052", "*").rstrip(".")


def _key(made: Mapping[str, Any]) -> tuple[str, str]:
    return made["Type"], made.get("SetIdentifier", "")


def _change(action: str, made: Mapping[str, Any]) -> dict[str, Any]:
    return {"Action": action, "ResourceRecordSet": dict(made)}


def _read(live: Mapping[str, Any]) -> tuple[str, list[str]]:
    """(type, values) in our words: an alias leads to a name, as a CNAME does."""
    if "AliasTarget" in live:
        return "CNAME", [_plain(live["AliasTarget"]["DNSName"])]
    return live["Type"], [understood(live["Type"], entry["Value"]) for entry in live.get("ResourceRecords", ())]


def _record(name: str, kind: Any, entries: list[tuple[str, int | None, int]]) -> Record:
    entries = sorted(entries, key=lambda entry: entry[0])
    values, weights = tuple(value for value, _, _ in entries), tuple(weight or 0 for _, weight, _ in entries)
    weighted = any(weight is not None for _, weight, _ in entries)
    return Record(name, kind, values, max(ttl for _, _, ttl in entries) or Record.ttl, weights if weighted else ())
