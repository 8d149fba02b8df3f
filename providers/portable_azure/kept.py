"""Disks that outlive their cluster: they are in a resource group of their own, with tags that say whose claim they were.

The tags are the CSI driver's: https://github.com/kubernetes-sigs/azuredisk-csi-driver/blob/master/pkg/util
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portable.errors import ProviderError
from portable.events import Emit
from portable.polling import Pending, poll
from portable.provider import KubeObject
from portable.spec.model import Cluster
from portable_azure import names, operations, prices
from portable_azure.failures import code, told
from portable_azure.profile import DISK_CLASS, DISK_DRIVER
from portable_azure.session import Session

DISKS_API = "2024-03-02"
_CLAIM = "kubernetes.io-created-for-pvc-name"
_NAMESPACE = "kubernetes.io-created-for-pvc-namespace"
_VOLUME = "kubernetes.io-created-for-pv-name"
# A node lets go of a disk within minutes; a machine that is gone lets go of it at once.
_DETACHED = 600.0


@dataclass(frozen=True)
class Disk:
    """`id`: its resource id; `volume`: the PersistentVolume that it was; `zone`: "westeurope-1", or "" for none; `used`: by a node."""

    id: str
    name: str
    namespace: str
    claim: str
    volume: str
    gibibytes: int
    zone: str
    used: bool

    @property
    def cost(self) -> str:
        return prices.disk(self.gibibytes)


def disks(session: Session, cluster: str, namespace: str = "") -> list[Disk]:
    """Those of one namespace, or of all (""), sorted. Raises ProviderError."""
    from azure.core.exceptions import ResourceNotFoundError

    path = f"{names.group_id(session.subscription, names.data_group(cluster))}/providers/Microsoft.Compute/disks"
    with told("listing the kept disks"):
        try:
            found = [_disk(entry) for entry in session.list(path, DISKS_API) if _CLAIM in (entry.get("tags") or {})]
        except ResourceNotFoundError:
            return []
    chosen = [disk for disk in found if namespace in ("", disk.namespace)]
    return sorted(chosen, key=lambda disk: (disk.namespace, disk.claim, disk.name))


def data(session: Session, cluster: Cluster, namespace: str) -> tuple[str, ...]:
    if cluster.existing:
        return ()
    return tuple(
        f"{disk.namespace}/{disk.claim} ({disk.gibibytes} GiB, {disk.cost})"
        for disk in disks(session, cluster.name, namespace)
    )


def delete(session: Session, cluster: Cluster, namespace: str, emit: Emit) -> None:
    """Raises ProviderError for a disk that a node still holds."""
    for disk in [] if cluster.existing else disks(session, cluster.name, namespace):
        with told(f"deleting the disk {disk.name} of {disk.namespace}/{disk.claim}"):
            delete_disk(session, disk.id, emit)


def delete_disk(session: Session, disk_id: str, emit: Emit) -> None:
    """Fine where it is gone. Raises the SDK's errors, and ProviderError for a disk that a node goes on holding."""
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

    begin = session.resources.resources.begin_delete_by_id
    name = disk_id.rpartition("/")[2]

    def attempt() -> bool | Pending:
        try:
            operations.finish(
                session,
                lambda **resumed: begin(disk_id, api_version=DISKS_API, **resumed),
                what=f"deleting the disk {name}",
                emit=emit,
            )
        except ResourceNotFoundError:
            return True
        except HttpResponseError as error:
            if error.status_code == 409 and code(error) in ("OperationNotAllowed", "AttachDiskWhileBeingDetached"):
                return Pending("a node still holds it")
            raise
        return True

    poll(
        attempt,
        what=f"deleting the disk {name}",
        timeout=_DETACHED,
        emit=emit,
        interval=session.interval,
        sleep=session.sleep,
    )


def persistent_volumes(session: Session, cluster: Cluster, namespace: str) -> tuple[KubeObject, ...]:
    """Under the names that they had, for claims of which no disk is in use. Of two disks of one claim neither is taken: ProviderError
    says so."""
    known = [] if cluster.existing else disks(session, cluster.name, namespace)
    served = {(disk.namespace, disk.claim) for disk in known if disk.used}
    found = [disk for disk in known if (disk.namespace, disk.claim) not in served]
    claims = [(disk.namespace, disk.claim) for disk in found]
    for claim in claims:
        if claims.count(claim) > 1:
            same = ", ".join(disk.name for disk in found if (disk.namespace, disk.claim) == claim)
            raise ProviderError(
                f"two kept disks belong to {claim[0]}/{claim[1]}: {same}",
                fix=f"delete the one that is not wanted, in the resource group {names.data_group(cluster.name)}",
            )
    return tuple(map(_volume, found))


def _volume(disk: Disk) -> KubeObject:
    # https://github.com/kubernetes-sigs/azuredisk-csi-driver/blob/master/deploy/example/pv-azuredisk-csi.yaml
    zone = {"key": "topology.disk.csi.azure.com/zone", "operator": "In", "values": [disk.zone]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": disk.volume, "annotations": {"pv.kubernetes.io/provisioned-by": DISK_DRIVER}},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": f"{disk.gibibytes}Gi"},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": disk.namespace,
                "name": disk.claim,
            },
            "csi": {"driver": DISK_DRIVER, "volumeHandle": disk.id, "fsType": "ext4"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": DISK_CLASS,
        },
    }


def _disk(entry: dict[str, Any]) -> Disk:
    tags, zones = entry["tags"], entry.get("zones") or []
    return Disk(
        id=entry["id"],
        name=entry["name"],
        namespace=tags.get(_NAMESPACE, ""),
        claim=tags[_CLAIM],
        volume=tags.get(_VOLUME) or entry["name"],
        gibibytes=int(entry["properties"].get("diskSizeGB") or 0),
        zone=f"{names.location(entry['location'])}-{zones[0]}" if zones else "",
        # https://learn.microsoft.com/rest/api/compute/disks/get#diskstate ("Reserved": of a machine that is stopped)
        used=entry["properties"].get("diskState") in ("Attached", "Reserved", "Frozen"),
    )
