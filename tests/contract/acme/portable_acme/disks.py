"""Disks that outlive their cluster: what they hold, what they cost, and how the next cluster finds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portable.errors import ProviderError
from portable.provider import KubeObject
from portable_acme.account import acme

COST = "0.01 acorns per hour"


def of(cluster: str, namespace: str = "") -> list[dict[str, Any]]:
    with acme() as client:
        disks = [disk for disk in client.list("disks") if disk["cluster"] == cluster]
    return [disk for disk in disks if not namespace or disk["claim"].partition("/")[0] == namespace]


def kept(cluster: str, namespace: str) -> Sequence[str]:
    return [f"{disk['claim']} ({COST})" for disk in of(cluster, namespace) if disk["claim"]]


def delete(cluster: str, namespace: str) -> None:
    with acme() as client:
        for disk in of(cluster, namespace):
            if disk["claim"]:
                client.delete("disks", disk["name"])


def persistent_volumes(cluster: str, namespace: str) -> Sequence[KubeObject]:
    """Raises ProviderError where two disks belong to one claim: which of them it would get is a person's to say."""
    disks: dict[str, list[dict[str, Any]]] = {}
    for disk in of(cluster, namespace):
        if disk["claim"]:
            disks.setdefault(disk["claim"], []).append(disk)
    for claim, same in disks.items():
        if len(same) > 1:
            names = ", ".join(disk["name"] for disk in same)
            raise ProviderError(f"{len(same)} disks belong to {claim}: {names}", fix="delete those that are not wanted")
    return [_volume(disk) for (disk,) in disks.values()]


def _volume(disk: dict[str, Any]) -> KubeObject:
    namespace, _, claim = disk["claim"].partition("/")
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": disk["name"]},
        "spec": {
            "capacity": {"storage": disk["size"]},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "acme-disk",
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim},
            "csi": {"driver": "disk.acme.example", "volumeHandle": disk["name"]},
        },
    }
