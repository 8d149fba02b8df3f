"""AKS of the stand-in: what clusters and node pools do with a PUT. A mock, for want of anything better: no other stand-in has
agent pools, ETags and long operations (shared/docs/clouds.md, section 5). What it answers has the shape of the recording
(shared/contracts/aks), what it takes is held against Microsoft's ARM schema, and its refusals are the documented ones.
"""

from __future__ import annotations

import copy
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.clouds.azure import schema

Body = dict[str, Any]

VERSIONS = {"1.30": "1.30.14", "1.31": "1.31.11", "1.32": "1.32.7", "1.33": "1.33.3", "1.34": "1.34.0"}
DEFAULT_VERSION = "1.32"
PREVIEW_VERSION = "1.34"


class Refusal(Exception):
    """An error answer."""

    def __init__(self, status: int, code: str, message: str, *, flat: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.body: Body = {"code": code, "message": message}
        if not flat:
            self.body = {"error": self.body}


@dataclass
class Work:
    """A long operation: states are told one for each look at it, then it ends."""

    states: list[str]
    ends: Any
    error: Body | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    over: bool = False

    def look(self) -> str:
        """The state now; time goes on by being looked at."""
        if self.states:
            return self.states.pop(0)
        if not self.over:
            self.over = True
            self.ends()
        return "Failed" if self.error else "Succeeded"


def patch_of(version: str) -> str:
    """The patch version that a minor stands for."""
    found = VERSIONS.get(version, version)
    if found not in VERSIONS.values():
        raise Refusal(400, "K8sVersionNotSupported", f"Version {version} is not supported in this region.")
    return found


def minor(version: str) -> int:
    return int(version.split(".")[1])


def check_body(resource: str, name: str, body: Body) -> None:
    if schema.FILE.exists() and (faults := schema.faults(resource, name, body)):
        raise Refusal(400, "InvalidRequestContent", "; ".join(faults[:5]))


def check_version(live: str, asked: str, *, bound: str | None = None) -> str:
    """The patch version that a change from `live` to `asked` leads to."""
    patch = live if live.startswith(asked + ".") else patch_of(asked)
    if minor(patch) < minor(live):
        raise Refusal(400, "NotAllowedDowngrade", f"Downgrading from {live} to {patch} is not allowed.")
    if bound is None and minor(patch) > minor(live) + 1:
        raise Refusal(400, "OperationNotAllowed", f"Upgrading from {live} to {patch} skips a minor version.")
    if bound is not None and minor(patch) > minor(bound):
        raise Refusal(400, "NodePoolVersionAhead", f"Node pool version {patch} is ahead of control plane {bound}.")
    return patch


def new_cluster(name: str, body: Body, location: str, ids: Body) -> Body:
    """A description as Azure gives it, of what was asked for and what Azure adds. `ids`: id, nodeResourceGroup, host."""
    made = copy.deepcopy(body)
    properties = made["properties"]
    automatic = made.get("sku", {}).get("name") == "Automatic"
    pools = properties.setdefault("agentPoolProfiles", [])
    if not automatic and not any(pool.get("mode") == "System" for pool in pools):
        raise Refusal(400, "InvalidParameter", "At least one system node pool is needed.")
    version = patch_of(properties.get("kubernetesVersion", DEFAULT_VERSION))
    for pool in pools:
        _complete_pool(pool, version)
    properties |= {
        "currentKubernetesVersion": version,
        "provisioningState": "Creating",
        "powerState": {"code": "Running"},
        "fqdn": f"{properties['dnsPrefix']}-vzxlvpxr.hcp.{location}.azmk8s.io",
        "nodeResourceGroup": ids["nodeResourceGroup"],
        "maxAgentPools": 100,
        "resourceUID": uuid.uuid4().hex[:24],
        "supportPlan": "KubernetesOfficial",
        "oidcIssuerProfile": {
            "enabled": True,
            "issuerURL": f"https://{location}.oic.prod-aks.azure.com/t/{uuid.uuid4()}/",
        },
        "servicePrincipalProfile": {"clientId": "msi"},
    }
    return {
        **made,
        "id": ids["id"],
        "name": name,
        "type": "Microsoft.ContainerService/ManagedClusters",
        "eTag": f'"{uuid.uuid4()}"',
        "identity": {"type": "SystemAssigned", "principalId": str(uuid.uuid4()), "tenantId": str(uuid.uuid4())},
    }


def changed_cluster(live: Body, body: Body) -> None:
    """`live` takes what the PUT says. Refuses what cannot be changed in place."""
    asked = copy.deepcopy(body)
    old, new = live["properties"], asked["properties"]
    if asked["location"] != live["location"]:
        raise Refusal(409, "InvalidResourceLocation", "The resource already exists in another location.")
    if asked.get("sku", {}).get("name") != live["sku"]["name"]:
        raise Refusal(400, "SkuChangeNotAllowed", "The sku of a cluster cannot be changed here.")
    if new.get("dnsPrefix") != old["dnsPrefix"]:
        raise Refusal(400, "PropertyChangeNotAllowed", "Changing property 'dnsPrefix' is not allowed.")
    names = {pool["name"] for pool in new.get("agentPoolProfiles", [])}
    if missing := [pool["name"] for pool in old["agentPoolProfiles"] if pool["name"] not in names]:
        raise Refusal(400, "AgentPoolsNotFound", f"Agent pools {missing} are missing in the request.")
    version = check_version(old["currentKubernetesVersion"], new.get("kubernetesVersion", old["kubernetesVersion"]))
    kept = {key: old[key] for key in ("fqdn", "nodeResourceGroup", "maxAgentPools", "resourceUID", "powerState")}
    issuer = {**new.get("oidcIssuerProfile", {}), "issuerURL": old["oidcIssuerProfile"]["issuerURL"]}
    pools = old["agentPoolProfiles"]
    live["tags"] = asked.get("tags", {})
    live["properties"] = {
        **new,
        **kept,
        "currentKubernetesVersion": version,
        "agentPoolProfiles": pools,
        "oidcIssuerProfile": issuer,
        "provisioningState": "Updating",
    }
    live["eTag"] = f'"{uuid.uuid4()}"'


def new_pool(name: str, body: Body, version: str) -> Body:
    pool = {**copy.deepcopy(body["properties"]), "name": name}
    _complete_pool(pool, version)
    return pool


def changed_pool(live: Body, body: Body, control_plane: str) -> None:
    asked = copy.deepcopy(body["properties"])
    for key in ("vmSize", "mode", "osType", "scaleSetPriority"):
        if asked.get(key) != live.get(key):
            raise Refusal(400, "PropertyChangeNotAllowed", f"Changing property '{key}' is not allowed.")
    _check_counts(asked)
    version = check_version(
        live["currentOrchestratorVersion"],
        asked.get("orchestratorVersion", live["currentOrchestratorVersion"]),
        bound=control_plane,
    )
    name = live["name"]
    live.clear()
    live.update(asked, name=name, currentOrchestratorVersion=version)
    live |= {"provisioningState": "Updating", "eTag": f'"{uuid.uuid4()}"', "powerState": {"code": "Running"}}


def _complete_pool(pool: Body, version: str) -> None:
    _check_counts(pool)
    pool.setdefault("orchestratorVersion", version)
    pool |= {
        "currentOrchestratorVersion": patch_of(pool["orchestratorVersion"]),
        "provisioningState": "Creating",
        "powerState": {"code": "Running"},
        "nodeImageVersion": "AKSUbuntu-2204gen2containerd-202502.09.0",
        "eTag": f'"{uuid.uuid4()}"',
        "kubeletDiskType": "OS",
        "maxPods": 250,
    }


def _check_counts(pool: Body) -> None:
    scales = pool.get("enableAutoScaling", False)
    if not scales and (pool.get("minCount") is not None or pool.get("maxCount") is not None):
        raise Refusal(400, "InvalidParameter", "minCount and maxCount need enableAutoScaling.")
    if scales and not (pool.get("minCount") and pool.get("maxCount")):
        raise Refusal(400, "InvalidParameter", "enableAutoScaling needs minCount and maxCount.")
    if not scales and not pool.get("count"):
        raise Refusal(400, "InvalidParameter", "count is needed.")
