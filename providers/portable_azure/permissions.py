"""The least role: every action that the calls of this plugin need, and why. A test holds the table against the calls made.

https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations
"""

from __future__ import annotations

import json

# The operation as Azure's own description calls it -> the action that it needs; "" needs none.
ACTIONS = {
    "ResourceGroups_Get": "Microsoft.Resources/subscriptions/resourceGroups/read",
    "ResourceGroups_List": "Microsoft.Resources/subscriptions/resourceGroups/read",
    "ResourceGroups_CreateOrUpdate": "Microsoft.Resources/subscriptions/resourceGroups/write",
    "ResourceGroups_Delete": "Microsoft.Resources/subscriptions/resourceGroups/delete",
    "OperationResults_Get": "Microsoft.Resources/subscriptions/operationresults/read",
    "Resources_ListByResourceGroup": "Microsoft.Resources/subscriptions/resourceGroups/resources/read",
    "Providers_Get": "Microsoft.Resources/subscriptions/providers/read",
    "Providers_Register": "*/register/action",
    "Subscriptions_ListLocations": "Microsoft.Resources/subscriptions/locations/read",
    "ManagedClusters_Get": "Microsoft.ContainerService/managedClusters/read",
    "ManagedClusters_List": "Microsoft.ContainerService/managedClusters/read",
    "ManagedClusters_CreateOrUpdate": "Microsoft.ContainerService/managedClusters/write",
    "ManagedClusters_Delete": "Microsoft.ContainerService/managedClusters/delete",
    "ManagedClusters_Start": "Microsoft.ContainerService/managedClusters/start/action",
    "ManagedClusters_ListClusterUserCredentials": "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action",
    "ManagedClusters_ListKubernetesVersions": "Microsoft.ContainerService/locations/kubernetesVersions/read",
    "AgentPools_Get": "Microsoft.ContainerService/managedClusters/agentPools/read",
    "AgentPools_CreateOrUpdate": "Microsoft.ContainerService/managedClusters/agentPools/write",
    "AgentPools_Delete": "Microsoft.ContainerService/managedClusters/agentPools/delete",
    "Operations_Get": "Microsoft.ContainerService/locations/operations/read",
    "RoleAssignments_Get": "Microsoft.Authorization/roleAssignments/read",
    "RoleAssignments_ListForScope": "Microsoft.Authorization/roleAssignments/read",
    "RoleAssignments_Create": "Microsoft.Authorization/roleAssignments/write",
    "RoleAssignments_Delete": "Microsoft.Authorization/roleAssignments/delete",
    "Permissions_List": "Microsoft.Authorization/permissions/read",
    "Disks_ListByResourceGroup": "Microsoft.Compute/disks/read",
    "Disks_Delete": "Microsoft.Compute/disks/delete",
    "Usage_List": "Microsoft.Compute/locations/usages/read",
    "StorageAccounts_Get": "Microsoft.Storage/storageAccounts/read",
    "StorageAccounts_Create": "Microsoft.Storage/storageAccounts/write",
    "ManagementPolicies_CreateOrUpdate": "Microsoft.Storage/storageAccounts/managementPolicies/write",
    "DiagnosticSettings_Get": "Microsoft.Insights/diagnosticSettings/read",
    "DiagnosticSettings_CreateOrUpdate": "Microsoft.Insights/diagnosticSettings/write",
    "DiagnosticSettings_Delete": "Microsoft.Insights/diagnosticSettings/delete",
    "StorageAccounts_Delete": "Microsoft.Storage/storageAccounts/delete",
    "UserAssignedIdentities_ListBySubscription": "Microsoft.ManagedIdentity/userAssignedIdentities/read",
    "FederatedIdentityCredentials_List": "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read",
    "FederatedIdentityCredentials_Get": "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read",
    "FederatedIdentityCredentials_CreateOrUpdate": (
        "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write"
    ),
    "FederatedIdentityCredentials_Delete": (
        "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/delete"
    ),
}

_USE = """\
# A custom role with exactly what portable calls: `az role definition create --role-definition role.json` (once, with your
# subscription in assignableScopes), then `az role assignment create --role portable --assignee WHO --scope /subscriptions/ID`.
# Inside the cluster, `up` gives whoever makes it the role "Azure Kubernetes Service RBAC Cluster Admin" on that cluster alone, and
# the cluster's own identity "Contributor" on the resource group of its disks alone: therefore roleAssignments/write.
# The actions of Microsoft.Network/dnsZones are for writing DNS records; leave them out where no zone is in Azure, and
# those of Microsoft.ContainerRegistry where no container has `build`.
"""


def actions() -> list[str]:
    """What clusters need; DNS records are apart, since not everybody has a zone in Azure."""
    return sorted(set(ACTIONS.values()))


def role() -> str:
    """A role definition in the form that `az` takes, after a few lines of how to use it."""
    from portable_azure import dns, registry

    definition = {
        "Name": "portable",
        "IsCustom": True,
        "Description": "Make, change and delete AKS clusters with portable.",
        "Actions": sorted({*actions(), *dns.ACTIONS.values(), *registry.ACTIONS.values()}),
        "NotActions": [],
        "AssignableScopes": ["/subscriptions/SUBSCRIPTION"],
    }
    return _USE + json.dumps(definition, indent=2) + "\n"
