"""A token webhook as the clouds have it: their API servers ask the cloud itself who sent a bearer token.

Judges are asked in turn who a token belongs to; the first that knows it decides. Speaks authentication.k8s.io/v1 TokenReview over plain
HTTP, since it listens on an address of this machine that only its containers reach.
https://kubernetes.io/docs/reference/access-authn-authz/authentication/#webhook-token-authentication
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ADMINISTRATORS = "system:masters"


@dataclass(frozen=True)
class User:
    """Whom the API server takes the caller for."""

    name: str
    groups: tuple[str, ...] = (ADMINISTRATORS,)


Judge = Callable[[str], User | None]


class TokenWebhook:
    """`users`: the names of those let in, in order; "" is a refusal."""

    def __init__(self, address: str) -> None:
        self._judges: list[Judge] = []
        self.users: list[str] = []
        self._server = ThreadingHTTPServer((address, 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        address, port = self._server.server_address[:2]
        return f"http://{address}:{port}/authenticate"

    def kubeconfig(self) -> str:
        """What `--authentication-token-webhook-config-file` names."""
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "webhook",
                "clusters": [{"name": "webhook", "cluster": {"server": self.url}}],
                "users": [{"name": "api-server"}],
                "contexts": [{"name": "webhook", "context": {"cluster": "webhook", "user": "api-server"}}],
            }
        )

    @contextmanager
    def serving(self) -> Iterator[TokenWebhook]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    @contextmanager
    def asking(self, judge: Judge) -> Iterator[None]:
        """The judge is one of those asked, until the block ends."""
        self._judges.append(judge)
        try:
            yield
        finally:
            self._judges.remove(judge)

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Nobody is known, until the block ends."""
        judges, self._judges = self._judges, []
        try:
            yield
        finally:
            self._judges = judges

    def review(self, asked: dict[str, Any]) -> dict[str, Any]:
        token = asked["spec"]["token"]
        user = next((found for judge in tuple(self._judges) if (found := judge(token))), None)
        self.users.append(user.name if user else "")
        if user is None:
            status: dict[str, Any] = {"authenticated": False}
        else:
            status = {"authenticated": True, "user": {"username": user.name, "groups": list(user.groups)}}
        return {"apiVersion": asked["apiVersion"], "kind": "TokenReview", "status": status}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body = json.dumps(webhook.review(asked)).encode()
                self.send_response_only(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
