"""A cluster's resources as Pulumi's official Azure plugin (azure-native, 3.x) names them: types and ids for `pulumi import`.

Its ids are Azure's own: https://www.pulumi.com/registry/packages/azure-native/api-docs/
"""

from __future__ import annotations

from collections.abc import Sequence

from portable.provider import Inputs, NativeResource, Outputs

PREFIX = "portable:azure:"
_TYPES = {
    "ResourceGroup": "azure-native:resources:ResourceGroup",
    "ManagedCluster": "azure-native:containerservice:ManagedCluster",
    "AgentPool": "azure-native:containerservice:AgentPool",
    "RoleAssignment": "azure-native:authorization:RoleAssignment",
    "ClusterAccess": "azure-native:authorization:RoleAssignment",
}


def native_resources(type: str, name: str, inputs: Inputs, outputs: Outputs) -> Sequence[NativeResource]:
    kind = type.removeprefix(PREFIX)
    if kind == "AuditLog":
        # without the diagnostic setting that fills it: a new one is made in a moment, and holds nothing
        group = f"/subscriptions/{inputs['subscription']}/resourceGroups/{inputs['group']}"
        id = f"{group}/providers/Microsoft.Storage/storageAccounts/{inputs['account']}"
        return [NativeResource("azure-native:storage:StorageAccount", name, id)]
    if outputs.get("foreign"):
        return []  # a role that was there before: somebody else's
    return [NativeResource(_TYPES[kind], name, outputs["id"])] if kind in _TYPES else []
