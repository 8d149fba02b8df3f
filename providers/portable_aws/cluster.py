"""portable:aws:Cluster: an EKS cluster. https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html

inputs   name (of the resource), cluster, region, version ("": the newest in standard support when it is made, then as it is),
         automatic (Auto Mode), role, nodeRole (Auto Mode's nodes), subnets, allow (CIDR blocks), private
outputs  name, cluster, region, uid, arn, account, version, endpoint, ca, vpc, subnets, automatic, allow, logs, protected,
         private, support

Kubernetes' secrets are encrypted by EKS itself, with a key of Amazon's, from 1.28 on, and that costs nothing:
https://docs.aws.amazon.com/eks/latest/userguide/envelope-encryption.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portable.errors import Problem, ProviderError
from portable.events import Emit, Step
from portable.polling import Pending
from portable.provider import Diff, Inputs, Outputs
from portable_aws import eks as service
from portable_aws import versions
from portable_aws.ec2 import require_same_place
from portable_aws.network import EVERYWHERE
from portable_aws.session import Sdk, tags_of
from portable_aws.sweep import clear_network
from portable_aws.words import code_of, explained, unless, unless_gone

USUAL = "9-12 min"
CREATE_SECONDS = 2400.0
DELETE_SECONDS = 2400.0
UPGRADE_USUAL = "8-12 min for each minor version"
AUDIT_LOGS = ("audit", "authenticator")
_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")


class ClusterResource:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, sdk: Sdk) -> None:
        self._sdk = sdk

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        require_same_place(outputs, new)
        _require_same_shape(outputs, new)
        changes = [key for key, value in _wanted(new).items() if outputs.get(key) != value]
        if versions.is_upgrade(outputs["cluster"], outputs["version"], new["version"]):
            with explained(self._sdk):
                versions.chosen(self._sdk, new["region"], new["version"])  # else a plan would promise it
            changes.append("version")
        return Diff(changes=tuple(changes))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        with explained(self._sdk):
            name, eks = inputs["cluster"], self._sdk.eks(inputs["region"])
            found = self._usable(service.cluster_of(eks, name), inputs, emit)
            if found is None:
                emit(Step("cluster", "progress", detail=f"EKS cluster {name} (usually {USUAL})", usual=660))
                service.when_role_is_known(self._sdk, lambda: self._ask(eks, inputs), emit)
            live = self._active(inputs, emit, usual=USUAL)
            return name, self._settled(live, inputs, emit)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        with explained(self._sdk):
            live = service.cluster_of(self._sdk.eks(inputs["region"]), inputs["cluster"])
            if live is None or live["status"] == "DELETING":
                self._require_same_account(outputs, inputs)
                return None
            service.require_ours(live)
            return _outputs(inputs, live)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        with explained(self._sdk):
            return self._settled(self._active(new, emit), new, emit)

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        with explained(self._sdk):
            region, name = outputs["region"], outputs["cluster"]
            eks = self._sdk.eks(region)
            live = service.cluster_of(eks, name)
            if live is not None and not service.is_ours(live):
                return  # someone else's, which refused us the name: there is nothing of ours to delete
            if live is not None:
                vpc = live["resourcesVpcConfig"].get("vpcId", "")
                self._end(live, outputs, emit)
            else:
                vpc = outputs.get("vpc", "")
            # what its controllers left would hold the network
            clear_network(self._sdk, region, name, vpc, emit)

    # -- making ----------------------------------------------------------------------------------------------------

    def _usable(self, found: Mapping[str, Any] | None, inputs: Inputs, emit: Emit) -> Mapping[str, Any] | None:
        """What an earlier run began; what it left broken or is going away is waited for until it is gone."""
        if found is None:
            return None
        service.require_ours(found)
        if found["status"] == "FAILED":
            emit(Step("cluster", "progress", detail="removing a cluster that could not be made"))
            self._end(found, inputs, emit)
            return None
        if found["status"] == "DELETING":
            self._gone(inputs["region"], inputs["cluster"], emit)
            return None
        return found

    def _ask(self, eks: Any, inputs: Inputs) -> None:
        """In all zones; where EKS has no room in one of them, in the others."""
        from botocore.exceptions import ClientError

        request = _request(inputs, versions.chosen(self._sdk, inputs["region"], inputs["version"]))
        try:
            unless({"ResourceInUseException"}, lambda: eks.create_cluster(**request))
        except ClientError as error:
            if code_of(error) != "UnsupportedAvailabilityZoneException":
                raise
            valid = error.response.get("validZones") or []
            request["resourcesVpcConfig"]["subnetIds"] = self._subnets_in(inputs, valid)
            unless({"ResourceInUseException"}, lambda: eks.create_cluster(**request))

    def _subnets_in(self, inputs: Inputs, zones: Sequence[str]) -> list[str]:
        """Raises ProviderError where that leaves fewer than the two zones that EKS wants."""
        subnets = self._sdk.ec2(inputs["region"]).describe_subnets(SubnetIds=inputs["subnets"])["Subnets"]
        usable = [subnet for subnet in subnets if subnet["AvailabilityZone"] in zones]
        if len({subnet["AvailabilityZone"] for subnet in usable}) < 2:
            raise ProviderError(
                f"EKS has no room in the zones of the cluster's subnets; it has in: {', '.join(zones)}",
                fix="`portable destroy`, then choose another cluster.region",
            )
        return [subnet["SubnetId"] for subnet in usable]

    def _active(self, inputs: Inputs, emit: Emit, usual: str = "") -> dict[str, Any]:
        """The cluster once nothing is under way on it. Raises ProviderError with the service's reasons where it failed."""
        name = inputs["cluster"]

        def look() -> dict[str, Any] | Pending:
            live = service.cluster_of(self._sdk.eks(inputs["region"]), name)
            if live is None:
                raise ProviderError(f"the cluster {name} vanished", fix="run the same command again")
            service.require_ours(live)
            if live["status"] in ("FAILED", "DELETING"):
                raise service.failed(f"the cluster {name}", live["status"], service.issues(live))
            return live if live["status"] == "ACTIVE" else Pending(live["status"])

        return self._sdk.wait(
            look,
            what=f"cluster {name}",
            usual=usual,
            timeout=CREATE_SECONDS,
            emit=emit,
        )

    # -- changing --------------------------------------------------------------------------------------------------

    def _settled(self, live: Mapping[str, Any], inputs: Inputs, emit: Emit) -> Outputs:
        """One change after the other: EKS takes one at a time."""
        outputs = _outputs(inputs, live)
        _require_same_shape(outputs, inputs)
        wanted = _wanted(inputs)
        for key in (key for key, value in wanted.items() if outputs[key] != value):
            self._reconfigure(inputs, _CHANGES[key](wanted[key]), emit)
        self._upgrade(outputs["version"], inputs, emit)
        return _outputs(inputs, self._active(inputs, emit))

    def _reconfigure(self, inputs: Inputs, change: Mapping[str, Any], emit: Emit) -> None:
        name = inputs["cluster"]
        update = self._sdk.eks(inputs["region"]).update_cluster_config(name=name, **change)["update"]
        words = f"cluster {name}: {', '.join(change)}"
        service.update_done(self._sdk, inputs["region"], update, words, "1-5 min", emit, name=name)
        self._active(inputs, emit)

    def _upgrade(self, live: str, inputs: Inputs, emit: Emit) -> None:
        name, region = inputs["cluster"], inputs["region"]
        if not versions.is_upgrade(name, live, inputs["version"]):
            return
        versions.chosen(self._sdk, region, inputs["version"])
        for step in versions.steps(live, inputs["version"]):
            emit(Step("cluster", "progress", detail=f"upgrading the control plane to {step}"))
            update = self._sdk.eks(region).update_cluster_version(name=name, version=step)["update"]
            words = f"cluster {name} to {step}"
            service.update_done(self._sdk, region, update, words, UPGRADE_USUAL, emit, name=name)
            self._active(inputs, emit)

    # -- ending ----------------------------------------------------------------------------------------------------

    def _end(self, live: Mapping[str, Any], inputs: Inputs, emit: Emit) -> None:
        region, name = inputs["region"], inputs["cluster"]
        eks = self._sdk.eks(region)
        if live["status"] in ("CREATING", "UPDATING", "PENDING"):
            live = self._at_rest(region, name, emit)
        if live.get("deletionProtection") and live["status"] != "DELETING":
            update = eks.update_cluster_config(name=name, deletionProtection=False)["update"]
            words = f"cluster {name}: deletion protection off"
            service.update_done(self._sdk, region, update, words, "1 min", emit, name=name)
            self._at_rest(region, name, emit)
        if live["status"] != "DELETING":
            unless_gone(lambda: eks.delete_cluster(name=name))
        self._gone(region, name, emit)

    def _at_rest(self, region: str, name: str, emit: Emit) -> dict[str, Any]:
        """The cluster once nothing is under way on it, however that ended."""

        def look() -> dict[str, Any] | Pending:
            live = service.cluster_of(self._sdk.eks(region), name) or {"name": name, "status": "DELETING"}
            return Pending(live["status"]) if live["status"] in ("CREATING", "UPDATING", "PENDING") else live

        return self._sdk.wait(
            look,
            what=f"cluster {name}",
            timeout=CREATE_SECONDS,
            emit=emit,
        )

    def _gone(self, region: str, name: str, emit: Emit) -> None:
        def look() -> bool | Pending:
            live = service.cluster_of(self._sdk.eks(region), name)
            if live is not None and live["status"] == "FAILED":
                raise service.failed(f"deleting the cluster {name}", live["status"], service.issues(live))
            return True if live is None else Pending(live["status"])

        self._sdk.wait(
            look,
            what=f"deleting cluster {name}",
            usual="3-6 min",
            timeout=DELETE_SECONDS,
            emit=emit,
        )

    def _require_same_account(self, outputs: Outputs, inputs: Inputs) -> None:
        """A cluster that is not found may just be in another account. Raises ProviderError."""
        account = self._sdk.client("sts", inputs["region"]).get_caller_identity()["Account"]
        if outputs.get("account", account) != account:
            raise ProviderError(
                f"the cluster {inputs['cluster']} is in the account {outputs['account']}, the credentials are of {account}",
                fix="choose the profile of that account (AWS_PROFILE), or give the cluster for this account another cluster.name",
            )


def _require_same_shape(outputs: Outputs, new: Inputs) -> None:
    """What no cluster can become. Raises ProviderError."""
    for key, words in (("automatic", "with and without node pools"), ("private", "with and without private nodes")):
        if outputs[key] != new[key]:
            raise ProviderError(
                f"the cluster {outputs['cluster']} cannot be changed between {words}",
                fix="make another cluster under another name (cluster.name) and move the app with `portable migrate`",
            )


def _wanted(inputs: Inputs) -> dict[str, Any]:
    return {
        "allow": sorted(inputs["allow"]) or [EVERYWHERE],
        "logs": sorted(AUDIT_LOGS),
        "protected": True,
        "support": "STANDARD",
    }


_CHANGES = {
    "allow": lambda value: {"resourcesVpcConfig": {"publicAccessCidrs": value, **_ENDPOINTS}},
    # what is not named stays as it is: others that somebody turned on are turned off by name
    "logs": lambda value: {
        "logging": {
            "clusterLogging": [
                {"types": value, "enabled": True},
                {"types": [kind for kind in _LOGS if kind not in value], "enabled": False},
            ]
        }
    },
    "protected": lambda value: {"deletionProtection": value},
    "support": lambda value: {"upgradePolicy": {"supportType": value}},
}
_ENDPOINTS = {"endpointPublicAccess": True, "endpointPrivateAccess": True}


def _request(inputs: Inputs, version: str) -> dict[str, Any]:
    wanted = _wanted(inputs)
    automatic: dict[str, Any] = {}
    if inputs["automatic"]:
        # the three belong together: EKS refuses one without the others
        compute = {"enabled": True, "nodePools": ["general-purpose", "system"], "nodeRoleArn": inputs["nodeRole"]}
        automatic = {
            "computeConfig": compute,
            "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": True}},
            "storageConfig": {"blockStorage": {"enabled": True}},
        }
    return {
        "name": inputs["cluster"],
        "version": version,
        "roleArn": inputs["role"],
        "resourcesVpcConfig": {
            "subnetIds": list(inputs["subnets"]),
            "publicAccessCidrs": wanted["allow"],
            **_ENDPOINTS,
        },
        # who makes the cluster gets access by an entry of its own, which stands in the stack and can be taken away
        "accessConfig": {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
        "bootstrapSelfManagedAddons": False,
        "upgradePolicy": {"supportType": wanted["support"]},
        "deletionProtection": wanted["protected"],
        "logging": {"clusterLogging": [{"types": wanted["logs"], "enabled": True}]},
        "tags": {**tags_of(inputs["cluster"], inputs["name"]), "portable:private": str(inputs["private"]).lower()},
        **automatic,
    }


def _outputs(inputs: Inputs, live: Mapping[str, Any]) -> Outputs:
    network = live["resourcesVpcConfig"]
    logging = live.get("logging", {}).get("clusterLogging", ())
    return {
        **{key: inputs[key] for key in ("name", "cluster", "region")},
        "uid": uid(live),
        "arn": live["arn"],
        "account": live["arn"].split(":")[4],
        "version": live["version"],
        "endpoint": live.get("endpoint", ""),
        "ca": live.get("certificateAuthority", {}).get("data", ""),
        "vpc": network.get("vpcId", ""),
        "subnets": list(network.get("subnetIds", ())),
        "automatic": bool(live.get("computeConfig", {}).get("enabled")),
        "private": live.get("tags", {}).get("portable:private") == "true",
        "allow": sorted(network.get("publicAccessCidrs", ())) if network.get("endpointPublicAccess") else [],
        "logs": sorted(kind for entry in logging if entry.get("enabled") for kind in entry.get("types", ())),
        "protected": bool(live.get("deletionProtection")),
        "support": live.get("upgradePolicy", {}).get("supportType", ""),
    }


def uid(live: Mapping[str, Any]) -> str:
    """Names are used again: the time of creation tells one cluster from the next."""
    return f"{live['arn']}@{live['createdAt'].timestamp():.0f}"
