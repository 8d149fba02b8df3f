"""Disks of claims, which outlive an app and its cluster: found by the tags that the storage class has them made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portable.errors import ProviderError
from portable.events import Emit, Step
from portable.polling import Pending
from portable.provider import KubeObject
from portable_aws import prices
from portable_aws.ec2 import Raw, remove_held, tag_filters
from portable_aws.session import Sdk, as_dict
from portable_aws.sweep import CLAIM_TAG, NAMESPACE_TAG
from portable_aws.words import explained, unless_gone

DETACH_SECONDS = 600.0


def disks(sdk: Sdk, region: str, cluster: str, namespace: str) -> list[Raw]:
    """EC2's volumes of the claims of a namespace (empty: of all), by claim."""
    filters = [*tag_filters(cluster), {"Name": "status", "Values": ["creating", "available", "in-use"]}]
    if namespace:
        filters.append({"Name": f"tag:{NAMESPACE_TAG}", "Values": [namespace]})
    pages = sdk.ec2(region).get_paginator("describe_volumes").paginate(Filters=filters)
    found = [volume for page in pages for volume in page["Volumes"] if CLAIM_TAG in as_dict(volume.get("Tags"))]
    return sorted(found, key=lambda volume: (claim_of(volume), volume["VolumeId"]))


def claim_of(volume: Mapping[str, Any]) -> str:
    tags = as_dict(volume["Tags"])
    return f"{tags[NAMESPACE_TAG]}/{tags[CLAIM_TAG]}"


def kept(sdk: Sdk, region: str, cluster: str, namespace: str) -> list[str]:
    with explained(sdk):
        found = disks(sdk, region, cluster, namespace)
    return [f"{claim_of(disk)} ({disk['Size']} GiB: {prices.disk(disk['Size'])})" for disk in found]


def delete(sdk: Sdk, region: str, cluster: str, namespace: str, emit: Emit) -> None:
    """Waits for a disk that a node or the driver still holds. Raises ProviderError where it is not let go."""
    with explained(sdk):
        ec2 = sdk.ec2(region)
        for disk in disks(sdk, region, cluster, namespace):
            words = f"the disk {disk['VolumeId']} of {claim_of(disk)}"
            emit(Step("data", "progress", detail=f"deleting {words}"))
            if _let_go(sdk, region, disk["VolumeId"], words, emit):
                remove_held(sdk, lambda name=disk["VolumeId"]: ec2.delete_volume(VolumeId=name), words, emit)


def persistent_volumes(
    sdk: Sdk, region: str, cluster: str, namespace: str, driver: str, storage_class: str
) -> Sequence[KubeObject]:
    """Of disks that nothing uses: a live cluster has its own. Of two of one claim neither is taken: ProviderError says so."""
    with explained(sdk):
        found = [disk for disk in disks(sdk, region, cluster, namespace) if disk["State"] == "available"]
    names: dict[str, list[str]] = {}
    for disk in found:
        names.setdefault(claim_of(disk), []).append(disk["VolumeId"])
    for claim, same in names.items():
        if len(same) > 1:
            raise ProviderError(
                f"{len(same)} kept disks belong to {claim}: {', '.join(same)}",
                fix=f"delete those that are not wanted: `aws ec2 delete-volume --region {region} --volume-id ...`",
            )
    return [_persistent_volume(disk, driver, storage_class) for disk in found]


def _let_go(sdk: Sdk, region: str, name: str, words: str, emit: Emit) -> bool:
    """Whether the disk is still there once nothing uses it: the driver may delete it meanwhile."""

    def look() -> str | Pending:
        found = unless_gone(lambda: sdk.ec2(region).describe_volumes(VolumeIds=[name])["Volumes"]) or []
        state = found[0]["State"] if found else "deleted"
        return Pending(state) if state in ("in-use", "creating", "deleting") else state

    try:
        state = sdk.wait(look, what=words, timeout=DETACH_SECONDS, emit=emit)
    except ProviderError as error:
        fix = "see what uses it (its `attachments` in the EC2 console), then run the same command again"
        raise ProviderError(f"{words} is still in use", detail=error.detail, fix=fix) from error
    return state == "available"


def _persistent_volume(disk: Raw, driver: str, storage_class: str) -> KubeObject:
    namespace, _, claim = claim_of(disk).partition("/")
    zone = {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [disk["AvailabilityZone"]]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"portable-{disk['VolumeId']}"},
        "spec": {
            "capacity": {"storage": f"{disk['Size']}Gi"},
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": storage_class,
            "csi": {"driver": driver, "volumeHandle": disk["VolumeId"], "fsType": "ext4"},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": claim},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [zone]}]}},
        },
    }
