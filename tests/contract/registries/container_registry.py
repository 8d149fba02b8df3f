"""Azure Container Registry as a stand-in: a mock, read back in the tests by Microsoft's own client for it.

There is no emulator of it. Refused is a wrong api-version, a name that Azure would not take, an unknown SKU, and an exchange of
a token that Entra did not give out for the Resource Manager.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs

from tests.clouds.azure.entra import ARM
from tests.clouds.azure.service import SUBSCRIPTION, AzureService
from tests.clouds.front import Fault, HttpReply, HttpRequest

VERSIONS = ("2023-07-01", "2025-11-01")
_REGISTRY = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/(?P<group>[^/]+)/providers/Microsoft\.ContainerRegistry/registries/(?P<name>[^/]+)",
    re.IGNORECASE,
)
_NAMES = {"GET": "Registries_Get", "PUT": "Registries_Create"}
REFRESH_TOKEN = "refresh.token.of-the-registry"


class ContainerRegistryService:
    """`account` answers what is not about registries. `server`: what registries say that their login server is."""

    def __init__(self) -> None:
        self.account = AzureService()
        self.endpoint, self.authority = "none", ""
        self.server = ""
        self.registries: dict[str, dict[str, Any]] = {}

    def name(self, request: HttpRequest) -> str:
        if request.path == "/oauth2/exchange":
            return "exchange"
        return _NAMES[request.method] if _REGISTRY.fullmatch(request.path) else self.account.name(request)

    def refusal(self, fault: Fault, request: HttpRequest) -> HttpReply:
        return self.account.refusal(fault, request)

    def leftovers(self) -> list[str]:
        return [f"registry {name}" for name in self.registries]

    def answer(self, request: HttpRequest) -> HttpReply:
        if request.path == "/oauth2/exchange":
            return self._exchange(request)
        found = _REGISTRY.fullmatch(request.path)
        if found is None:
            return self.account.answer(request)
        assert request.headers.get("authorization", "").startswith("Bearer ")
        version = parse_qs(request.query)["api-version"][0]
        if version not in VERSIONS:
            return _refused(400, "InvalidApiVersionParameter", version)
        if request.method == "PUT":
            return self._put(found["group"], found["name"], json.loads(request.body))
        if found["name"] not in self.registries:
            return _refused(404, "ResourceNotFound", f"The registry {found['name']} was not found.")
        return _reply(200, self.registries[found["name"]])

    def _put(self, group: str, name: str, body: dict[str, Any]) -> HttpReply:
        if group.lower() not in self.account.groups:
            return _refused(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
        if not re.fullmatch(r"[a-zA-Z0-9]{5,50}", name):
            return _refused(400, "InvalidResourceName", name)
        if set(body) - {"location", "sku", "tags", "properties"} or body["sku"] not in [
            {"name": sku} for sku in ("Basic", "Standard", "Premium")
        ]:
            return _refused(400, "InvalidRequestContent", str(body))
        made = name not in self.registries
        at = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.ContainerRegistry/registries/{name}"
        properties = {**body.get("properties", {}), "loginServer": self.server, "provisioningState": "Succeeded"}
        self.registries[name] = {
            **body,
            "id": at,
            "name": name,
            "type": "Microsoft.ContainerRegistry/registries",
            "properties": properties,
        }
        self.account.places.add(at.lower())
        return _reply(201 if made else 200, self.registries[name])

    def _exchange(self, request: HttpRequest) -> HttpReply:
        form = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
        right = form.get("grant_type") == "access_token" and form.get("service") == self.server
        if not right or not self.account.entra.accepts(form.get("access_token", ""), ARM):
            return _reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]})
        return _reply(200, {"refresh_token": REFRESH_TOKEN})


def _refused(status: int, code: str, message: str) -> HttpReply:
    return _reply(status, {"error": {"code": code, "message": message}})


def _reply(status: int, body: dict[str, Any]) -> HttpReply:
    return HttpReply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
