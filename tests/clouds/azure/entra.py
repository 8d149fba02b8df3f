"""Entra of the stand-in: a token for whoever has the right secret. Tokens are JWTs in form; nobody checks their signature."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import Any
from urllib.parse import parse_qs

from tests.clouds.front import HttpReply, HttpRequest

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"
SECRET = "not-a-real-secret"
CALLER = "33333333-3333-3333-3333-333333333333"
AKS_SERVER = "6dae42f8-4368-4678-94ff-3960e28e3630"
ARM = "https://management.azure.com"


class Entra:
    def __init__(self, lifetime: int = 3600) -> None:
        self.lifetime = lifetime
        self._issued: dict[str, str] = {}

    def accepts(self, token: str, audience: str) -> bool:
        """Whether the token was given out here for `audience` and is still good."""
        return self._issued.get(token) == audience and _claims(token)["exp"] > time.time()

    def configuration(self, request: HttpRequest) -> HttpReply:
        base = f"https://{request.headers['host']}/{TENANT}"
        document = {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
        }
        return HttpReply(200, json.dumps(document).encode(), {"Content-Type": "application/json"})

    def token(self, request: HttpRequest) -> HttpReply:
        form = {key: values[0] for key, values in parse_qs(request.body.decode()).items()}
        right = form.get("grant_type") == "client_credentials" and form.get("client_id") == CLIENT
        if not right or form.get("client_secret") != SECRET:
            return refused("AADSTS7000215: Invalid client secret provided.")
        audience = form["scope"].removesuffix("/.default").rstrip("/")
        token = self._made(audience)
        answer = {"token_type": "Bearer", "expires_in": self.lifetime, "access_token": token}
        return HttpReply(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def _made(self, audience: str) -> str:
        claims = {
            "aud": audience,
            "oid": CALLER,
            "tid": TENANT,
            "appid": CLIENT,
            "idtyp": "app",
            "exp": time.time() + self.lifetime,
            "jti": str(uuid.uuid4()),
        }
        token = ".".join(_encoded(part) for part in ({"alg": "none", "typ": "JWT"}, claims, "unsigned"))
        self._issued[token] = audience
        return token


def refused(words: str) -> HttpReply:
    body = {"error": "invalid_client", "error_description": words}
    return HttpReply(401, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
