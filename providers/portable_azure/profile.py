"""What Azure Kubernetes Service makes of the spec's neutral words."""

from __future__ import annotations

from portable.compile.images import OFFICIAL
from portable.provider import IdentityProfile, IngressProfile, KubeObject, Profile, StorageProfile
from portable.spec.model import Cluster
from portable_azure import names

DISK_CLASS = "portable-disk"
FILE_CLASS = "portable-file"
DISK_DRIVER = "disk.csi.azure.com"
# AKS puts this taint on every spot node and lets nobody take it off.
SPOT = {"key": "kubernetes.azure.com/scalesetpriority", "operator": "Equal", "value": "spot", "effect": "NoSchedule"}


def profile(cluster: Cluster) -> Profile:
    spot = any(pool.spot for pool in cluster.pools.values())
    return Profile(
        cloud="azure",
        aliases=("aks",),
        title="Azure Kubernetes Service",
        replicas=2,
        storage=_existing_storage() if cluster.existing else _storage(cluster.name),
        ingress=IngressProfile(
            class_name="webapprouting.kubernetes.azure.com",
            controller_selector={
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "app-routing-system"}}
            },
            auto_tls="plugin",
        ),
        policy_enforced=True,
        node_autoscaling=True,
        identity=IdentityProfile(
            service_account_annotations={"azure.workload.identity/client-id": "{identity}"},
            pod_labels={"azure.workload.identity/use": "true"},
        ),
        images=OFFICIAL,
        tolerations=(SPOT,) if spot else (),
    )


def _existing_storage() -> StorageProfile:
    """The classes that every AKS cluster has; their disks go with the cluster."""
    return StorageProfile(single="managed-csi", shared="azurefile-csi", expandable=True)


def _storage(cluster: str) -> StorageProfile:
    """Classes of our own, since AKS' own put disks into a resource group that is deleted with the cluster."""
    return StorageProfile(
        single=DISK_CLASS,
        shared=FILE_CLASS,
        expandable=True,
        objects=(
            _class(DISK_CLASS, DISK_DRIVER, cluster, {"skuName": "StandardSSD_LRS"}, "WaitForFirstConsumer"),
            _class(FILE_CLASS, "file.csi.azure.com", cluster, {"skuName": "Standard_LRS"}, "Immediate"),
        ),
    )


def _class(name: str, driver: str, cluster: str, parameters: dict[str, str], binding: str) -> KubeObject:
    # https://github.com/kubernetes-sigs/azuredisk-csi-driver/blob/master/docs/driver-parameters.md
    place = {"resourceGroup": names.data_group(cluster), "tags": f"{names.STACK_TAG}={names.stack(cluster)}"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": driver,
        "parameters": {**parameters, **place},
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": binding,
    }
