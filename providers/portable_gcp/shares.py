"""Filestore shares: shared volumes that outlive their app or their cluster. https://cloud.google.com/filestore/docs/reference/rest/v1"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portable.events import Emit
from portable.provider import KubeObject
from portable_gcp import naming
from portable_gcp.operations import rest_done
from portable_gcp.place import Place
from portable_gcp.profile import SHARE_DRIVER, SHARES
from portable_gcp.session import Google, Refused

# Dollars per GiB and month: https://cloud.google.com/filestore/pricing (basic HDD, us-west1, 2025)
PRICE = 0.20
KIND = "Filestore share"
_MINUTES = 1800.0
# https://github.com/kubernetes-sigs/gcp-filestore-csi-driver gives its instances these labels.
_CLAIM = "kubernetes_io_created-for_pvc_name"
_NAMESPACE = "kubernetes_io_created-for_pvc_namespace"
_VOLUME = "kubernetes_io_created-for_pv_name"


@dataclass(frozen=True)
class Share:
    """`name`: "projects/P/locations/L/instances/I". `size` in GiB; `address` and `share`: where it is mounted from."""

    name: str
    namespace: str
    claim: str
    volume: str
    size: int
    address: str
    share: str

    @property
    def cost(self) -> str:
        return f"about ${self.size * PRICE:.2f} a month"

    @property
    def words(self) -> str:
        return f"{self.namespace}/{self.claim} ({self.size} GiB, shared, {self.cost})"


def shares(google: Google, place: Place, cluster: str, namespace: str = "") -> list[Share]:
    """Of one namespace, or of all of the cluster for "", in its region. None where the project never had any: Filestore's API is off."""
    query: dict[str, Any] = {"filter": f'labels.{naming.LABEL}="{naming.stack(cluster)}"'}
    found: list[Share] = []
    while True:
        try:
            page = google.rest("file.projects.locations.instances.list", None, query, project=place.project)
        except Refused as refusal:
            if refusal.status == 403:
                return []
            raise
        found += [_share(live) for live in page.get("instances", []) if _CLAIM in live.get("labels", {})]
        if not page.get("nextPageToken"):
            return [
                share for share in found if namespace in ("", share.namespace) and place.holds(_location(share.name))
            ]
        query["pageToken"] = page["nextPageToken"]


def delete(google: Google, name: str, emit: Emit) -> None:
    """`name` as in `Share`. Returns once it is gone."""
    _, project, _, location, _, instance = name.split("/")
    try:
        operation = google.rest(
            "file.projects.locations.instances.delete", project=project, location=location, name=instance
        )
    except Refused as refusal:
        if refusal.status == 404:
            return
        raise

    rest_done(
        google,
        "file",
        operation,
        {"project": project, "location": location},
        what=f"deleting the {KIND} {instance}",
        emit=emit,
        timeout=_MINUTES,
        usual="2-5 min",
        step="data",
    )


def persistent_volume(share: Share) -> KubeObject:
    """https://cloud.google.com/filestore/docs/csi-driver#access"""
    location, instance = _location(share.name), share.name.rpartition("/")[2]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": share.volume},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "capacity": {"storage": f"{share.size}Gi"},
            "storageClassName": SHARES,
            "persistentVolumeReclaimPolicy": "Delete",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": share.namespace,
                "name": share.claim,
            },
            "csi": {
                "driver": SHARE_DRIVER,
                "volumeHandle": f"modeInstance/{location}/{instance}/{share.share}",
                "volumeAttributes": {"ip": share.address, "volume": share.share},
            },
        },
    }


def _location(name: str) -> str:
    """A zone, or of the larger tiers a region."""
    return name.split("/")[3]


def _share(live: dict[str, Any]) -> Share:
    labels, files = live["labels"], (live.get("fileShares") or [{}])[0]
    networks = live.get("networks") or [{}]
    return Share(
        name=live["name"],
        namespace=labels.get(_NAMESPACE, ""),
        claim=labels[_CLAIM],
        volume=labels.get(_VOLUME, live["name"].rpartition("/")[2]),
        size=int(files.get("capacityGb", 0)),
        address=(networks[0].get("ipAddresses") or [""])[0],
        share=files.get("name", ""),
    )
