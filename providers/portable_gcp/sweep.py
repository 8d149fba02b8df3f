"""What carries a cluster's marks and is still there: found, named, removed."""

from __future__ import annotations

from typing import Any

from portable.errors import PortableError
from portable.events import Emit
from portable.provider import Leftover
from portable_gcp import cluster as clusters
from portable_gcp import compute, kept, leftovers, naming, ownership, shares
from portable_gcp.account import NodeAccount
from portable_gcp.network import Network
from portable_gcp.place import Place
from portable_gcp.session import Google

NETWORK = "network"
ACCOUNT = "service account"


def find(google: Google, place: Place, name: str) -> list[Leftover]:
    """Disks with data, and, where there is no cluster any more, what was made for it. Things of a live cluster are none."""
    found = [
        Leftover("disk", disk.link, disk.words, data=True, cost=disk.cost) for disk in kept.disks(google, place, name)
    ]
    found += [
        Leftover(shares.KIND, share.name, share.words, data=True, cost=share.cost)
        for share in shares.shares(google, place, name)
    ]
    if clusters.find(google, place, name) is not None:
        return found
    network = compute.get(google, "networks", project=place.project, name=naming.network(name))
    if network is not None and ownership.marked(network, _known(place, name)):
        parts = leftovers.in_network(google, place.project, network["selfLink"])
        found += [Leftover(part.kind, part.link, part.name) for part in parts]
        subnets = _subnetworks(google, place, name)
        found += [Leftover(kind, live["selfLink"], live["name"]) for kind, live in subnets]
        found.append(Leftover(NETWORK, network["selfLink"], network["name"]))
    account = _account(place, name)
    if NodeAccount(google).read("", account, account) is not None:
        found.append(Leftover(ACCOUNT, naming.email(place.project, account["name"])))
    return found


def remove(google: Google, place: Place, name: str, leftover: Leftover, emit: Emit) -> str:
    """Empty when it is gone, else why it is not."""
    try:
        if leftover.kind == ACCOUNT:
            account = _account(place, name)
            NodeAccount(google).delete(account["name"], account, emit)
        elif leftover.kind == NETWORK:
            known = {**_known(place, name), "name": naming.network(name)}
            Network(google).delete(known["name"], known, emit)
        elif leftover.kind == shares.KIND:
            shares.delete(google, leftover.id, emit)
        else:
            compute.delete_link(google, leftover.id, emit)
    except PortableError as error:
        return error.message
    return ""


def _subnetworks(google: Google, place: Place, name: str) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for kind in ("routers", "subnetworks"):
        live = compute.get(google, kind, project=place.project, region=place.region, name=naming.network(name))
        if live is not None and ownership.marked(live, _known(place, name)):
            found.append((kind.removesuffix("s"), live))
    return found


def _known(place: Place, name: str) -> dict[str, Any]:
    return {"project": place.project, "region": place.region, "cluster": name}


def _account(place: Place, name: str) -> dict[str, Any]:
    return {**_known(place, name), "name": naming.account(name)}
