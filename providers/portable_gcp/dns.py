"""Cloud DNS. https://cloud.google.com/dns/docs/reference/rest/v1

One change is one step: what is there is deleted exactly as it was read, so a change by somebody else in between is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portable.dns.records import closest, presented, refuse_at_top, understood
from portable.errors import ProviderError
from portable.provider import ADDRESS_TYPES, Record
from portable_gcp.session import Google

_TYPES = (*ADDRESS_TYPES, "TXT")
_PATIENCE = 300.0
_MOST_BETWEEN = 2.0


class CloudDns:
    """The public zones of a project."""

    title = "Cloud DNS"
    weighted = True

    def __init__(self, google: Google, project: str) -> None:
        self._google = google
        self._project = project
        self._known: dict[str, str] | None = None

    def zone(self, host: str) -> str | None:
        return closest({top: zone for zone, top in self._zones().items()}, host)

    def records(self, zone: str, name: str) -> Sequence[Record]:
        return [_record(name, live) for live in self._sets(zone, name)]

    def upsert(self, zone: str, record: Record) -> None:
        refuse_at_top(record, self._zones()[zone])
        kinds = ADDRESS_TYPES if record.type in ADDRESS_TYPES else (record.type,)
        live = [one for one in self._sets(zone, record.name) if one["type"] in kinds]
        if [_record(record.name, one) for one in live] != [record]:
            self._change(zone, {"additions": [_made(record)], "deletions": live})

    def delete(self, zone: str, record: Record) -> None:
        live = [one for one in self._sets(zone, record.name) if one["type"] == record.type]
        if live:
            self._change(zone, {"deletions": live})

    # -- calls -----------------------------------------------------------------------------------------------------

    def _zones(self) -> dict[str, str]:
        """name of the managed zone -> its domain, of the public ones."""
        if self._known is None:
            listed = self._all("dns.managedZones.list", "managedZones", {})
            public = [zone for zone in listed if zone.get("visibility", "public") == "public"]
            self._known = {zone["name"]: zone["dnsName"].rstrip(".") for zone in public}
        return self._known

    def _sets(self, zone: str, name: str) -> list[dict[str, Any]]:
        found = self._all("dns.resourceRecordSets.list", "rrsets", {"name": f"{name}."}, managedZone=zone)
        wanted = ("name", "type", "ttl", "rrdatas", "routingPolicy")
        return [{key: one[key] for key in wanted if key in one} for one in found if one["type"] in _TYPES]

    def _all(self, call: str, field: str, query: Mapping[str, str], **path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        asked = dict(query)
        while True:
            page = self._google.rest(call, None, asked, project=self._project, **path)
            found += page.get(field, [])
            if not page.get("nextPageToken"):
                return found
            asked["pageToken"] = page["nextPageToken"]

    def _change(self, zone: str, change: Mapping[str, Any]) -> None:
        at = {"project": self._project, "managedZone": zone}
        made = self._google.rest("dns.changes.create", change, **at)
        waited, pause = 0.0, min(self._google.pace.poll, _MOST_BETWEEN)
        while made["status"] != "done":
            if waited > _PATIENCE:
                raise ProviderError(
                    f"Cloud DNS has not published a change in {_PATIENCE:.0f} s", fix="run the same command again"
                )
            self._google.pace.sleep(pause)
            waited += pause
            made = self._google.rest("dns.changes.get", changeId=made["id"], **at)


def _made(record: Record) -> dict[str, Any]:
    made: dict[str, Any] = {"name": f"{record.name}.", "type": record.type, "ttl": record.ttl}
    if not record.weights:
        return made | {"rrdatas": list(presented(record))}
    items = [
        {"weight": float(weight), "rrdatas": [value]}
        for weight, value in zip(record.weights, presented(record), strict=True)
    ]
    return made | {"routingPolicy": {"wrr": {"items": items}}}


def _record(name: str, live: Mapping[str, Any]) -> Record:
    kind = live["type"]
    items = live.get("routingPolicy", {}).get("wrr", {}).get("items")
    if items is None:
        values = sorted(understood(kind, value) for value in live.get("rrdatas", ()))
        return Record(name, kind, tuple(values), live.get("ttl", 0))
    pairs = sorted((understood(kind, value), int(item["weight"])) for item in items for value in item["rrdatas"])
    return Record(name, kind, tuple(v for v, _ in pairs), live.get("ttl", 0), tuple(w for _, w in pairs))
