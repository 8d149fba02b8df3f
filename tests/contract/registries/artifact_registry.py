"""Artifact Registry as a stand-in: a mock, but every request and reply is held against Google's own discovery document.

There is no emulator of it. A repository is made by an operation, which is done when it was asked about once.
"""

from __future__ import annotations

import json
from typing import Any

from tests.clouds.front import Fault, HttpReply, HttpRequest
from tests.clouds.gcp import discovery
from tests.clouds.gcp.answers import Refusal, not_found
from tests.clouds.gcp.cloud import GoogleCloud

PREFIX = "/artifactregistry"
DOCUMENT = "artifactregistry.v1"


class ArtifactRegistryService:
    """`account` answers what is not about registries: tokens. `repositories`: name -> body, `made` in the order of calls."""

    def __init__(self) -> None:
        self.account = GoogleCloud()
        self.repositories: dict[str, dict[str, Any]] = {}
        self._operations: dict[str, tuple[str, dict[str, Any]]] = {}

    def name(self, request: HttpRequest) -> str:
        found = self._match(request)
        return found.id if found else self.account.name(request)

    def refusal(self, fault: Fault, request: HttpRequest) -> HttpReply:
        return self.account.refusal(fault, request)

    def leftovers(self) -> list[str]:
        return [f"repository {name}" for name in self.repositories]

    def answer(self, request: HttpRequest) -> HttpReply:
        found = self._match(request)
        if found is None:
            return self.account.answer(request)
        assert self.account.iam.knows(request.headers.get("authorization", ""))
        query = discovery.check_query(found.method, request.query)
        body = json.loads(request.body) if request.body else {}
        discovery.check_body(found.method, body)
        try:
            answer = self._of(found, query, body)
        except Refusal as refusal:
            return _reply(refusal.code, refusal.body)
        discovery.check_reply(found.method, answer)
        return _reply(200, answer)

    def _match(self, request: HttpRequest) -> discovery.Match | None:
        path = request.path
        return discovery.match(request.method, path.removeprefix(PREFIX), DOCUMENT) if path.startswith(PREFIX) else None

    def _of(self, found: discovery.Match, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        at = f"projects/{found.path['projectsId']}/locations/{found.path['locationsId']}"
        if found.id.endswith("repositories.create"):
            name = f"{at}/repositories/{query['repositoryId']}"
            if name in self.repositories:
                raise Refusal(409, "the repository already exists", status="ALREADY_EXISTS", reason="alreadyExists")
            if not body.get("format"):
                raise Refusal(400, "Invalid value for format", status="INVALID_ARGUMENT", reason="badRequest")
            operation = f"{at}/operations/{len(self._operations)}"
            self._operations[operation] = (name, body)
            return {"name": operation, "done": False}
        if found.id.endswith("operations.get"):
            operation = f"{at}/operations/{found.path['operationsId']}"
            name, made = self._operations[operation]
            self.repositories[name] = {"name": name, **made}
            return {"name": operation, "done": True}
        assert found.id.endswith("repositories.get"), found.id
        name = f"{at}/repositories/{found.path['repositoriesId']}"
        if name not in self.repositories:
            raise not_found(name)
        return self.repositories[name]


def _reply(status: int, body: dict[str, Any]) -> HttpReply:
    return HttpReply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
