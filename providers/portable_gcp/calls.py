"""Every call that this plugin makes: how it is sent, and what it takes to be allowed to. Nothing else can be called.

Names are Google's own (their discovery documents' method ids). Permissions: https://cloud.google.com/iam/docs/permissions-reference
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """`method`: of HTTP, or of the container client where `path` is empty. A word in braces in `path` is an argument."""

    service: str
    method: str
    path: str
    permissions: tuple[str, ...]


def _container(method: str, *permissions: str) -> Call:
    return Call("container", method, "", permissions)


_COMPUTE = "/compute/v1/projects/{project}"
_CLUSTERS = "container.projects.locations.clusters"
_POOLS = f"{_CLUSTERS}.nodePools"
_ACT_AS = "iam.serviceAccounts.actAs"
_POLICY = "compute.networks.updatePolicy"

CALLS: dict[str, Call] = {
    # -- clusters, by google-cloud-container
    "container.projects.locations.getServerConfig": _container("get_server_config", "container.clusters.list"),
    "container.projects.locations.operations.get": _container("get_operation", "container.operations.get"),
    "container.projects.locations.operations.list": _container("list_operations", "container.operations.list"),
    f"{_CLUSTERS}.create": _container("create_cluster", "container.clusters.create", _ACT_AS),
    f"{_CLUSTERS}.get": _container("get_cluster", "container.clusters.get"),
    f"{_CLUSTERS}.update": _container("update_cluster", "container.clusters.update"),
    f"{_CLUSTERS}.delete": _container("delete_cluster", "container.clusters.delete"),
    f"{_CLUSTERS}.setResourceLabels": _container("set_labels", "container.clusters.update"),
    f"{_POOLS}.create": _container("create_node_pool", "container.clusters.update", _ACT_AS),
    f"{_POOLS}.get": _container("get_node_pool", "container.clusters.get"),
    f"{_POOLS}.update": _container("update_node_pool", "container.clusters.update"),
    f"{_POOLS}.delete": _container("delete_node_pool", "container.clusters.update"),
    f"{_POOLS}.setSize": _container("set_node_pool_size", "container.clusters.update"),
    f"{_POOLS}.setAutoscaling": _container("set_node_pool_autoscaling", "container.clusters.update"),
    # -- the nodes' service account
    "iam.projects.serviceAccounts.create": Call(
        "iam", "POST", "/v1/projects/{project}/serviceAccounts", ("iam.serviceAccounts.create",)
    ),
    "iam.projects.serviceAccounts.list": Call(
        "iam", "GET", "/v1/projects/{project}/serviceAccounts", ("iam.serviceAccounts.list",)
    ),
    "iam.projects.serviceAccounts.get": Call(
        "iam", "GET", "/v1/projects/{project}/serviceAccounts/{account}", ("iam.serviceAccounts.get",)
    ),
    "iam.projects.serviceAccounts.delete": Call(
        "iam", "DELETE", "/v1/projects/{project}/serviceAccounts/{account}", ("iam.serviceAccounts.delete",)
    ),
    "iam.projects.serviceAccounts.getIamPolicy": Call(
        "iam",
        "POST",
        "/v1/projects/{project}/serviceAccounts/{account}:getIamPolicy",
        ("iam.serviceAccounts.getIamPolicy",),
    ),
    "iam.projects.serviceAccounts.setIamPolicy": Call(
        "iam",
        "POST",
        "/v1/projects/{project}/serviceAccounts/{account}:setIamPolicy",
        ("iam.serviceAccounts.setIamPolicy",),
    ),
    "cloudresourcemanager.projects.getIamPolicy": Call(
        "cloudresourcemanager",
        "POST",
        "/v3/projects/{project}:getIamPolicy",
        ("resourcemanager.projects.getIamPolicy",),
    ),
    "cloudresourcemanager.projects.setIamPolicy": Call(
        "cloudresourcemanager",
        "POST",
        "/v3/projects/{project}:setIamPolicy",
        ("resourcemanager.projects.setIamPolicy",),
    ),
    # -- doctor
    "cloudresourcemanager.projects.testIamPermissions": Call(
        "cloudresourcemanager", "POST", "/v3/projects/{project}:testIamPermissions", ()
    ),
    "serviceusage.services.batchGet": Call(
        "serviceusage", "GET", "/v1/projects/{project}/services:batchGet", ("serviceusage.services.get",)
    ),
    # -- the network
    "compute.regions.get": Call("compute", "GET", f"{_COMPUTE}/regions/{{region}}", ("compute.regions.get",)),
    "compute.networks.get": Call("compute", "GET", f"{_COMPUTE}/global/networks/{{name}}", ("compute.networks.get",)),
    "compute.networks.insert": Call("compute", "POST", f"{_COMPUTE}/global/networks", ("compute.networks.create",)),
    "compute.networks.delete": Call(
        "compute", "DELETE", f"{_COMPUTE}/global/networks/{{name}}", ("compute.networks.delete",)
    ),
    "compute.subnetworks.get": Call(
        "compute", "GET", f"{_COMPUTE}/regions/{{region}}/subnetworks/{{name}}", ("compute.subnetworks.get",)
    ),
    "compute.subnetworks.insert": Call(
        "compute", "POST", f"{_COMPUTE}/regions/{{region}}/subnetworks", ("compute.subnetworks.create", _POLICY)
    ),
    "compute.subnetworks.setPrivateIpGoogleAccess": Call(
        "compute",
        "POST",
        f"{_COMPUTE}/regions/{{region}}/subnetworks/{{name}}/setPrivateIpGoogleAccess",
        ("compute.subnetworks.setPrivateIpGoogleAccess", _POLICY),
    ),
    "compute.subnetworks.delete": Call(
        "compute",
        "DELETE",
        f"{_COMPUTE}/regions/{{region}}/subnetworks/{{name}}",
        ("compute.subnetworks.delete", _POLICY),
    ),
    "compute.routers.get": Call(
        "compute", "GET", f"{_COMPUTE}/regions/{{region}}/routers/{{name}}", ("compute.routers.get",)
    ),
    "compute.routers.insert": Call(
        "compute", "POST", f"{_COMPUTE}/regions/{{region}}/routers", ("compute.routers.create", _POLICY)
    ),
    "compute.routers.patch": Call(
        "compute", "PATCH", f"{_COMPUTE}/regions/{{region}}/routers/{{name}}", ("compute.routers.update", _POLICY)
    ),
    "compute.routers.delete": Call(
        "compute", "DELETE", f"{_COMPUTE}/regions/{{region}}/routers/{{name}}", ("compute.routers.delete", _POLICY)
    ),
    "compute.globalOperations.get": Call(
        "compute", "GET", f"{_COMPUTE}/global/operations/{{name}}", ("compute.globalOperations.get",)
    ),
    "compute.regionOperations.get": Call(
        "compute", "GET", f"{_COMPUTE}/regions/{{region}}/operations/{{name}}", ("compute.regionOperations.get",)
    ),
    "compute.zoneOperations.get": Call(
        "compute", "GET", f"{_COMPUTE}/zones/{{zone}}/operations/{{name}}", ("compute.zoneOperations.get",)
    ),
    "compute.instanceGroupManagers.get": Call(
        "compute",
        "GET",
        f"{_COMPUTE}/zones/{{zone}}/instanceGroupManagers/{{name}}",
        ("compute.instanceGroupManagers.get",),
    ),
    # -- what controllers leave behind, and disks
    "compute.firewalls.list": Call("compute", "GET", f"{_COMPUTE}/global/firewalls", ("compute.firewalls.list",)),
    **{
        f"compute.{kind}.aggregatedList": Call(
            "compute", "GET", f"{_COMPUTE}/aggregated/{kind}", (f"compute.{kind}.list",)
        )
        for kind in (
            "networkEndpointGroups",
            "backendServices",
            "urlMaps",
            "targetHttpProxies",
            "targetHttpsProxies",
            "targetPools",
            "forwardingRules",
            "disks",
        )
    },
    "compute.disks.delete": Call(
        "compute", "DELETE", f"{_COMPUTE}/zones/{{zone}}/disks/{{name}}", ("compute.disks.delete",)
    ),
    "compute.networkEndpointGroups.delete": Call(
        "compute",
        "DELETE",
        f"{_COMPUTE}/zones/{{zone}}/networkEndpointGroups/{{name}}",
        ("compute.networkEndpointGroups.delete",),
    ),
    **{
        f"compute.{method}.delete": Call(
            "compute", "DELETE", f"{_COMPUTE}/global/{kind}/{{name}}", (f"compute.{permission}.delete",)
        )
        for method, kind, permission in (
            ("firewalls", "firewalls", "firewalls"),
            ("globalForwardingRules", "forwardingRules", "globalForwardingRules"),
            ("targetHttpProxies", "targetHttpProxies", "targetHttpProxies"),
            ("targetHttpsProxies", "targetHttpsProxies", "targetHttpsProxies"),
            ("urlMaps", "urlMaps", "urlMaps"),
            ("backendServices", "backendServices", "backendServices"),
            ("healthChecks", "healthChecks", "healthChecks"),
        )
    },
    **{
        f"compute.{method}.delete": Call(
            "compute", "DELETE", f"{_COMPUTE}/regions/{{region}}/{kind}/{{name}}", (f"compute.{permission}.delete",)
        )
        for method, kind, permission in (
            ("forwardingRules", "forwardingRules", "forwardingRules"),
            ("regionTargetHttpProxies", "targetHttpProxies", "regionTargetHttpProxies"),
            ("regionTargetHttpsProxies", "targetHttpsProxies", "regionTargetHttpsProxies"),
            ("regionUrlMaps", "urlMaps", "regionUrlMaps"),
            ("regionBackendServices", "backendServices", "regionBackendServices"),
            ("regionHealthChecks", "healthChecks", "regionHealthChecks"),
            ("targetPools", "targetPools", "targetPools"),
        )
    },
}

_FILES = "/v1/projects/{project}/locations"
CALLS |= {
    "file.projects.locations.instances.list": Call("file", "GET", f"{_FILES}/-/instances", ("file.instances.list",)),
    "file.projects.locations.instances.delete": Call(
        "file", "DELETE", f"{_FILES}/{{location}}/instances/{{name}}", ("file.instances.delete",)
    ),
    "file.projects.locations.operations.get": Call(
        "file", "GET", f"{_FILES}/{{location}}/operations/{{operation}}", ("file.operations.get",)
    ),
}

_ZONES = "/dns/v1/projects/{project}/managedZones"

# Only where routes want records and the project has zones: a role of its own, so that it can be left out.
DNS_CALLS: dict[str, Call] = {
    "dns.managedZones.list": Call("dns", "GET", _ZONES, ("dns.managedZones.list",)),
    "dns.resourceRecordSets.list": Call(
        "dns", "GET", f"{_ZONES}/{{managedZone}}/rrsets", ("dns.resourceRecordSets.list",)
    ),
    "dns.changes.create": Call(
        "dns",
        "POST",
        f"{_ZONES}/{{managedZone}}/changes",
        (
            "dns.changes.create",
            "dns.resourceRecordSets.create",
            "dns.resourceRecordSets.delete",
            "dns.resourceRecordSets.update",
        ),
    ),
    "dns.changes.get": Call("dns", "GET", f"{_ZONES}/{{managedZone}}/changes/{{changeId}}", ("dns.changes.get",)),
}


_REPOSITORIES = "/v1/projects/{project}/locations/{location}/repositories"
_READ_REPOSITORY = "artifactregistry.repositories.get"

# Only where containers have `build`, or images are copied here: a part of its own, so that it can be left out.
IMAGE_CALLS: dict[str, Call] = {
    "artifactregistry.projects.locations.repositories.get": Call(
        "artifactregistry", "GET", f"{_REPOSITORIES}/{{repository}}", (_READ_REPOSITORY,)
    ),
    "artifactregistry.projects.locations.repositories.create": Call(
        "artifactregistry", "POST", _REPOSITORIES, ("artifactregistry.repositories.create",)
    ),
    "artifactregistry.projects.locations.operations.get": Call(
        "artifactregistry",
        "GET",
        "/v1/projects/{project}/locations/{location}/operations/{operation}",
        (_READ_REPOSITORY,),
    ),
}


def known(name: str) -> Call:
    """Raises KeyError for what is in no table: it cannot be called."""
    return {**CALLS, **DNS_CALLS, **IMAGE_CALLS}[name]
