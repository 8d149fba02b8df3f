"""The bodies that AKS gets: what a cluster and a node pool are made with, and which of it is compared and put back.

https://learn.microsoft.com/azure/templates/microsoft.containerservice/managedclusters
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from portable.provider import Inputs
from portable_azure import names, sizes, versions
from portable_azure.settings import write

SYSTEM_POOL = "system"
ALLOWED = "properties/apiServerAccessProfile/authorizedIPRanges"
# Nobody logs in to nodes: no SSH server, surge of one node in ten while they are replaced.
_NODE: dict[str, Any] = {
    "type": "VirtualMachineScaleSets",
    "osType": "Linux",
    "osSKU": "Ubuntu",
    "enableNodePublicIP": False,
    "securityProfile": {"sshAccess": "Disabled"},
    "upgradeSettings": {"maxSurge": "10%"},
}


def cluster(inputs: Inputs, version: str) -> dict[str, Any]:
    """The body of a new cluster."""
    common = {"dnsPrefix": names.group(inputs["name"]), "kubernetesVersion": version}
    made: dict[str, Any] = {
        "location": inputs["location"],
        "sku": {"name": "Automatic" if inputs["automatic"] else "Base", "tier": "Standard"},
        "identity": {"type": "SystemAssigned"},
        "properties": common if inputs["automatic"] else {**common, **_sized(inputs)},
    }
    return write(made, cluster_settings(inputs))


def cluster_settings(inputs: Inputs) -> dict[str, Any]:
    """What a cluster is held to, by path. Automatic mode has the rest by itself."""
    found: dict[str, Any] = {
        f"tags/{names.STACK_TAG}": inputs["owner"],
        ALLOWED: ranges(inputs.get("allow") or ()),
        "properties/ingressProfile/webAppRouting/enabled": True,
    }
    if inputs["automatic"]:
        return found
    return found | {
        "properties/aadProfile/enableAzureRBAC": True,
        "properties/aadProfile/managed": True,
        "properties/autoUpgradeProfile/nodeOSUpgradeChannel": "NodeImage",
        "properties/autoUpgradeProfile/upgradeChannel": versions.channel(inputs["version"]),
        "properties/disableLocalAccounts": True,
        "properties/oidcIssuerProfile/enabled": True,
        "properties/securityProfile/workloadIdentity/enabled": True,
    }


def pool(inputs: Inputs) -> dict[str, Any]:
    """The body of a new node pool."""
    spot = {"scaleSetPriority": "Spot", "scaleSetEvictionPolicy": "Delete", "spotMaxPrice": -1}
    properties = {
        **_NODE,
        "mode": "User",
        "vmSize": inputs["vmSize"],
        "count": inputs["min"],
        **(spot if inputs["spot"] else {}),
    }
    return write({"properties": properties}, pool_settings(inputs))


def pool_settings(inputs: Inputs) -> dict[str, Any]:
    """What a node pool is held to, by path. The count of a pool that scales is the autoscaler's."""
    scales = bool(inputs["max"])
    return {
        f"properties/tags/{names.STACK_TAG}": inputs["owner"],
        "properties/enableAutoScaling": scales,
        "properties/minCount": inputs["min"] if scales else None,
        "properties/maxCount": inputs["max"] if scales else None,
        **({} if scales else {"properties/count": inputs["min"]}),
    }


def ranges(allow: Sequence[str]) -> list[str]:
    """CIDR blocks in one form: sorted, a single address with /32; what is none stays as it is (`check` refuses it)."""
    return sorted(block(entry) or entry for entry in allow)


def block(text: str) -> str:
    """The CIDR block that `text` means; "" for none."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return ""


def _sized(inputs: Inputs) -> dict[str, Any]:
    system = {
        **_NODE,
        "name": SYSTEM_POOL,
        "mode": "System",
        "vmSize": sizes.SYSTEM,
        "count": 1,
        "enableAutoScaling": True,
        "minCount": 1,
        "maxCount": 3,
        "nodeTaints": ["CriticalAddonsOnly=true:NoSchedule"],
        "tags": {names.STACK_TAG: inputs["owner"]},
    }
    return {
        "agentPoolProfiles": [system],
        "enableRBAC": True,
        "networkProfile": {
            "networkPlugin": "azure",
            "networkPluginMode": "overlay",
            "networkDataplane": "cilium",
            "networkPolicy": "cilium",
            "loadBalancerSku": "standard",
        },
    }
