"""`outputs`: what other programs may want to know of a deployed app: names, ports, URLs. Never a secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from portable.compile.objects import Objects
from portable.provider import RouteAddress, Routes
from portable.target import Request, Target, compile_target, open_target


@dataclass(frozen=True)
class Address:
    """Where a workload's route answers; `note` is what has to be true for it."""

    workload: str
    route: str
    url: str
    note: str = ""


def outputs(request: Request) -> dict[str, str]:
    """Output name -> value: "resources.db.host" and, for each route, "workloads.web.routes.shop.url" and, once it has an address,
    the ".record" that leads there."""
    from portable.dns.routes import record_outputs

    target = open_target(request, images=False)
    objects = compile_target(target)
    urls = {f"workloads.{at.workload}.routes.{at.route}.url": at.url for at in addresses(target, objects)}
    return dict(sorted({**objects.outputs, **urls, **record_outputs(target, objects)}.items()))


def addresses(target: Target, objects: Objects) -> list[Address]:
    """Every route's address: the provider's word where it knows how routes are reached, else the route's own host."""
    routes = objects.routes
    found: Sequence[RouteAddress]
    if isinstance(target.provider, Routes):
        found = target.provider.addresses(target.app.cluster, [(r.host, r.path, r.tls) for r in routes])
    else:
        found = [RouteAddress(f"{'https' if r.tls else 'http'}://{r.host}{r.path}") for r in routes]
    return [Address(r.workload, r.name, at.url, at.note) for r, at in zip(routes, found, strict=True)]
