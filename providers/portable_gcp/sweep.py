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
    kept_shares = shares.shares(google, place, name)
    found += [Leftover(shares.KIND, share.name, share.words, data=True, cost=share.cost) for share in kept_shares]
    if clusters.find(google, place, name) is not None:
        return found
    network = compute.get(google, "networks", project=place.project, name=naming.network(name))
    if network is not None and ownership.marked(network, _known(place, name)):
        parts = leftovers.in_network(google, place.project, network["selfLink"])
        found += [Leftover(part.kind, part.link, part.name) for part in parts]
        subnets = _subnetworks(google, place, name)
        found += [Leftover(kind, live["selfLink"], live["name"]) for kind, live in subnets]
        # a share is reached through the network that it was made in, so that one is kept with its data
        found.append(Leftover(NETWORK, network["selfLink"], network["name"], data=bool(kept_shares)))
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
            return _remove_network(google, {**_known(place, name), "name": naming.network(name)}, emit)
        elif leftover.kind == shares.KIND:
            shares.delete(google, leftover.id, emit)
        else:
            compute.delete_link(google, leftover.id, emit)
    except PortableError as error:
        return error.message
    return ""


def _remove_network(google: Google, known: dict[str, Any], emit: Emit) -> str:
    network = Network(google)
    network.delete(known["name"], known, emit)
    if network.read(known["name"], known, known) is None:
        return ""
    return "Filestore is still connected to it; it can go some minutes after the last share in it has been deleted"


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
