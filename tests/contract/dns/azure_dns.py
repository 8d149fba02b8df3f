"""Azure DNS as a stand-in: a mock, read back in the tests by Microsoft's own client for it (azure-mgmt-dns).

There is no emulator of it. Refused is a wrong api-version, a body of the wrong shape, and a CNAME beside others.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.clouds.azure.service import SUBSCRIPTION, AzureService
from tests.clouds.front import Fault, HttpReply, HttpRequest

VERSION = "2018-05-01"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/names"
ZONES = ("example.test", "deep.example.test")
_SET = re.compile(
    r"/subscriptions/(?P<sub>[^/]+)/resourceGroups/names/providers/Microsoft\.Network/dnsZones/(?P<zone>[^/]+)"
    r"/(?P<kind>A|AAAA|CNAME|TXT)/(?P<name>[^/]+)",
    re.IGNORECASE,
)
_FIELDS = {"A": "ARecords", "AAAA": "AAAARecords", "CNAME": "CNAMERecord", "TXT": "TXTRecords"}
_NAMES = {"GET": "RecordSets_Get", "PUT": "RecordSets_CreateOrUpdate", "DELETE": "RecordSets_Delete"}


class AzureDnsService:
    """`account` answers what is not about DNS: sign-in."""

    def __init__(self) -> None:
        self.account = AzureService()
        self.endpoint, self.authority = "none", ""
        self.sets: dict[tuple[str, str, str], dict[str, Any]] = {}

    def name(self, request: HttpRequest) -> str:
        if request.path == f"/subscriptions/{SUBSCRIPTION}/resources":
            return "DnsZones_List"
        return _NAMES[request.method] if _SET.fullmatch(request.path) else self.account.name(request)

    def refusal(self, fault: Fault, request: HttpRequest) -> HttpReply:
        return self.account.refusal(fault, request)

    def leftovers(self) -> list[str]:
        return [f"{name}.{zone} {kind}" for zone, name, kind in self.sets]

    def answer(self, request: HttpRequest) -> HttpReply:
        query = {key: values[0] for key, values in parse_qs(request.query).items()}
        if self.name(request) == "DnsZones_List":
            assert query["$filter"] == "resourceType eq 'Microsoft.Network/dnszones'", query
            return _reply(200, {"value": [_zone(name) for name in ZONES]})
        found = _SET.fullmatch(request.path)
        if found is None:
            return self.account.answer(request)
        assert request.headers.get("authorization", "").startswith("Bearer ")
        if query.get("api-version") != VERSION:
            return _refused(400, "InvalidApiVersionParameter", query.get("api-version", ""))
        key = (found["zone"], unquote(found["name"]), found["kind"].upper())
        if found["zone"] not in ZONES:
            return _refused(404, "ResourceNotFound", f"The zone {found['zone']} was not found.")
        if request.method == "PUT":
            return self._put(key, json.loads(request.body))
        if key not in self.sets:
            gone = request.method == "DELETE"
            return (
                HttpReply(204) if gone else _refused(404, "NotFound", f"The resource record '{key[1]}' does not exist.")
            )
        if request.method == "DELETE":
            del self.sets[key]
            return HttpReply(200)
        return _reply(200, self._body(key))

    def _put(self, key: tuple[str, str, str], body: dict[str, Any]) -> HttpReply:
        zone, name, kind = key
        properties = body.get("properties", {})
        if set(body) != {"properties"} or set(properties) != {"TTL", _FIELDS[kind]} or properties["TTL"] < 1:
            return _refused(400, "BadRequest", f"The record set is not valid: {body}")
        others = {other for at, at_name, other in self.sets if (at, at_name) == (zone, name)} - {kind}
        if (kind == "CNAME" and others) or "CNAME" in others:
            return _refused(400, "BadRequest", "The CNAME record set conflicts with another record set of that name.")
        made = key not in self.sets
        self.sets[key] = properties
        return _reply(201 if made else 200, self._body(key))

    def _body(self, key: tuple[str, str, str]) -> dict[str, Any]:
        zone, name, kind = key
        return {
            "id": f"{GROUP}/providers/Microsoft.Network/dnszones/{zone}/{kind}/{name}",
            "name": name,
            "type": f"Microsoft.Network/dnszones/{kind}",
            "etag": "1",
            "properties": {**self.sets[key], "fqdn": f"{name}.{zone}.", "provisioningState": "Succeeded"},
        }


def _zone(name: str) -> dict[str, Any]:
    at = f"{GROUP}/providers/Microsoft.Network/dnszones/{name}"
    return {"id": at, "name": name, "type": "Microsoft.Network/dnszones", "location": "global"}


def _refused(status: int, code: str, message: str) -> HttpReply:
    return _reply(status, {"error": {"code": code, "message": message}})


def _reply(status: int, body: dict[str, Any]) -> HttpReply:
    return HttpReply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
