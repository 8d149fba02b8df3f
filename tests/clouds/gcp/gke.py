"""GKE's API: clusters, node pools, and operations that progress, fail, and get in each other's way."""

from __future__ import annotations

import re
from typing import Any

from google.cloud import container_v1
from google.protobuf import json_format

from tests.clouds.gcp.answers import Refusal, busy, exists, invalid, not_found
from tests.clouds.gcp.compute import REGIONS, ROOT, ZONES, Compute
from tests.clouds.gcp.discovery import Invalid, Match
from tests.clouds.gcp.iam import Iam

VERSIONS = (
    "1.34.1-gke.1200",
    "1.34.0-gke.900",
    "1.33.5-gke.1080",
    "1.33.4-gke.700",
    "1.32.9-gke.300",
    "1.31.13-gke.10",
)
NODE_ROLE = "roles/container.defaultNodeServiceAccount"
_REQUESTS = {
    "clusters.create": container_v1.CreateClusterRequest,
    "clusters.update": container_v1.UpdateClusterRequest,
    "clusters.setResourceLabels": container_v1.SetLabelsRequest,
    "nodePools.create": container_v1.CreateNodePoolRequest,
    "nodePools.update": container_v1.UpdateNodePoolRequest,
    "nodePools.setSize": container_v1.SetNodePoolSizeRequest,
    "nodePools.setAutoscaling": container_v1.SetNodePoolAutoscalingRequest,
}
_MACHINE = re.compile(r"(e2|n2)-(standard|highcpu|highmem)-\d+")
# of ClusterUpdate -> of Cluster
_UPDATES = {
    "desiredDefaultEnablePrivateNodes": ("networkConfig", "defaultEnablePrivateNodes"),
    "desiredReleaseChannel": ("releaseChannel",),
    "desiredLoggingConfig": ("loggingConfig",),
    "desiredWorkloadIdentityConfig": ("workloadIdentityConfig",),
    "desiredShieldedNodes": ("shieldedNodes",),
    "desiredGatewayApiConfig": ("networkConfig", "gatewayApiConfig"),
}


def normal(verb: str, body: dict[str, Any]) -> dict[str, Any]:
    """The request as JSON with names for its enums, which clients may send as numbers. Raises Invalid for unknown fields and enums."""
    if verb not in _REQUESTS:
        return body
    try:
        message = json_format.ParseDict(body, _REQUESTS[verb].pb()(), ignore_unknown_fields=False)
    except json_format.ParseError as error:
        raise Invalid(str(error)) from None
    return json_format.MessageToDict(message)


class Gke:
    """`polls`: how often a running operation is looked at before it is done. `fail`: (target's last word, condition, message)
    of operations that shall fail. `endpoint`, `ca`: of a real cluster, where a test has one."""

    def __init__(self, project: str, compute: Compute, iam: Iam, endpoint: str, ca: str) -> None:
        self.project = project
        self.clusters: dict[str, dict[str, Any]] = {}
        self.polls = 2
        self.fail: dict[str, tuple[str, str]] = {}
        self.versions = VERSIONS
        self._compute = compute
        self._iam = iam
        self._endpoint = endpoint
        self._ca = ca
        self._operations: dict[str, dict[str, Any]] = {}
        self._ids = iter(range(1, 10**9))

    def answer(self, match: Match, body: dict[str, Any]) -> dict[str, Any]:
        verb = ".".join(match.id.split(".")[-2:])
        region = match.path["locationsId"]
        if match.path["projectsId"] != self.project or region not in REGIONS:
            raise invalid(f'Location "{region}" does not exist.')
        if verb == "locations.getServerConfig":
            regular = {"channel": "REGULAR", "defaultVersion": self.versions[1], "validVersions": list(self.versions)}
            rapid = {"channel": "RAPID", "defaultVersion": "1.35.0-gke.1", "validVersions": ["1.35.0-gke.1"]}
            return {"channels": [rapid, regular], "validMasterVersions": list(self.versions)}
        if verb == "operations.list":
            return {"operations": [_shown(operation) for operation in self._operations.values()]}
        if verb == "operations.get":
            return _shown(self._operations[match.path["operationsId"]])
        if verb == "clusters.create":
            return self._create(region, body["cluster"])
        cluster = self._cluster(match)
        if verb == "clusters.get":
            return _shown(cluster)
        if verb == "nodePools.get":
            return self._pool(cluster, match)
        self._not_busy(cluster)
        return self._change(verb, cluster, match, body)

    # -- for tests -------------------------------------------------------------------------------------------------

    def foreign(self, name: str, region: str) -> None:
        """A cluster that somebody else made, in the project's default network."""
        network = f"projects/{self.project}/global/networks/default"
        self.clusters[name] = {
            "name": name,
            "id": f"{next(self._ids):032x}",
            "location": region,
            "status": "RUNNING",
            "currentMasterVersion": self.versions[0],
            "network": "default",
            "_network": network,
            "_subnetwork": network,
        }

    def occupy(self, name: str, kind: str = "UPGRADE_MASTER", polls: int = 3) -> None:
        """Google itself works on the cluster."""
        self._begin(kind, self.clusters[name], name, lambda: None, polls)

    def network_in_use(self, link: str) -> str:
        """Which cluster uses a network or subnetwork."""
        path = link.partition("/projects/")[2]
        for name, cluster in self.clusters.items():
            if path in (
                cluster["_network"].partition("projects/")[2],
                cluster["_subnetwork"].partition("projects/")[2],
            ):
                return name
        return ""

    # -- clusters --------------------------------------------------------------------------------------------------

    def _create(self, region: str, cluster: dict[str, Any]) -> dict[str, Any]:
        name = cluster["name"]
        if name in self.clusters:
            raise exists(f"projects/{self.project}/locations/{region}/clusters/{name}")
        version = cluster.get("initialClusterVersion", self.versions[1])
        if version not in self.versions:
            raise invalid(f'Master version "{version}" is unsupported.')
        autopilot = cluster.get("autopilot", {}).get("enabled", False)
        if autopilot == bool(cluster.get("nodePools")):
            raise invalid("Autopilot clusters have no node pools; others have at least one.")
        if cluster.get("initialNodeCount"):
            raise invalid("initial_node_count is deprecated")
        defaults = cluster.get("autoscaling", {}).get("autoprovisioningNodePoolDefaults", {})
        accounts = {defaults.get("serviceAccount", "default")} if autopilot else set()
        for pool in cluster.get("nodePools", []):
            self._check_pool(pool, region)
            accounts.add(pool["config"].get("serviceAccount", "default"))
        for account in accounts - {"default"}:
            if account not in self._iam.accounts:
                raise invalid(f'Service account "{account}" does not exist.')
        for key in ("network", "subnetwork"):
            if f"{ROOT}/{cluster.get(key, '')}" not in self._compute.objects:
                raise invalid(f'{key} "{cluster.get(key)}" does not exist.')
        made = {
            **cluster,
            "id": f"{next(self._ids):032x}",
            "location": region,
            "locations": cluster.get("locations") or [f"{region}-{zone}" for zone in ZONES[:3]],
            "status": "PROVISIONING",
            "currentMasterVersion": version,
            "network": cluster["network"].rpartition("/")[2],
            "subnetwork": cluster["subnetwork"].rpartition("/")[2],
            "labelFingerprint": "a9dc16a7",
            "_network": cluster["network"],
            "_subnetwork": cluster["subnetwork"],
        }
        if autopilot:
            made["workloadIdentityConfig"] = {"workloadPool": f"{self.project}.svc.id.goog"}
            made["shieldedNodes"] = {"enabled": True}
        self.clusters[name] = made

        def ready() -> None:
            made["status"] = "RUNNING"
            made["endpoint"] = self._endpoint
            made["masterAuth"] = {"clusterCaCertificate": self._ca}
            network = f"{ROOT}/{made['_network']}"
            self._compute.put("global", "firewalls", f"gke-{name}-{made['id'][-8:]}-all", network=network)
            for pool in made.get("nodePools", []):
                self._start_pool(made, pool)

        operation = self._begin("CREATE_CLUSTER", made, name, ready)
        if not all(NODE_ROLE in self._iam.roles_of(account) for account in accounts):
            condition = "NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS"
            self._operations[operation["name"]]["_error"] = (condition, "the service account lacks permissions")
        return operation

    def _change(self, verb: str, cluster: dict[str, Any], match: Match, body: dict[str, Any]) -> dict[str, Any]:
        name = cluster["name"]
        if verb == "clusters.delete":
            cluster["status"] = "STOPPING"
            return self._begin("DELETE_CLUSTER", cluster, name, lambda: self._gone(cluster))
        if verb == "clusters.setResourceLabels":
            if body["labelFingerprint"] != cluster["labelFingerprint"]:
                raise invalid("Labels could not be set due to fingerprint mismatch")
            cluster["labelFingerprint"] += "1"
            labels = body.get("resourceLabels", {})
            return self._begin("UPDATE_CLUSTER", cluster, name, lambda: cluster.update(resourceLabels=labels))
        if verb == "clusters.update":
            return self._update(cluster, body.get("update", {}))
        if verb == "nodePools.create":
            return self._create_pool(cluster, body["nodePool"])
        pool = self._pool(cluster, match)
        if verb == "nodePools.delete":
            pool["status"] = "STOPPING"
            return self._begin("DELETE_NODE_POOL", cluster, pool["name"], lambda: self._remove_pool(cluster, pool))
        if verb == "nodePools.setSize":
            count = body.get("nodeCount", 0)
            return self._begin("SET_NODE_POOL_SIZE", cluster, pool["name"], lambda: self._resize(cluster, pool, count))
        if verb == "nodePools.setAutoscaling":
            _check_autoscaling(body["autoscaling"])
            return self._begin(
                "SET_NODE_POOL_SIZE", cluster, pool["name"], lambda: pool.update(autoscaling=body["autoscaling"])
            )
        assert verb == "nodePools.update", verb
        return self._update_pool(cluster, pool, body)

    def _update(self, cluster: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
        if len(update) != 1:
            # https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/ClusterUpdate
            raise invalid("Exactly one update can be applied to a cluster with each request.")
        ((field, value),) = update.items()
        if field == "desiredMasterVersion":
            return self._upgrade(cluster, value)
        if field == "desiredControlPlaneEndpointsConfig":
            networks = value["ipEndpointsConfig"]["authorizedNetworksConfig"]
            endpoints = cluster["controlPlaneEndpointsConfig"]["ipEndpointsConfig"]

            def effect() -> None:
                endpoints["authorizedNetworksConfig"] = networks
        else:
            *parents, last = _UPDATES[field]

            def effect() -> None:
                place = cluster
                for parent in parents:
                    place = place.setdefault(parent, {})
                place[last] = value

        return self._begin("UPDATE_CLUSTER", cluster, cluster["name"], effect)

    def _upgrade(self, cluster: dict[str, Any], version: str) -> dict[str, Any]:
        if version not in self.versions:
            raise invalid(f'Master version "{version}" is unsupported.')
        step = _minor(version) - _minor(cluster["currentMasterVersion"])
        if step < 0 or step > 1:
            raise invalid(f"Master cannot be upgraded to {version}: cannot skip minor versions or go back.")
        for pool in cluster.get("nodePools", []):
            if _minor(version) - _minor(pool["version"]) > 2:
                raise invalid(f"Node pool {pool['name']} is too old for master version {version}.")
        return self._begin(
            "UPGRADE_MASTER", cluster, cluster["name"], lambda: cluster.update(currentMasterVersion=version)
        )

    def _gone(self, cluster: dict[str, Any]) -> None:
        for pool in list(cluster.get("nodePools", [])):
            self._remove_pool(cluster, pool)
        for link in [link for link in self._compute.objects if f"/firewalls/gke-{cluster['name']}-" in link]:
            del self._compute.objects[link]
        self.clusters.pop(cluster["name"], None)

    # -- node pools ------------------------------------------------------------------------------------------------

    def _check_pool(self, pool: dict[str, Any], region: str) -> None:
        config = pool.get("config", {})
        if not _MACHINE.fullmatch(config.get("machineType", "")):
            raise invalid(f'Machine type "{config.get("machineType")}" is invalid.')
        if not all(zone.startswith(f"{region}-") for zone in pool.get("locations", [])):
            raise invalid("Node pool locations must be in the cluster's region.")
        _check_autoscaling(pool.get("autoscaling", {}))

    def _create_pool(self, cluster: dict[str, Any], pool: dict[str, Any]) -> dict[str, Any]:
        if cluster.get("autopilot", {}).get("enabled"):
            raise invalid("Autopilot clusters do not support mutating node pools.")
        if any(other["name"] == pool["name"] for other in cluster["nodePools"]):
            raise exists(f"node pool {pool['name']}")
        self._check_pool(pool, cluster["location"])
        pool["status"] = "PROVISIONING"
        cluster["nodePools"].append(pool)
        return self._begin(
            "CREATE_NODE_POOL", cluster, pool["name"], lambda: self._start_pool(cluster, pool), pool=pool
        )

    def _start_pool(self, cluster: dict[str, Any], pool: dict[str, Any]) -> None:
        pool.setdefault("locations", cluster["locations"])
        pool["status"] = "RUNNING"
        pool["version"] = cluster["currentMasterVersion"]
        self._resize(cluster, pool, pool.get("initialNodeCount", 0))

    def _resize(self, cluster: dict[str, Any], pool: dict[str, Any], count: int) -> None:
        """`count` nodes in each zone."""
        self._drop_groups(pool)
        pool["instanceGroupUrls"] = [
            self._compute.put(
                f"zones/{zone}",
                "instanceGroupManagers",
                f"gke-{cluster['name']}-{pool['name']}-grp",
                targetSize=count,
            )
            for zone in pool["locations"]
        ]

    def _update_pool(self, cluster: dict[str, Any], pool: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        def effect() -> None:
            if "machineType" in body:
                pool["config"]["machineType"] = body["machineType"]
            if "nodeVersion" in body:
                pool["version"] = body["nodeVersion"]
            if "locations" in body:
                size = self._compute.objects[pool["instanceGroupUrls"][0]]["targetSize"]
                self._drop_groups(pool)
                pool["locations"] = body["locations"]
                self._resize(cluster, pool, size)

        if not {"machineType", "nodeVersion", "locations"} & set(body):
            raise invalid("Must specify a field to update.")
        if _minor(body.get("nodeVersion", pool["version"])) > _minor(cluster["currentMasterVersion"]):
            raise invalid("Node version must not be greater than the master version.")
        if "machineType" in body and not _MACHINE.fullmatch(body["machineType"]):
            raise invalid(f'Machine type "{body["machineType"]}" is invalid.')
        return self._begin("UPDATE_CLUSTER", cluster, pool["name"], effect)

    def _remove_pool(self, cluster: dict[str, Any], pool: dict[str, Any]) -> None:
        self._drop_groups(pool)
        cluster["nodePools"].remove(pool)

    def _drop_groups(self, pool: dict[str, Any]) -> None:
        for link in pool.get("instanceGroupUrls", []):
            self._compute.objects.pop(link, None)
        pool["instanceGroupUrls"] = []

    def _pool(self, cluster: dict[str, Any], match: Match) -> dict[str, Any]:
        name = match.path["nodePoolsId"]
        for pool in cluster.get("nodePools", []):
            if pool["name"] == name:
                return pool
        raise not_found(
            f"projects/{self.project}/locations/{cluster['location']}/clusters/{cluster['name']}/nodePools/{name}"
        )

    # -- operations ------------------------------------------------------------------------------------------------

    def _begin(
        self,
        kind: str,
        cluster: dict[str, Any],
        target: str,
        effect: Any,
        polls: int | None = None,
        pool: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        name = f"operation-{next(self._ids)}-{next(self._ids):08x}"
        path = f"clusters/{cluster['name']}"
        path = path if target == cluster["name"] else f"{path}/nodePools/{target}"
        operation = {
            "name": name,
            "operationType": kind,
            "status": "RUNNING",
            "location": cluster["location"],
            "zone": cluster["location"],
            "selfLink": f"https://container.googleapis.com/v1/projects/123/locations/{cluster['location']}/operations/{name}",
            "targetLink": f"https://container.googleapis.com/v1/projects/123/locations/{cluster['location']}/{path}",
            "startTime": "2026-01-02T03:04:05.123456789Z",
            "progress": {"metrics": [{"name": "CLUSTER_DEPLOYING", "intValue": "8"}]},
            "_left": self.polls if polls is None else polls,
            "_effect": effect,
            "_object": pool or cluster,
        }
        operation["progress"]["metrics"].append({"name": "CLUSTER_DEPLOYING_TOTAL", "intValue": "12"})
        if target in self.fail:
            operation["_error"] = self.fail.pop(target)
        self._operations[name] = operation
        return _shown(operation)

    def tick(self) -> None:
        """Time goes on with every look at GKE."""
        for operation in list(self._operations.values()):
            if operation["status"] != "DONE":
                operation["_left"] -= 1
                if operation["_left"] <= 0:
                    self._end(operation)

    def _end(self, operation: dict[str, Any]) -> None:
        operation["status"] = "DONE"
        operation["endTime"] = "2026-01-02T03:14:05.123456789Z"
        if "_error" not in operation:
            operation["_effect"]()
            return
        code, message = operation["_error"]
        condition = {"canonicalCode": "RESOURCE_EXHAUSTED", "code": code, "message": message}
        operation["error"] = {"code": 8, "message": message}
        operation["statusMessage"] = message
        operation["nodepoolConditions"] = [condition]
        if operation["operationType"].startswith("CREATE"):
            operation["_object"].update(status="ERROR", statusMessage=message, conditions=[condition])

    def _not_busy(self, cluster: dict[str, Any]) -> None:
        path = f"/clusters/{cluster['name']}/"
        for operation in self._operations.values():
            if operation["status"] != "DONE" and path in operation["targetLink"] + "/":
                raise busy(operation["name"])

    def _cluster(self, match: Match) -> dict[str, Any]:
        name, region = match.path["clustersId"], match.path["locationsId"]
        cluster = self.clusters.get(name)
        if cluster is None or cluster["location"] != region:
            raise not_found(f"projects/{self.project}/locations/{region}/clusters/{name}")
        return cluster


def _check_autoscaling(autoscaling: dict[str, Any]) -> None:
    total = {"totalMinNodeCount", "totalMaxNodeCount"} & set(autoscaling)
    zonal = {"minNodeCount", "maxNodeCount"} & set(autoscaling)
    if total and zonal:
        raise invalid("total_*_node_count fields are mutually exclusive with *_node_count fields")
    if autoscaling.get("totalMaxNodeCount", 0) < autoscaling.get("totalMinNodeCount", 0):
        raise Refusal(400, "max must not be less than min", status="INVALID_ARGUMENT")


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def _shown(value: dict[str, Any]) -> dict[str, Any]:
    return {key: entry for key, entry in value.items() if not key.startswith("_")}
