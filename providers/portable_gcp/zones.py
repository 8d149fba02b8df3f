"""The zones of a node pool. GKE counts a pool's nodes per zone, and a disk is in one zone: where none of its cluster's nodes is
in that zone any more, the pods that want the disk never start."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from portable_gcp import compute, kept
from portable_gcp.place import Place
from portable_gcp.session import Google

MOST = 3


def of_region(google: Google, place: Place) -> list[str]:
    """The zones of a region that clusters are spread over: three at most, by name."""
    found = google.rest("compute.regions.get", project=place.project, region=place.region)
    return sorted(link.rpartition("/")[2] for link in found.get("zones", []))[:MOST]


def with_volumes(google: Google, place: Place, cluster: str) -> set[str]:
    """Where the cluster's disks are, whether a pod has them now or not."""
    return {compute.parse(disk.link)["where"] for disk in kept.disks(google, place, cluster)}


def fixed(
    count: int, region: Sequence[str], live: Sequence[str] = (), nodes: int = 0, held: Collection[str] = ()
) -> list[str]:
    """The zones of a pool of exactly `count` nodes, sorted: as many as divide it.

    `live`, `nodes`: where the pool is, with how many nodes in all. `held`: zones with volumes. A live zone with volumes is
    never left, and zones are added only where that makes no more nodes than were there or are asked for. Empty if none fit.
    """
    ranked = sorted({*live, *region}, key=lambda zone: (zone not in live, zone not in held, zone))
    needed = set(live) & set(held)
    for many in range(len(region), 0, -1):
        chosen = set(ranked[:many])
        crowded = chosen - set(live) and count >= nodes and nodes * many > count * len(live)
        if count % many == 0 and needed <= chosen and not crowded:
            return sorted(chosen)
    return []
