"""Compute Engine objects by REST: made once, removed surely. https://cloud.google.com/compute/docs/reference/rest/v1"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from portable.errors import ProviderError
from portable.events import Emit
from portable.polling import Pending, poll
from portable_gcp.session import Google, Refused

_MINUTES = 900.0
# Not for ever: something that is being made or removed stands in the way.
_PASSING = (
    "resourceNotReady",
    "resourceInUseByAnotherResource",
    "RESOURCE_NOT_READY",
    "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE",
)
_LINK = re.compile(
    r".*/projects/(?P<project>[^/]+)/(?P<scope>global|regions|zones)(?:/(?P<where>[^/]+))?/(?P<kind>\w+)/(?P<name>[^/]+)"
)
_BY_SCOPE = {"global": "globalOperations", "regions": "regionOperations", "zones": "zoneOperations"}


def get(google: Google, kind: str, **where: str) -> dict[str, Any] | None:
    """None where there is none. `kind`: "networks"; `where`: project, name, and a region where it has one."""
    try:
        return google.rest(f"compute.{kind}.get", **where)
    except Refused as refusal:
        if refusal.status == 404:
            return None
        raise


def insert(google: Google, kind: str, body: dict[str, Any], emit: Emit, **where: str) -> dict[str, Any]:
    """The object of `body`, made, or found where an earlier run or a lost reply made it."""

    def make() -> dict[str, Any] | Pending:
        try:
            return change(google, f"compute.{kind}.insert", emit, body=body, **where) or {}
        except Refused as refusal:
            if refusal.status == 409:
                return {}
            if refusal.reason in _PASSING:
                return Pending(refusal.said)
            raise

    what = f"{kind.removesuffix('s')} {body['name']}"
    _poll(google, make, what, emit)

    def look() -> dict[str, Any] | Pending:
        # what a lost insert began may not be visible yet
        return get(google, kind, **where, name=body["name"]) or Pending("being made")

    return _poll(google, look, what, emit)


def change(google: Google, call: str, emit: Emit, *, body: Any = None, **where: str) -> dict[str, Any]:
    """A call that answers with an operation, which is waited for. Raises ProviderError with its reason where it failed."""
    operation = google.rest(call, body, **where)
    place = _LINK.fullmatch(operation["selfLink"])
    if place is None:
        raise ProviderError(f"{call}: Google named an operation that cannot be followed", detail=str(operation))
    asked = f"compute.{_BY_SCOPE[place['scope']]}.get"
    scope = {"regions": {"region": place["where"]}, "zones": {"zone": place["where"]}}.get(place["scope"], {})

    def look() -> dict[str, Any] | Pending:
        found = google.rest(asked, project=place["project"], name=place["name"], **scope)
        return found if found.get("status") == "DONE" else Pending(str(found.get("status", "")).lower())

    done = _poll(google, look, call, emit)
    errors = done.get("error", {}).get("errors", [])
    if errors:
        said = "; ".join(error.get("message", error.get("code", "")) for error in errors)
        raise Refused(
            f"{call} failed: {said}",
            status=int(done.get("httpErrorStatusCode", 400)),
            reason=str(errors[0].get("code", "")),
            said=said,
            fix="then run the same command again",
        )
    return done


def delete(google: Google, call: str, emit: Emit, **where: str) -> None:
    """What is gone already is fine; what is still in use is waited for, with a bound."""

    def remove() -> bool | Pending:
        try:
            change(google, call, emit, **where)
        except Refused as refusal:
            if refusal.status == 404:
                return True
            if refusal.reason in _PASSING:
                return Pending(refusal.said)
            raise
        return True

    _poll(google, remove, f"{call} {where.get('name', '')}", emit)


def delete_link(google: Google, link: str, emit: Emit) -> None:
    """Deletes what a link names, whatever kind of ours it is."""
    place = parse(link)
    scope = {"regions": "region", "zones": "zone"}.get(place["scope"])
    where = {scope: place["where"]} if scope else {}
    delete(google, _delete_call(place), emit, project=place["project"], name=place["name"], **where)


def parse(link: str) -> dict[str, str]:
    """project, scope ("global", "regions", "zones"), where, kind, name of an object's link."""
    match = _LINK.fullmatch(link)
    if match is None:
        raise ProviderError(f"{link!r} is no link to an object of Compute Engine")
    return {key: value or "" for key, value in match.groupdict().items()}


def listed(google: Google, call: str, project: str, filter: str = "") -> Iterator[dict[str, Any]]:
    """Every object of a list or an aggregated list, page by page."""
    query: dict[str, Any] = {"filter": filter} if filter else {}
    while True:
        page = google.rest(call, None, query, project=project)
        found = page.get("items", [])
        for scoped in found.values() if isinstance(found, dict) else [found]:
            kind = call.split(".")[1]
            yield from scoped.get(kind, []) if isinstance(scoped, dict) else scoped
        if not page.get("nextPageToken"):
            return
        query["pageToken"] = page["nextPageToken"]


def _delete_call(place: dict[str, str]) -> str:
    """Most kinds have a name of their own for the scope that came later."""
    kind, scope = place["kind"], place["scope"]
    if kind == "forwardingRules" and scope == "global":
        return "compute.globalForwardingRules.delete"
    later = scope == "regions" and kind in (
        "targetHttpProxies",
        "targetHttpsProxies",
        "urlMaps",
        "backendServices",
        "healthChecks",
    )
    return f"compute.region{kind[0].upper()}{kind[1:]}.delete" if later else f"compute.{kind}.delete"


def _poll(google: Google, check: Any, what: str, emit: Emit) -> Any:
    pace = google.pace
    # these take seconds, where clusters take minutes
    return poll(check, what=what, timeout=_MINUTES, emit=emit, interval=pace.poll / 5, sleep=pace.sleep)
