"""Volumes that outlive their app or their cluster: found by our label, and by the claim that their driver notes in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from portable.errors import ProviderError
from portable.events import Emit, Step
from portable.provider import KubeObject
from portable_gcp import compute, naming, shares
from portable_gcp.place import Place
from portable_gcp.profile import DISK_DRIVER, DISKS, ZONE_KEY
from portable_gcp.session import Google

# Dollars per GiB and month: https://cloud.google.com/compute/disks-image-pricing (pd-balanced, us-central1, 2025)
PRICE = 0.10
# https://github.com/kubernetes-sigs/gcp-compute-persistent-disk-csi-driver writes these into a disk's description.
_CLAIM = "kubernetes.io/created-for/pvc/name"
_NAMESPACE = "kubernetes.io/created-for/pvc/namespace"
_VOLUME = "kubernetes.io/created-for/pv/name"


@dataclass(frozen=True)
class Disk:
    """`size` in GiB. `volume`: the PersistentVolume that it was."""

    link: str
    namespace: str
    claim: str
    volume: str
    size: int
    attached: bool

    @property
    def cost(self) -> str:
        return f"about ${self.size * PRICE:.2f} a month"

    @property
    def words(self) -> str:
        return f"{self.namespace}/{self.claim} ({self.size} GiB, {self.cost})"


def disks(google: Google, place: Place, cluster: str, namespace: str = "") -> list[Disk]:
    """Of one namespace, or of all of the cluster for "", by claim. Those in its region: a cluster of that name may have been in
    another before, and from here its disks could not be attached."""
    mark = f"labels.{naming.LABEL}={naming.stack(cluster)}"
    found = [_disk(entry) for entry in compute.listed(google, "compute.disks.aggregatedList", place.project, mark)]
    ours = [
        disk
        for disk in found
        if disk is not None and namespace in ("", disk.namespace) and place.holds(compute.parse(disk.link)["where"])
    ]
    return sorted(ours, key=lambda disk: (disk.namespace, disk.claim, disk.link))


def words(google: Google, place: Place, cluster: str, namespace: str) -> list[str]:
    """ "NAMESPACE/CLAIM (...)" of each, with what keeping it costs."""
    found = [*disks(google, place, cluster, namespace), *shares.shares(google, place, cluster, namespace)]
    return [volume.words for volume in found]


def delete(google: Google, place: Place, cluster: str, namespace: str, emit: Emit) -> None:
    """A disk that is still attached is waited for: its node lets go of it within minutes."""
    for disk in disks(google, place, cluster, namespace):
        emit(Step("data", "progress", detail=f"deleting the disk of {disk.namespace}/{disk.claim}"))
        compute.delete_link(google, disk.link, emit)
    for share in shares.shares(google, place, cluster, namespace):
        emit(Step("data", "progress", detail=f"deleting the share of {share.namespace}/{share.claim}"))
        shares.delete(google, share.name, emit)


def persistent_volumes(google: Google, place: Place, cluster: str, namespace: str) -> list[KubeObject]:
    """A volume for each disk that nothing uses and for each share, bound to its claim before anything else can take it.

    Raises ProviderError for two of one claim: which of them has the data that is wanted is not ours to guess.
    """
    free = [disk for disk in disks(google, place, cluster, namespace) if not disk.attached]
    found = shares.shares(google, place, cluster, namespace)
    names: dict[str, list[str]] = {}
    for volume, name in [*((disk, disk.link) for disk in free), *((share, share.name) for share in found)]:
        names.setdefault(f"{volume.namespace}/{volume.claim}", []).append(name)
    for claim, of_claim in names.items():
        if len(of_claim) > 1:
            raise ProviderError(
                f"{len(of_claim)} kept volumes belong to {claim}",
                detail="; ".join(of_claim),
                fix="keep the one with the data that is wanted, delete the others (`gcloud compute disks delete`, or "
                "`gcloud filestore instances delete` for a share), then run the same command again",
            )
    return [*map(_volume, free), *map(shares.persistent_volume, found)]


def _disk(live: dict[str, Any]) -> Disk | None:
    """None for one that no claim asked for."""
    try:
        noted = json.loads(live.get("description", ""))
    except ValueError:
        return None
    if not isinstance(noted, dict) or _CLAIM not in noted:
        return None
    return Disk(
        link=live["selfLink"],
        namespace=noted.get(_NAMESPACE, ""),
        claim=noted[_CLAIM],
        volume=noted.get(_VOLUME, live["name"]),
        size=int(live["sizeGb"]),
        attached=bool(live.get("users")),
    )


def _volume(disk: Disk) -> KubeObject:
    place = compute.parse(disk.link)
    in_zone = {"key": ZONE_KEY, "operator": "In", "values": [place["where"]]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": disk.volume},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": f"{disk.size}Gi"},
            "storageClassName": DISKS,
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": disk.namespace,
                "name": disk.claim,
            },
            "csi": {
                "driver": DISK_DRIVER,
                "fsType": "ext4",
                "volumeHandle": f"projects/{place['project']}/zones/{place['where']}/disks/{place['name']}",
            },
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [in_zone]}]}},
        },
    }
