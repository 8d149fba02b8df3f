"""Compute Engine: objects by their link, operations that take a while, and nothing deleted that something refers to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.clouds.gcp.answers import Refusal
from tests.clouds.gcp.discovery import Match

ROOT = "https://www.googleapis.com/compute/v1"
ZONES = ("a", "b", "c", "d")
REGIONS = ("europe-west1", "us-central1")
_OPERATIONS = ("globalOperations", "regionOperations", "zoneOperations")
# method group -> kind in a path, where they differ
_KINDS = {
    "globalForwardingRules": "forwardingRules",
    "regionTargetHttpProxies": "targetHttpProxies",
    "regionTargetHttpsProxies": "targetHttpsProxies",
    "regionUrlMaps": "urlMaps",
    "regionBackendServices": "backendServices",
    "regionHealthChecks": "healthChecks",
}


class Compute:
    """`objects`: link -> object. `polls`: how often an operation is asked for before it is done. `fail`: the next operation's error."""

    def __init__(self, project: str, in_use: Callable[[str], str]) -> None:
        self.project = project
        self.objects: dict[str, dict[str, Any]] = {}
        self.polls = 1
        self.fail: tuple[str, str] | None = None
        self.quotas = {"CPUS": (72, 4), "IN_USE_ADDRESSES": (8, 1)}
        self._in_use = in_use
        self._operations: dict[str, dict[str, Any]] = {}
        self._ids = iter(range(1000, 10**9))

    def answer(self, match: Match, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        _, group, verb = match.id.split(".")
        if match.path["project"] != self.project:
            raise Refusal(404, f"The resource 'projects/{match.path['project']}' was not found", reason="notFound")
        if group in _OPERATIONS:
            return self._operation(match.path["operation"])
        if group == "regions":
            return self._region(match.path["region"])
        kind = _KINDS.get(group, group)
        if verb == "aggregatedList":
            return {"kind": f"compute#{kind}AggregatedList", "items": self._aggregated(kind, query)}
        if verb == "list":
            return {"kind": f"compute#{kind}List", "items": list(self._listed(kind, query))}
        scope = self._scope(match.path)
        if verb == "insert":
            return self._insert(scope, kind, body)
        link = f"{ROOT}/{scope}/{kind}/{next(reversed(list(match.path.values())))}"
        found = self.objects.get(link)
        if found is None:
            raise Refusal(404, f"The resource '{link.removeprefix(ROOT)[1:]}' was not found", reason="notFound")
        if verb == "get":
            return {key: value for key, value in found.items() if not key.startswith("_")}
        self._ready(link)
        if verb == "delete":
            return self._delete(scope, link)
        if verb in ("patch", "setPrivateIpGoogleAccess"):
            found.update(body)
            return self._begin(scope, link, verb)
        raise AssertionError(f"the stand-in does not know {match.id}")

    # -- for tests: what controllers, drivers and people do ---------------------------------------------------------

    def put(self, scope: str, kind: str, name: str, **fields: Any) -> str:
        """An object made behind our back; returns its link. `scope`: "global", "regions/R", "zones/Z"."""
        link = f"{ROOT}/projects/{self.project}/{scope}/{kind}/{name}"
        self.objects[link] = {"name": name, "id": str(next(self._ids)), "selfLink": link, **fields}
        return link

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [found for link, found in self.objects.items() if link.split("/")[-2] == kind]

    # -- behaviour -------------------------------------------------------------------------------------------------

    def _insert(self, scope: str, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        link = f"{ROOT}/{scope}/{kind}/{body['name']}"
        if link in self.objects:
            raise Refusal(409, f"The resource '{link.removeprefix(ROOT)[1:]}' already exists", reason="alreadyExists")
        if "network" in body:
            body["network"] = self._resolve(body["network"])
        self.objects[link] = {**body, "id": str(next(self._ids)), "selfLink": link}
        return self._begin(scope, link, "insert")

    def _resolve(self, reference: str) -> str:
        link = f"{ROOT}/projects/{reference.partition('projects/')[2]}"
        if link not in self.objects:
            raise Refusal(404, f"The resource '{reference}' was not found", reason="notFound")
        self._ready(link)
        return link

    def _delete(self, scope: str, link: str) -> dict[str, Any]:
        user = next((other for other in self.objects if other != link and self._refers(other, link)), "")
        user = user or self._in_use(link)
        if user:
            raise Refusal(
                400,
                f"The {link.split('/')[-2]} resource '{link.removeprefix(ROOT)[1:]}' is already being used by '{user.removeprefix(ROOT)}'",
                reason="resourceInUseByAnotherResource",
            )
        return self._begin(scope, link, "delete")

    def _refers(self, other: str, link: str) -> bool:
        return f'"{link}"' in json.dumps({k: v for k, v in self.objects[other].items() if k != "selfLink"})

    def _ready(self, link: str) -> None:
        """An object that an operation works on is not to be touched."""
        for operation in self._operations.values():
            if operation["targetLink"] == link and operation["status"] != "DONE":
                raise Refusal(400, f"The resource '{link}' is not ready", reason="resourceNotReady")

    def _begin(self, scope: str, link: str, verb: str) -> dict[str, Any]:
        name = f"operation-{next(self._ids)}"
        operation = {
            "name": name,
            "id": str(next(self._ids)),
            "selfLink": f"{ROOT}/{scope}/operations/{name}",
            "targetLink": link,
            "operationType": verb,
            "status": "RUNNING",
            "_left": self.polls,
        }
        if self.fail:
            code, message = self.fail
            operation["_error"] = {"errors": [{"code": code, "message": message}]}
            self.fail = None
        self._operations[name] = operation
        return _shown(operation)

    def tick(self) -> None:
        """Time goes on with every call."""
        for operation in self._operations.values():
            if operation["status"] == "DONE":
                continue
            operation["_left"] -= 1
            if operation["_left"] <= 0:
                self._end(operation)

    def _end(self, operation: dict[str, Any]) -> None:
        operation["status"] = "DONE"
        failed = "_error" in operation
        if failed:
            operation["error"] = operation["_error"]
            operation["httpErrorStatusCode"] = 403
        if (operation["operationType"] == "delete") is not failed:
            self.objects.pop(operation["targetLink"], None)

    def _operation(self, name: str) -> dict[str, Any]:
        if name not in self._operations:
            raise Refusal(404, f"The resource '{name}' was not found", reason="notFound")
        return _shown(self._operations[name])

    def _region(self, region: str) -> dict[str, Any]:
        if region not in REGIONS:
            raise Refusal(
                404, f"The resource 'projects/{self.project}/regions/{region}' was not found", reason="notFound"
            )
        quotas = [{"metric": metric, "limit": limit, "usage": usage} for metric, (limit, usage) in self.quotas.items()]
        zones = [f"{ROOT}/projects/{self.project}/zones/{region}-{zone}" for zone in reversed(ZONES)]
        return {"name": region, "status": "UP", "zones": zones, "quotas": quotas}

    def _aggregated(self, kind: str, query: dict[str, str]) -> dict[str, Any]:
        scoped: dict[str, Any] = {"global": {"warning": {"code": "NO_RESULTS_ON_PAGE"}}}
        for found in self._listed(kind, query):
            scope = found["selfLink"].split(f"projects/{self.project}/")[1].rsplit("/", 2)[0]
            scoped.setdefault(scope, {}).setdefault(kind, []).append(found)
            scoped[scope].pop("warning", None)
        return scoped

    def _listed(self, kind: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        label, _, value = query.get("filter", "").removeprefix("labels.").partition("=")
        for found in self.of(kind):
            if not label or found.get("labels", {}).get(label) == value:
                yield found

    def _scope(self, path: dict[str, str] | Any) -> str:
        where = next((f"{key}s/{path[key]}" for key in ("region", "zone") if key in path), "global")
        return f"projects/{self.project}/{where}"


def _shown(operation: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in operation.items() if not key.startswith("_")}
