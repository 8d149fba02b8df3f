"""The calls of Resource Manager that the stand-in answers: (method, path, api-version, name of the call, its handler)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.clouds.front import HttpRequest

_S = "/subscriptions/(?P<subscription>[^/]+)"
_G = _S + "/resourcegroups/(?P<group>[^/]+)"
_C = _G + "/providers/microsoft.containerservice/managedclusters/(?P<cluster>[^/]+)"
_ANY = "(?P<id>/subscriptions/.+/providers/{}/[^/]+)"
_POLICY = "(?P<id>/subscriptions/.+/storageaccounts/[^/]+/managementpolicies/default)"
_SETTINGS = "2021-05-01-preview"

# Paths are compared in lower case, as Azure does.
_ROUTES = (
    ("GET", _G, "2025-04-01", "ResourceGroups_Get", "group_get"),
    ("PUT", _G, "2025-04-01", "ResourceGroups_CreateOrUpdate", "group_put"),
    ("DELETE", _G, "2025-04-01", "ResourceGroups_Delete", "group_delete"),
    ("GET", _S + "/resourcegroups", "2025-04-01", "ResourceGroups_List", "group_list"),
    ("GET", _G + "/resources", "2025-04-01", "Resources_ListByResourceGroup", "resources_in"),
    ("GET", _S + "/providers/(?P<namespace>microsoft.[a-z]+)", "2025-04-01", "Providers_Get", "provider_get"),
    ("GET", _C, "2026-08-01", "ManagedClusters_Get", "cluster_get"),
    ("PUT", _C, "2026-08-01", "ManagedClusters_CreateOrUpdate", "cluster_put"),
    ("DELETE", _C, "2026-08-01", "ManagedClusters_Delete", "cluster_delete"),
    ("POST", _C + "/start", "2026-08-01", "ManagedClusters_Start", "cluster_start"),
    (
        "POST",
        _C + "/listclusterusercredential",
        "2026-08-01",
        "ManagedClusters_ListClusterUserCredentials",
        "credentials",
    ),
    (
        "GET",
        _S + "/providers/microsoft.containerservice/managedclusters",
        "2026-08-01",
        "ManagedClusters_List",
        "cluster_list",
    ),
    (
        "GET",
        _S + "/providers/microsoft.containerservice/locations/(?P<location>[^/]+)/kubernetesversions",
        "2026-08-01",
        "ManagedClusters_ListKubernetesVersions",
        "kubernetes_versions",
    ),
    ("GET", _C + "/agentpools/(?P<pool>[^/]+)", "2026-08-01", "AgentPools_Get", "pool_get"),
    ("PUT", _C + "/agentpools/(?P<pool>[^/]+)", "2026-08-01", "AgentPools_CreateOrUpdate", "pool_put"),
    ("DELETE", _C + "/agentpools/(?P<pool>[^/]+)", "2026-08-01", "AgentPools_Delete", "pool_delete"),
    ("GET", _ANY.format("microsoft.authorization/roleassignments"), "2022-04-01", "RoleAssignments_Get", "thing_get"),
    ("PUT", _ANY.format("microsoft.authorization/roleassignments"), "2022-04-01", "RoleAssignments_Create", "role_put"),
    (
        "GET",
        "(?P<id>/subscriptions/.+)/providers/microsoft.authorization/roleassignments",
        "2022-04-01",
        "RoleAssignments_ListForScope",
        "role_list",
    ),
    (
        "DELETE",
        _ANY.format("microsoft.authorization/roleassignments"),
        "2022-04-01",
        "RoleAssignments_Delete",
        "thing_delete",
    ),
    ("GET", _G + "/providers/microsoft.compute/disks", "2024-03-02", "Disks_ListByResourceGroup", "disk_list"),
    ("DELETE", _ANY.format("microsoft.compute/disks"), "2024-03-02", "Disks_Delete", "disk_delete"),
    ("GET", _ANY.format("microsoft.storage/storageaccounts"), "2024-01-01", "StorageAccounts_Get", "thing_get"),
    ("PUT", _ANY.format("microsoft.storage/storageaccounts"), "2024-01-01", "StorageAccounts_Create", "account_put"),
    ("PUT", _POLICY, "2024-01-01", "ManagementPolicies_CreateOrUpdate", "policy_put"),
    ("GET", _ANY.format("microsoft.insights/diagnosticsettings"), _SETTINGS, "DiagnosticSettings_Get", "thing_get"),
    (
        "PUT",
        _ANY.format("microsoft.insights/diagnosticsettings"),
        _SETTINGS,
        "DiagnosticSettings_CreateOrUpdate",
        "setting_put",
    ),
    (
        "DELETE",
        _ANY.format("microsoft.insights/diagnosticsettings"),
        _SETTINGS,
        "DiagnosticSettings_Delete",
        "thing_delete",
    ),
    (
        "DELETE",
        _ANY.format("microsoft.storage/storageaccounts"),
        "2024-01-01",
        "StorageAccounts_Delete",
        "thing_delete",
    ),
    (
        "GET",
        _S + "/providers/microsoft.managedidentity/userassignedidentities",
        "2023-01-31",
        "UserAssignedIdentities_ListBySubscription",
        "identity_list",
    ),
    (
        "GET",
        "(?P<id>/subscriptions/.+/userassignedidentities/[^/]+)/federatedidentitycredentials",
        "2023-01-31",
        "FederatedIdentityCredentials_List",
        "federated_list",
    ),
    (
        "PUT",
        "(?P<id>/subscriptions/.+/userassignedidentities/[^/]+/federatedidentitycredentials/[^/]+)",
        "2023-01-31",
        "FederatedIdentityCredentials_CreateOrUpdate",
        "federated_put",
    ),
    (
        "GET",
        "(?P<id>/subscriptions/.+/userassignedidentities/[^/]+/federatedidentitycredentials/[^/]+)",
        "2023-01-31",
        "FederatedIdentityCredentials_Get",
        "thing_get",
    ),
    (
        "DELETE",
        "(?P<id>/subscriptions/.+/userassignedidentities/[^/]+/federatedidentitycredentials/[^/]+)",
        "2023-01-31",
        "FederatedIdentityCredentials_Delete",
        "thing_delete",
    ),
    ("GET", _S + "/providers/microsoft.authorization/permissions", "2022-04-01", "Permissions_List", "permissions"),
    (
        "POST",
        _S + "/providers/(?P<namespace>microsoft.[a-z]+)/register",
        "2025-04-01",
        "Providers_Register",
        "register",
    ),
    (
        "GET",
        _S + "/providers/microsoft.compute/locations/(?P<location>[^/]+)/usages",
        "2024-07-01",
        "Usage_List",
        "usages",
    ),
    ("GET", _S + "/locations", "2022-12-01", "Subscriptions_ListLocations", "locations"),
    (
        "GET",
        _S + "/providers/microsoft.containerservice/locations/[^/]+/operations/(?P<operation>[^/]+)",
        "2017-08-31",
        "Operations_Get",
        "operation_get",
    ),
    ("GET", _S + "/operationresults/(?P<operation>[^/]+)", "2025-04-01", "OperationResults_Get", "result_get"),
)


@dataclass(frozen=True)
class Route:
    """`name` is the operation as Azure's own description calls it; `handler` the part of `AzureService` that answers."""

    method: str
    path: re.Pattern[str]
    api_version: str
    name: str
    handler: str


ROUTES = tuple(Route(method, re.compile(path), *rest) for method, path, *rest in _ROUTES)


def route(request: HttpRequest) -> tuple[Route, re.Match[str]] | None:
    path = request.path.lower().rstrip("/")
    for each in ROUTES:
        if each.method == request.method and (match := each.path.fullmatch(path)):
            return each, match
    return None
