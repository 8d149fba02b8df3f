"""Azure DNS, by Resource Manager's generic calls. https://learn.microsoft.com/rest/api/dns

A record set of another type at the same name has to go first: this service changes types in two steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from portable.dns.records import closest, refuse_at_top
from portable.events import nowhere
from portable.provider import ADDRESS_TYPES, Record
from portable_azure import failures, operations
from portable_azure.session import Session

API_VERSION = "2018-05-01"
_TYPES = (*ADDRESS_TYPES, "TXT")
# The action that each call needs. "DnsZones_List" is the generic list of resources, filtered.
ACTIONS = {
    "DnsZones_List": "Microsoft.Resources/subscriptions/resources/read",
    "RecordSets_Get": "Microsoft.Network/dnsZones/recordsets/read",
    "RecordSets_CreateOrUpdate": "Microsoft.Network/dnsZones/*/write",
    "RecordSets_Delete": "Microsoft.Network/dnsZones/*/delete",
}


class AzureDns:
    """The public zones of a subscription; a zone's id is its resource id."""

    title = "Azure DNS"
    weighted = False

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[str, str] | None = None

    def zone(self, host: str) -> str | None:
        return closest({top: zone for zone, top in self._zones().items()}, host)

    def records(self, zone: str, name: str) -> Sequence[Record]:
        found = ((kind, self._get(zone, name, kind)) for kind in _TYPES)
        return [_record(name, kind, live) for kind, live in found if live is not None]

    def upsert(self, zone: str, record: Record) -> None:
        refuse_at_top(record, self._top(zone))
        live = [one for one in self.records(zone, record.name) if _replaces(record, one)]
        if live == [record]:
            return
        for other in live:
            if other.type != record.type:
                self.delete(zone, other)
        doing = f"writing the DNS record of {record.name}"
        with failures.told(doing):
            body: Any = {"properties": _properties(record)}
            at = self._id(zone, record.name, record.type)
            begin = self._session.resources.resources.begin_create_or_update_by_id
            self._finish(lambda **resumed: begin(at, body, api_version=API_VERSION, **resumed), doing)

    def delete(self, zone: str, record: Record) -> None:
        doing = f"deleting the DNS record of {record.name}"
        with failures.told(doing):
            at = self._id(zone, record.name, record.type)
            begin = self._session.resources.resources.begin_delete_by_id
            self._finish(lambda **resumed: begin(at, api_version=API_VERSION, **resumed), doing)

    # -- calls -----------------------------------------------------------------------------------------------------

    def _finish(self, begin: Callable[..., Any], what: str) -> None:
        """Bounded; done within a second as a rule, so that there is no progress to tell."""
        operations.finish(self._session, begin, what=what, emit=nowhere)

    def _zones(self) -> dict[str, str]:
        """id -> domain."""
        if self._known is None:
            with failures.told("looking for DNS zones"):
                kind = "resourceType eq 'Microsoft.Network/dnszones'"
                listed = [
                    (str(zone.id), str(zone.name)) for zone in self._session.resources.resources.list(filter=kind)
                ]
            self._known = dict(listed)
        return self._known

    def _top(self, zone: str) -> str:
        return zone.rpartition("/")[2]

    def _id(self, zone: str, name: str, kind: str) -> str:
        """Names are relative to the zone; "@" is its top."""
        relative = name.removesuffix(self._top(zone)).rstrip(".") or "@"
        return f"{zone}/{kind}/{quote(relative)}"

    def _get(self, zone: str, name: str, kind: str) -> dict[str, Any] | None:
        from azure.core.exceptions import ResourceNotFoundError

        with failures.told(f"reading the DNS record of {name}"):
            try:
                return self._session.get(self._id(zone, name, kind), API_VERSION)["properties"]
            except ResourceNotFoundError:
                return None


def _replaces(record: Record, live: Record) -> bool:
    return live.type == record.type or (live.type in ADDRESS_TYPES and record.type in ADDRESS_TYPES)


def _properties(record: Record) -> dict[str, Any]:
    match record.type:
        case "A":
            values: dict[str, Any] = {"ARecords": [{"ipv4Address": value} for value in record.values]}
        case "AAAA":
            values = {"AAAARecords": [{"ipv6Address": value} for value in record.values]}
        case "CNAME":
            values = {"CNAMERecord": {"cname": record.values[0]}}
        case "TXT":
            values = {"TXTRecords": [{"value": [value]} for value in record.values]}
    return {"TTL": record.ttl, **values}


def _record(name: str, kind: Any, live: Mapping[str, Any]) -> Record:
    values = [
        *(one["ipv4Address"] for one in live.get("ARecords") or ()),
        *(one["ipv6Address"] for one in live.get("AAAARecords") or ()),
        *("".join(one["value"]) for one in live.get("TXTRecords") or ()),
        *(one["cname"].rstrip(".") for one in (live.get("CNAMERecord"),) if one),
    ]
    return Record(name, kind, tuple(sorted(values)), int(live.get("TTL", 0)))
