"""The stand-in as one service behind a front: which call it is, whether it is well-formed, whose turn it is to answer."""

from __future__ import annotations

import base64
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.certificates import self_signed
from tests.clouds.front import Fault, HttpReply, HttpRequest
from tests.clouds.gcp import discovery, gke
from tests.clouds.gcp.answers import Refusal, invalid
from tests.clouds.gcp.compute import ROOT, Compute
from tests.clouds.gcp.discovery import Invalid
from tests.clouds.gcp.files import Files
from tests.clouds.gcp.gke import Gke
from tests.clouds.gcp.iam import OWNER, Iam

PROJECT = "acme-shop"
TOKEN = "sts.token"
FILES = "/file"
APIS = ("container", "compute", "iam", "cloudresourcemanager", "serviceusage", "file", "dns")


class GoogleCloud:
    """One project. `violations`: requests and replies that do not fit Google's documents; a test wants none.

    `endpoint`, `ca` (base64 of the PEM): those of a real cluster that every cluster here is said to have; without them an
    address that nobody has, and a certificate that is real and nobody's.
    """

    def __init__(self, endpoint: str = "203.0.113.7", ca: str = "") -> None:
        self.ca = ca or certificate()
        self.violations: list[str] = []
        self.denied: dict[str, str] = {}
        self.iam = Iam(PROJECT)
        self.compute = Compute(PROJECT, lambda link: self.gke.network_in_use(link))
        self.files = Files(PROJECT)
        self.gke = Gke(PROJECT, self.compute, self.iam, endpoint, self.ca)
        # what is there before us, and must be as it was afterwards
        self._theirs = {
            self.compute.put("global", "networks", "default", autoCreateSubnetworks=True),
            self.compute.put(
                "global",
                "firewalls",
                "k8s-fw-theirs",
                network=f"{ROOT}/projects/{PROJECT}/global/networks/default",
            ),
            self.compute.put("zones/us-central1-a", "disks", "theirs", sizeGb="10", labels={"app": "theirs"}),
        }

    # -- Service ---------------------------------------------------------------------------------------------------

    def name(self, request: HttpRequest) -> str:
        if request.path == "/token":
            return TOKEN
        found = _match(request)
        return found.id if found else f"{request.method} {request.path}"

    def answer(self, request: HttpRequest) -> HttpReply:
        try:
            return _reply(200, self._answer(request))
        except Invalid as error:
            self.violations.append(f"{self.name(request)}: {error}")
            return _refused(invalid(str(error)))
        except Refusal as refusal:
            return _refused(refusal)

    def refusal(self, fault: Fault, request: HttpRequest) -> HttpReply:
        if fault is Fault.THROTTLE:
            # https://cloud.google.com/apis/design/errors
            return _refused(
                Refusal(
                    429,
                    "Quota exceeded for quota metric 'Requests'",
                    status="RESOURCE_EXHAUSTED",
                    reason="rateLimitExceeded",
                )
            )
        if fault is Fault.SERVER_ERROR:
            return _refused(Refusal(500, "Internal error encountered.", status="INTERNAL", reason="backendError"))
        if request.path == "/token":
            return _reply(400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."})
        return _refused(_unauthenticated())

    def leftovers(self) -> list[str]:
        clusters = [f"cluster {name}" for name in self.gke.clusters]
        pools = [
            f"pool {pool['name']} of {name}"
            for name, cluster in self.gke.clusters.items()
            for pool in cluster.get("nodePools", [])
        ]
        objects = [
            f"{link.split('/')[-2]} {link.split('/')[-1]}" for link in self.compute.objects if link not in self._theirs
        ]
        bindings = [
            f"binding {binding['role']} {member}"
            for binding in self.iam.policy["bindings"]
            if binding != OWNER
            for member in binding["members"]
        ]
        missing = [f"missing {link}" for link in self._theirs if link not in self.compute.objects]
        owner = [] if OWNER in self.iam.policy["bindings"] else ["missing the owner's binding"]
        return [
            *clusters,
            *pools,
            *objects,
            *(f"account {email}" for email in self.iam.accounts),
            *bindings,
            *(f"share {name}" for name in self.files.instances),
            *missing,
            *owner,
        ]

    # -- plumbing --------------------------------------------------------------------------------------------------

    def _answer(self, request: HttpRequest) -> dict[str, Any]:
        if request.path == "/token":
            return self.iam.issue(request.body)
        found = _match(request)
        if found is None:
            raise Invalid(f"no such method: {request.method} {request.path}")
        if not self.iam.knows(request.headers.get("authorization", "")):
            raise _unauthenticated()
        query = discovery.check_query(found.method, request.query)
        body = json.loads(request.body) if request.body else {}
        verb = ".".join(found.id.split(".")[-2:])
        if found.method.document == "container.v1":
            body = gke.normal(verb, body)
        discovery.check_body(found.method, body)
        if found.id in self.denied:
            raise Refusal(403, self.denied[found.id], status="PERMISSION_DENIED", reason="forbidden")
        answer = self._of(found, query, body)
        try:
            discovery.check_reply(found.method, answer)
        except Invalid as error:
            self.violations.append(f"reply to {found.id}: {error}")
        return answer

    def _of(self, found: discovery.Match, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        match found.method.document:
            case "container.v1":
                if found.id.endswith((".get", ".list")):
                    self.gke.tick()
                return self.gke.answer(found, body)
            case "compute.v1":
                self.compute.tick()
                return self.compute.answer(found, query, body)
            case "serviceusage.v1":
                return self._services()
            case "file.v1":
                return self.files.answer(found, query)
            case "dns.v1":
                # this project has no zones; Cloud DNS has a stand-in of its own in tests/contract/dns
                return {"managedZones": []}
            case _:
                return self.iam.answer(found, query, body)

    def _services(self) -> dict[str, Any]:
        def state(api: str) -> str:
            return "DISABLED" if api in self.iam.disabled else "ENABLED"

        return {
            "services": [{"name": f"projects/123/services/{api}.googleapis.com", "state": state(api)} for api in APIS]
        }


@cache
def certificate() -> str:
    """Base64 of a PEM."""
    with TemporaryDirectory() as folder:
        return base64.b64encode(self_signed(Path(folder))[0].read_bytes()).decode()


def _match(request: HttpRequest) -> discovery.Match | None:
    """Filestore's operations have the same paths as GKE's; its endpoint is FILES here, where Google has another host."""
    if request.path.startswith(f"{FILES}/"):
        return discovery.match(request.method, request.path.removeprefix(FILES), "file.v1")
    return discovery.match(request.method, request.path)


def _unauthenticated() -> Refusal:
    return Refusal(
        401,
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential.",
        status="UNAUTHENTICATED",
        reason="authError",
    )


def _refused(refusal: Refusal) -> HttpReply:
    return _reply(refusal.code, refusal.body)


def _reply(status: int, body: dict[str, Any]) -> HttpReply:
    return HttpReply(status, json.dumps(body).encode(), {"Content-Type": "application/json; charset=UTF-8"})
