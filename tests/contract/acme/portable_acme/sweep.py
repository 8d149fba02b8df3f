"""What is left behind of a cluster: disks, and where the cluster is gone the network that it was in."""

from __future__ import annotations

from collections.abc import Sequence

from portable.provider import Leftover
from portable_acme import disks, resources
from portable_acme.account import acme, described

DISK, NETWORK = "disk", "network"


def leftovers(cluster: str) -> Sequence[Leftover]:
    """In the order in which they can be removed. Of a cluster that is there only its data: the rest is in use."""
    found = [
        Leftover(DISK, disk["name"], detail=disk["claim"], data=bool(disk["claim"]), cost=disks.COST)
        for disk in disks.of(cluster)
    ]
    with acme() as client:
        if described(client, "clusters", cluster) is not None:
            return [leftover for leftover in found if leftover.data]
        network = described(client, "networks", cluster)
    return [*found, Leftover(NETWORK, cluster)] if network is not None and resources.ours(network) else found


def remove(leftover: Leftover) -> str:
    """Empty when it is gone, else why it could not be removed."""
    if leftover.kind == NETWORK:
        resources.delete("networks", leftover.id)
        return ""
    with acme() as client:
        found = described(client, "disks", leftover.id)
        if found is not None and found.get("held"):
            return f"it is held by {found['held']}"
        if found is not None:
            client.delete("disks", leftover.id)
    return ""
