"""Where a side's routes answer, whatever DNS says: as seen from this machine, and from other clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from portable.compile.objects import RouteTarget, reference
from portable.errors import ClusterError
from portable.migrate.sides import Side
from portable.provider import KubeObject, Routes

INGRESS = ("networking.k8s.io/v1", "Ingress")


@dataclass(frozen=True)
class Place:
    """`address` (a name or an IP) and `port` of what answers for `host`. `path`: of the first route there."""

    host: str
    address: str
    port: int
    tls: bool
    path: str = "/"


def asked_as(host: str) -> str:
    """A name that a wildcard covers, and any other as it is."""
    return host.replace("*", "www", 1)


def places(side: Side) -> tuple[Place, ...]:
    """One for each route, as seen from this machine. Raises ClusterError while a load balancer has no address."""
    provider = side.app.provider
    if isinstance(provider, Routes):
        routes = side.objects.routes
        found = provider.addresses(side.app.app.cluster, [(r.host, r.path, r.tls) for r in routes])
        return tuple(_local(route, at.url) for route, at in zip(routes, found, strict=True))
    addresses = load_balancers(side)
    return tuple(_outside(route, addresses) for route in side.objects.routes)


def _local(route: RouteTarget, url: str) -> Place:
    """Such names lead to this machine, also where nobody has told its resolver."""
    port = urlsplit(url).port or (443 if route.tls else 80)
    return Place(route.host, "127.0.0.1", port, route.tls, route.path)


def _outside(route: RouteTarget, addresses: Mapping[str, str]) -> Place:
    return Place(route.host, addresses[route.host], 443 if route.tls else 80, route.tls, route.path)


def load_balancers(side: Side) -> dict[str, str]:
    """host -> address of the load balancer that serves it, from the status of the side's Ingress objects."""
    found = _addresses(side)
    if lacking := _lacking(side, found):
        raise ClusterError(
            f"the load balancer of {', '.join(lacking)} on {side} has no address yet",
            fix="wait for it: `kubectl describe ingress` says how far it is",
        )
    return found


def unserved(side: Side) -> list[str]:
    """The hosts whose load balancer has no address yet."""
    return _lacking(side, _addresses(side))


def _lacking(side: Side, found: Mapping[str, str]) -> list[str]:
    return sorted({route.host for route in side.objects.routes} - set(found))


def _addresses(side: Side) -> dict[str, str]:
    found: dict[str, str] = {}
    for ingress in ingresses(side):
        points = ingress.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
        address = points[0].get("hostname") or points[0].get("ip")
        if address:
            found |= {rule["host"]: address for rule in ingress["spec"].get("rules", ()) if rule.get("host")}
    return found


def ingresses(side: Side) -> list[KubeObject]:
    """The app's own, by name: controllers may have made others from them."""
    compiled = [reference(item.manifest) for item in side.objects.items]
    names = sorted(found.name for found in compiled if (found.api_version, found.kind) == INGRESS)
    live = [side.kube.get(*INGRESS, name, side.namespace) for name in names]
    return [found for found in live if found is not None]
