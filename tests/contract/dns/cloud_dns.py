"""Cloud DNS as a stand-in: a mock, but every request and reply is held against Google's own discovery document.

There is no emulator of it. Refused is what the documentation says is: deletions that are not exactly what stands there, additions
over what stands there, a CNAME beside others. Changes are pending until they were asked about once.
"""

from __future__ import annotations

import json
from typing import Any

from tests.clouds.front import Fault, HttpReply, HttpRequest
from tests.clouds.gcp import discovery
from tests.clouds.gcp.answers import Refusal, not_found
from tests.clouds.gcp.cloud import GoogleCloud

ZONES = {
    "public": ("example.test.", "public"),
    "deep": ("deep.example.test.", "public"),
    "inner": ("inner.test.", "private"),
}


class CloudDnsService:
    """`account` answers what is not about DNS: tokens."""

    def __init__(self) -> None:
        self.account = GoogleCloud()
        self.sets: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._changes: dict[str, dict[str, Any]] = {}

    def name(self, request: HttpRequest) -> str:
        return self.account.name(request)

    def refusal(self, fault: Fault, request: HttpRequest) -> HttpReply:
        return self.account.refusal(fault, request)

    def leftovers(self) -> list[str]:
        return [f"{name} {kind}" for _, name, kind in self.sets]

    def answer(self, request: HttpRequest) -> HttpReply:
        if not request.path.startswith("/dns/"):
            return self.account.answer(request)
        found = discovery.match(request.method, request.path)
        assert found is not None, request.path
        assert request.headers.get("authorization", "").startswith("Bearer ")
        query = discovery.check_query(found.method, request.query)
        body = json.loads(request.body) if request.body else {}
        discovery.check_body(found.method, body)
        try:
            answer = self._of(found, query, body)
        except Refusal as refusal:
            return _reply(refusal.code, refusal.body)
        discovery.check_reply(found.method, answer)
        return _reply(200, answer)

    def _of(self, found: discovery.Match, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        zone = found.path.get("managedZone", "")
        if zone and zone not in ZONES:
            raise not_found(f"managedZone {zone}")
        match found.id:
            case "dns.managedZones.list":
                return self._zones(query)
            case "dns.resourceRecordSets.list":
                listed = [one for (at, name, _), one in self.sets.items() if at == zone and name == query["name"]]
                return {"rrsets": listed}
            case "dns.changes.create":
                return self._change(zone, body)
            case "dns.changes.get":
                return self._changes[found.path["changeId"]] | {"status": "done"}
        raise not_found(found.id)

    def _zones(self, query: dict[str, str]) -> dict[str, Any]:
        """One on each page."""
        at = int(query.get("pageToken", "0"))
        name = list(ZONES)[at]
        domain, visibility = ZONES[name]
        page: dict[str, Any] = {"managedZones": [{"name": name, "dnsName": domain, "visibility": visibility}]}
        return page | ({"nextPageToken": str(at + 1)} if at + 1 < len(ZONES) else {})

    def _change(self, zone: str, body: dict[str, Any]) -> dict[str, Any]:
        after = dict(self.sets)
        for gone in body.get("deletions", []):
            key = (zone, gone["name"], gone["type"])
            if after.get(key) != gone:
                raise Refusal(412, "Precondition not met for 'entity.change.deletions[0]'", reason="conditionNotMet")
            del after[key]
        for made in body.get("additions", []):
            key = (zone, made["name"], made["type"])
            if key in after:
                raise Refusal(409, f"The resource '{made['name']}' already exists", reason="alreadyExists")
            after[key] = made
        names = {(at, name) for at, name, kind in after if kind == "CNAME"}
        if any((at, name) in names and kind != "CNAME" for at, name, kind in after):
            raise Refusal(400, "a CNAME with others of its name", reason="cnameResourceRecordSetConflict")
        self.sets = after
        made = {"id": str(len(self._changes)), "status": "pending", "additions": body.get("additions", [])}
        self._changes[made["id"]] = made
        return made


def _reply(status: int, body: dict[str, Any]) -> HttpReply:
    return HttpReply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
