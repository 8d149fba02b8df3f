"""Recorded conversations with GKE, played back to the real client. Where they come from: SOURCES.md beside them.

Logs of Google's Kubernetes Config Connector: a request, its reply, and what differs from run to run as ${words}. They may be
of Google's own mock and not of GKE; their form is Google's either way.
"""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clouds.front import Fault, HttpReply, HttpRequest
from tests.clouds.gcp import discovery
from tests.clouds.gcp.iam import Iam

CONTRACTS = Path(os.environ.get("PORTABLE_CONTRACTS", Path(__file__).parents[3].parent / "shared" / "contracts"))
FOLDER = CONTRACTS / "gke" / "kcc-golden"
WORDS = {
    "projectId": "acme-shop",
    "projectNumber": "123",
    "uniqueId": "u1",
    "operationID": "operation-1",
    "publicEndpointIPV4": "203.0.113.7",
    "privateEndpointIPV4": "10.0.0.2",
}


@dataclass(frozen=True)
class Exchange:
    """`path` as of version 1, whatever version was asked."""

    method: str
    path: str
    request: dict[str, Any]
    status: int
    reply: dict[str, Any]


def exchanges(log: Path) -> list[Exchange]:
    text = log.read_text(encoding="utf-8")
    for word, value in WORDS.items():
        text = text.replace(f"${{{word}}}", value)
    return [_exchange(entry) for entry in text.split("\n---\n") if entry.strip()]


def _exchange(text: str) -> Exchange:
    head, reply = re.split(r"(?m)^(?=\d{3} [A-Z])", text.strip(), maxsplit=1)
    method, url = head.split(maxsplit=2)[:2]
    path = re.sub(r"^https://[^/]+/v1(beta1)?/", "/v1/", url).partition("?")[0]
    return Exchange(method, path, _body(head), int(reply[:3]), _body(reply))


def _body(text: str) -> dict[str, Any]:
    """What follows the first empty line."""
    _, _, body = text.partition("\n\n")
    return json.loads(body) if body.strip().startswith("{") else {}


class Replay:
    """A service that says what was recorded: for each method and path the replies in their order, the last one again and again."""

    def __init__(self, recorded: list[Exchange]) -> None:
        self._replies: dict[tuple[str, str], list[Exchange]] = defaultdict(list)
        for exchange in recorded:
            self._replies[exchange.method, exchange.path].append(exchange)
        self._iam = Iam("acme-shop")

    def name(self, request: HttpRequest) -> str:
        found = discovery.match(request.method, request.path)
        return found.id if found else f"{request.method} {request.path}"

    def answer(self, request: HttpRequest) -> HttpReply:
        if request.path == "/token":
            return HttpReply(200, json.dumps(self._iam.issue(request.body)).encode())
        left = self._replies.get((request.method, request.path))
        assert left, f"{request.method} {request.path} was not recorded"
        exchange = left.pop(0) if len(left) > 1 else left[0]
        return HttpReply(exchange.status, json.dumps(exchange.reply).encode(), {"Content-Type": "application/json"})

    def refusal(self, fault: Fault, request: HttpRequest) -> HttpReply:
        raise AssertionError("recordings have no faults")

    def leftovers(self) -> list[str]:
        return []
