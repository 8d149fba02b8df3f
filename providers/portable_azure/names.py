"""What things of a cluster are called in a subscription, and the tag that they carry.

A cluster NAME lives in the resource group portable-NAME; its disks in portable-NAME_data, since AKS deletes the group that
its nodes are in, and what a user puts beside it, together with the cluster. A cluster's name has no underscore.
"""

from __future__ import annotations

STACK_TAG = "portable:stack"
PREFIX = "portable-"


def group(cluster: str) -> str:
    return PREFIX + cluster


def data_group(cluster: str) -> str:
    return f"{PREFIX}{cluster}_data"


def stack(cluster: str) -> str:
    """The value of `STACK_TAG`."""
    return f"azure.{cluster}"


def tags(cluster: str) -> dict[str, str]:
    return {STACK_TAG: stack(cluster)}


def group_id(subscription: str, group: str) -> str:
    return f"/subscriptions/{subscription}/resourceGroups/{group}"


def cluster_id(subscription: str, group: str, cluster: str) -> str:
    return f"{group_id(subscription, group)}/providers/Microsoft.ContainerService/managedClusters/{cluster}"


def location(text: str) -> str:
    """Azure writes "West Europe" and "westeurope" for the same."""
    return text.replace(" ", "").lower()
