"""A mock of EKS, as strict as its documentation: see this package's page. State goes on with each look at it."""

from __future__ import annotations

import base64
import itertools
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.clouds.aws.model import Call, Refused

Thing = dict[str, Any]

VERSIONS = ("1.31", "1.32", "1.33", "1.34")
ADDONS = {
    "vpc-cni": "v1.20",
    "kube-proxy": "v1",
    "eks-pod-identity-agent": "v1.3",
    "coredns": "v1.12",
    "aws-ebs-csi-driver": "v1.48",
    "metrics-server": "v0.8",
}
# Their pods need a node before they are well.
ON_NODES = ("coredns", "aws-ebs-csi-driver", "metrics-server")
AUTO_POLICIES = {
    f"AmazonEKS{name}Policy" for name in ("BlockStorage", "Cluster", "Compute", "LoadBalancing", "Networking")
}
_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nbm90IGEgcmVhbCBvbmU=\n-----END CERTIFICATE-----\n"


@dataclass(frozen=True)
class Account:
    """What EKS sees of the rest of the account. Each function is given an ARN or ids, and returns None for what is not there."""

    number: str
    region: str
    role: Callable[[str], Mapping[str, Any] | None]
    subnets: Callable[[list[str]], list[Mapping[str, str]] | None]
    template: Callable[[str, str], bool]


@dataclass
class Entry:
    """A thing with what is under way on it: `then` happens after `looks` more looks."""

    thing: Thing
    looks: int = 0
    then: Callable[[], object] = lambda: None

    def begin(self, status: str, looks: int, then: Callable[[], object]) -> None:
        self.thing["status"], self.looks, self.then = status, looks, then

    def look(self) -> Thing:
        if self.looks > 0:
            self.looks -= 1
            if self.looks == 0:
                self.then()
        return self.thing


@dataclass
class Plans:
    """What a test wants to go wrong. `fail`: thing ("cluster", "nodegroup", "addon", "update") -> (code, message), once.
    `unknown_roles`: how often a role is not known yet. `no_room`: zones without room. `cluster_quota`: how many there may be.
    `not_offered`: add-ons that the region does not have."""

    fail: dict[str, tuple[str, str]] = field(default_factory=dict)
    unknown_roles: int = 0
    no_room: tuple[str, ...] = ()
    cluster_quota: int = 100
    not_offered: tuple[str, ...] = ()
    looks: int = 2


class Eks:
    def __init__(self, account: Account, plans: Plans, api_server: tuple[str, str] | None = None) -> None:
        """`api_server`: URL and CA (base64 of the PEM) of a real cluster, which every cluster then has."""
        self._account, self._plans = account, plans
        self._endpoint, self._ca = api_server or ("", base64.b64encode(_CERTIFICATE.encode()).decode())
        self.clusters: dict[str, Entry] = {}
        self.groups: dict[tuple[str, str], Entry] = {}
        self.addons: dict[tuple[str, str], Entry] = {}
        self.access: dict[tuple[str, str], Thing] = {}
        self.associations: dict[tuple[str, str], Thing] = {}
        self.updates: dict[str, Entry] = {}
        self._tokens: dict[tuple[str, str], Any] = {}
        self._ids = itertools.count(1)

    def answer(self, call: Call) -> Thing:
        given = dict(call.parameters)
        token = given.pop("clientRequestToken", None)
        if token is not None and (call.operation, token) in self._tokens:
            return self._tokens[call.operation, token]
        answer = getattr(self, f"_{call.operation}")(given)
        if token is not None:
            self._tokens[call.operation, token] = answer
        return answer

    def uses_subnet(self, subnet: str) -> bool:
        """Whether a network interface of a control plane or node is in it."""
        things = [*self.clusters.values(), *self.groups.values()]
        return any(
            subnet in (entry.thing.get("subnets") or entry.thing.get("resourcesVpcConfig", {}).get("subnetIds", ()))
            for entry in things
        )

    def uses_role(self, arn: str) -> bool:
        """Auto Mode's and node groups' instance profiles hold their role."""
        return any(entry.thing["nodeRole"] == arn for entry in self.groups.values()) or any(
            entry.thing.get("computeConfig", {}).get("nodeRoleArn") == arn for entry in self.clusters.values()
        )

    def leftovers(self) -> list[str]:
        return [
            *(f"cluster {name}" for name in self.clusters),
            *(f"nodegroup {'/'.join(key)}" for key in self.groups),
            *(f"addon {'/'.join(key)}" for key in self.addons),
            *(f"access {'/'.join(key)}" for key in self.access),
            *(f"association {'/'.join(key)}" for key in self.associations),
        ]

    # -- clusters --------------------------------------------------------------------------------------------------

    def _CreateCluster(self, given: Thing) -> Thing:
        name = given["name"]
        if name in self.clusters:
            raise Refused("ResourceInUseException", f"Cluster already exists with name: {name}", status=409)
        if len(self.clusters) >= self._plans.cluster_quota:
            raise Refused("ResourceLimitExceededException", "Account has reached its limit of clusters")
        self._require_version(given.get("version", VERSIONS[-1]))
        self._require_role(given["roleArn"], "eks.amazonaws.com")
        vpc = self._require_subnets(given["resourcesVpcConfig"]["subnetIds"])
        self._require_automatic(given)
        network = {
            "endpointPublicAccess": True,
            "endpointPrivateAccess": False,
            "publicAccessCidrs": ["0.0.0.0/0"],
            **given["resourcesVpcConfig"],
            "vpcId": vpc,
            "securityGroupIds": [],
            "clusterSecurityGroupId": f"sg-{next(self._ids):017x}",
        }
        cluster: Thing = {
            **{key: value for key, value in given.items() if key != "bootstrapSelfManagedAddons"},
            "arn": f"{self._arn}:cluster/{name}",
            "createdAt": datetime.now(UTC),
            "version": given.get("version", VERSIONS[-1]),
            "resourcesVpcConfig": network,
            "platformVersion": "eks.1",
            "health": {"issues": []},
            "tags": given.get("tags", {}),
        }
        entry = self.clusters[name] = Entry(cluster)
        entry.begin("CREATING", self._plans.looks, lambda: self._made(cluster))
        return {"cluster": self._shown(cluster)}

    def _made(self, cluster: Thing) -> None:
        if failure := self._plans.fail.pop("cluster", None):
            cluster |= {"status": "FAILED", "health": {"issues": [_issue(failure)]}}
            return
        number = uuid.uuid4().hex.upper()
        host = f"https://{number}.gr7.{self._account.region}.eks.amazonaws.com"
        cluster |= {
            "status": "ACTIVE",
            "endpoint": self._endpoint or host,
            "certificateAuthority": {"data": self._ca},
            "identity": {"oidc": {"issuer": f"https://oidc.eks.{self._account.region}.amazonaws.com/id/{number}"}},
        }
        if cluster.get("accessConfig", {}).get("bootstrapClusterCreatorAdminPermissions", True):
            self.access[cluster["name"], "the creator"] = {}

    def _DescribeCluster(self, given: Thing) -> Thing:
        entry = self._cluster(given["name"])
        entry.look()
        if given["name"] not in self.clusters:
            raise self._no_cluster(given["name"])
        return {"cluster": self._shown(entry.thing)}

    def _DeleteCluster(self, given: Thing) -> Thing:
        name, entry = given["name"], self._cluster(given["name"])
        if any(cluster == name for cluster, _ in self.groups):
            raise Refused("ResourceInUseException", "Cluster has nodegroups attached", status=409)
        if entry.thing.get("deletionProtection"):
            raise Refused("InvalidRequestException", "Cluster has deletion protection enabled")
        if entry.thing["status"] in ("CREATING", "UPDATING"):
            raise Refused("ResourceInUseException", f"Cluster is {entry.thing['status']}", status=409)
        entry.begin("DELETING", self._plans.looks, lambda: self._forget(name))
        return {"cluster": self._shown(entry.thing)}

    def _forget(self, name: str) -> None:
        del self.clusters[name]
        for things in (self.addons, self.access, self.associations):
            for key in [key for key in things if key[0] == name]:
                del things[key]

    def _UpdateClusterConfig(self, given: Thing) -> Thing:
        entry = self._idle(given.pop("name"))
        if len(given) != 1:
            raise Refused("InvalidParameterException", f"Only one type of update can be allowed: {sorted(given)}")
        ((key, value),) = given.items()
        live, kinds = entry.thing, {
            "resourcesVpcConfig": "EndpointAccessUpdate",
            "logging": "LoggingUpdate",
            "deletionProtection": "DeletionProtectionUpdate",
            "upgradePolicy": "UpgradePolicyUpdate",
        }  # fmt: skip
        if key == "logging":
            value = _logging(live[key], value)
        wanted = {**live[key], **value} if isinstance(value, dict) else value
        if wanted == live.get(key):
            raise Refused("InvalidParameterException", "Cluster is already at the desired configuration")
        return self._update(entry, kinds[key], {key: wanted})

    def _UpdateClusterVersion(self, given: Thing) -> Thing:
        entry, version = self._idle(given["name"]), given["version"]
        self._require_version(version)
        live = entry.thing["version"]
        if _minor(version) != _minor(live) + 1:
            raise Refused(
                "InvalidParameterException", f"Unsupported Kubernetes minor version update from {live} to {version}"
            )
        behind = [key for key, group in self.groups.items() if key[0] == given["name"] and _minor(version) - _minor(group.thing["version"]) > 3]  # fmt: skip
        if behind:
            raise Refused("InvalidRequestException", f"node groups are too far behind: {behind}")
        return self._update(entry, "VersionUpdate", {"version": version})

    def _DescribeClusterVersions(self, given: Thing) -> Thing:
        return {
            "clusterVersions": [
                {
                    "clusterVersion": version,
                    "clusterType": "eks",
                    "defaultVersion": version == VERSIONS[-2],
                    "versionStatus": "STANDARD_SUPPORT",
                }
                for version in VERSIONS
            ]
        }

    def _DescribeUpdate(self, given: Thing) -> Thing:
        entry = self.updates.get(given["updateId"])
        if entry is None:
            raise Refused("ResourceNotFoundException", "No update found", status=404)
        return {"update": dict(entry.look())}

    def _update(self, entry: Entry, kind: str, change: Thing) -> Thing:
        """An update that takes a few looks, during which the thing is UPDATING."""
        number = str(uuid.uuid4())
        update: Thing = {"id": number, "type": kind, "params": [], "createdAt": datetime.now(UTC), "errors": []}
        before = {key: entry.thing.get(key) for key in change}

        def ended() -> None:
            if failure := self._plans.fail.pop("update", None):
                update.update(status="Failed", errors=[{"errorCode": failure[0], "errorMessage": failure[1]}])
                entry.thing.update(before)
            else:
                update.update(status="Successful")
                entry.thing.update(change)
            entry.thing["status"], entry.looks = "ACTIVE", 0

        under_way = self.updates[number] = Entry(update)
        under_way.begin("InProgress", self._plans.looks, ended)
        # whoever looks at the thing instead sees it end too
        entry.begin("UPDATING", self._plans.looks * 2, lambda: (setattr(under_way, "looks", 0), ended())[1])
        return {"update": dict(update)}

    # -- node groups -----------------------------------------------------------------------------------------------

    def _CreateNodegroup(self, given: Thing) -> Thing:
        key = given["clusterName"], given["nodegroupName"]
        cluster = self._ready(given["clusterName"])
        if key in self.groups:
            raise Refused("ResourceInUseException", f"NodeGroup already exists with name {key[1]}", status=409)
        self._require_role(given["nodeRole"], "ec2.amazonaws.com")
        if self._require_subnets(given["subnets"], zones=1) != cluster["resourcesVpcConfig"]["vpcId"]:
            raise Refused("InvalidParameterException", "Subnets are not in the VPC of the cluster")
        self._require_template(given)
        scaling = given["scalingConfig"]
        if not 0 <= scaling["minSize"] <= scaling["desiredSize"] <= scaling["maxSize"] or scaling["maxSize"] < 1:
            raise Refused("InvalidParameterException", f"scaling makes no sense: {scaling}")
        version = given.get("version", cluster["version"])
        if _minor(version) > _minor(cluster["version"]):
            raise Refused("InvalidParameterException", "Nodegroup is newer than its cluster")
        group: Thing = {
            **given,
            "nodegroupArn": f"{self._arn}:nodegroup/{'/'.join(key)}/{uuid.uuid4()}",
            "version": version,
            "createdAt": datetime.now(UTC),
            "health": {"issues": []},
        }
        entry = self.groups[key] = Entry(group)
        entry.begin("CREATING", self._plans.looks, lambda: self._settle(group, "nodegroup"))
        return {"nodegroup": dict(group)}

    def _settle(self, thing: Thing, kind: str) -> None:
        failure = self._plans.fail.pop(kind, None)
        thing["status"] = "CREATE_FAILED" if failure else "ACTIVE"
        if failure:
            thing["health"] = {"issues": [_issue(failure)]}

    def _DescribeNodegroup(self, given: Thing) -> Thing:
        entry = self._group(given)
        entry.look()
        return {"nodegroup": dict(self._group(given).thing)}

    def _DeleteNodegroup(self, given: Thing) -> Thing:
        entry, key = self._group(given), (given["clusterName"], given["nodegroupName"])
        if entry.thing["status"] in ("CREATING", "UPDATING"):
            raise Refused("ResourceInUseException", f"Nodegroup is {entry.thing['status']}", status=409)
        entry.begin("DELETING", self._plans.looks, lambda: self.groups.pop(key))
        return {"nodegroup": dict(entry.thing)}

    def _UpdateNodegroupConfig(self, given: Thing) -> Thing:
        entry = self._idle_group(given)
        return self._update(entry, "ConfigUpdate", {"scalingConfig": given["scalingConfig"]})

    def _UpdateNodegroupVersion(self, given: Thing) -> Thing:
        entry = self._idle_group(given)
        cluster = self._cluster(given["clusterName"]).thing
        change: Thing = {}
        if "version" in given:
            if _minor(given["version"]) > _minor(cluster["version"]):
                raise Refused("InvalidParameterException", "Nodegroup would be newer than its cluster")
            change["version"] = given["version"]
        if "launchTemplate" in given:
            self._require_template(given)
            change["launchTemplate"] = given["launchTemplate"]
        return self._update(entry, "VersionUpdate", change)

    # -- add-ons ---------------------------------------------------------------------------------------------------

    def _DescribeAddonVersions(self, given: Thing) -> Thing:
        name, version = given["addonName"], given["kubernetesVersion"]
        self._require_version(version)
        if name not in ADDONS:
            raise Refused("ResourceNotFoundException", f"no add-on {name}", status=404)
        offers = [
            {"addonVersion": each, "compatibilities": [{"clusterVersion": version, "defaultVersion": index == 1}]}
            for index, each in enumerate(_addon_versions(name, version))
        ]
        return {"addons": [] if name in self._plans.not_offered else [{"addonName": name, "addonVersions": offers}]}

    def _CreateAddon(self, given: Thing) -> Thing:
        key = given["clusterName"], given["addonName"]
        cluster = self._ready(given["clusterName"])
        if key in self.addons:
            raise Refused("ResourceInUseException", "Addon already exists.", status=409)
        self._require_addon(given, cluster)
        identities = given.pop("podIdentityAssociations", [])
        given.pop("resolveConflicts", None)
        addon: Thing = {
            **given,
            "addonArn": f"{self._arn}:addon/{'/'.join(key)}/{uuid.uuid4()}",
            "createdAt": datetime.now(UTC),
            "health": {"issues": []},
        }
        entry = self.addons[key] = Entry(addon)
        addon["podIdentityAssociations"] = self._associate(addon, identities)
        entry.begin("CREATING", self._plans.looks, lambda: self._settle(addon, "addon"))
        return {"addon": dict(addon)}

    def _DescribeAddon(self, given: Thing) -> Thing:
        entry = self._addon(given)
        addon = dict(entry.look())
        self._addon(given)
        cluster = self.clusters[given["clusterName"]].thing
        nodes = cluster.get("computeConfig", {}).get("enabled") or any(
            name == given["clusterName"]
            and group.thing["status"] == "ACTIVE"
            and group.thing["scalingConfig"]["desiredSize"]
            for (name, _), group in self.groups.items()
        )
        if addon["status"] == "ACTIVE" and given["addonName"] in ON_NODES and not nodes:
            addon |= {
                "status": "DEGRADED",
                "health": {"issues": [{"code": "InsufficientNumberOfReplicas", "message": "no nodes"}]},
            }
        return {"addon": addon}

    def _UpdateAddon(self, given: Thing) -> Thing:
        entry = self._addon(given)
        if entry.thing["status"] not in ("ACTIVE", "DEGRADED"):
            raise Refused("ResourceInUseException", f"Addon is {entry.thing['status']}", status=409)
        self._require_addon(given, self.clusters[given["clusterName"]].thing)
        change = {key: given[key] for key in ("addonVersion", "configurationValues") if key in given}
        if "podIdentityAssociations" in given:
            change["podIdentityAssociations"] = self._associate(entry.thing, given["podIdentityAssociations"])
        return self._update(entry, "AddonUpdate", change)

    def _DeleteAddon(self, given: Thing) -> Thing:
        entry, key = self._addon(given), (given["clusterName"], given["addonName"])

        def gone() -> None:
            del self.addons[key]
            for arn in entry.thing["podIdentityAssociations"]:
                self.associations.pop((key[0], arn.rpartition("/")[2]), None)

        entry.begin("DELETING", self._plans.looks, gone)
        return {"addon": dict(entry.thing)}

    def _associate(self, addon: Thing, identities: list[Thing]) -> list[str]:
        for arn in addon.get("podIdentityAssociations", ()):
            self.associations.pop((addon["clusterName"], arn.rpartition("/")[2]), None)
        made = [
            self._new_association(
                {"clusterName": addon["clusterName"], "namespace": "kube-system", "ownerArn": addon["addonArn"], **each}
            )
            for each in identities
        ]
        return [association["associationArn"] for association in made]

    # -- access, identities ----------------------------------------------------------------------------------------

    def _CreateAccessEntry(self, given: Thing) -> Thing:
        key = given["clusterName"], given["principalArn"]
        self._ready(given["clusterName"])
        if ":assumed-role/" in key[1] or not key[1].startswith("arn:"):
            raise Refused("InvalidParameterException", "The principalArn parameter format is not valid")
        if key in self.access:
            raise Refused("ResourceInUseException", "The specified access entry resource is already in use", status=409)
        entry = {**given, "accessEntryArn": f"{self._arn}:access-entry/{key[0]}", "createdAt": datetime.now(UTC)}
        self.access[key] = {"entry": entry, "policies": {}}
        return {"accessEntry": entry}

    def _AssociateAccessPolicy(self, given: Thing) -> Thing:
        if not given["policyArn"].startswith("arn:aws:eks::aws:cluster-access-policy/AmazonEKS"):
            raise Refused("InvalidParameterException", "The policyArn parameter format is not valid")
        policy = {
            "policyArn": given["policyArn"],
            "accessScope": given["accessScope"],
            "associatedAt": datetime.now(UTC),
        }
        self._access(given)["policies"][given["policyArn"]] = policy
        return {key: given[key] for key in ("clusterName", "principalArn")} | {"associatedAccessPolicy": policy}

    def _ListAssociatedAccessPolicies(self, given: Thing) -> Thing:
        policies = list(self._access(given)["policies"].values())
        return {key: given[key] for key in ("clusterName", "principalArn")} | {"associatedAccessPolicies": policies}

    def _CreatePodIdentityAssociation(self, given: Thing) -> Thing:
        self._ready(given["clusterName"])
        return {"association": self._new_association(given)}

    def _new_association(self, given: Thing) -> Thing:
        self._require_role(given["roleArn"], "pods.eks.amazonaws.com")
        same = ("clusterName", "namespace", "serviceAccount")
        if any(all(each[key] == given[key] for key in same) for each in self.associations.values()):
            raise Refused("ResourceInUseException", "Association already exists", status=409)
        number = f"a-{next(self._ids):016x}"
        arn = f"{self._arn}:podidentityassociation/{given['clusterName']}/{number}"
        made = {**given, "associationId": number, "associationArn": arn, "createdAt": datetime.now(UTC)}
        self.associations[given["clusterName"], number] = made
        return made

    def _ListPodIdentityAssociations(self, given: Thing) -> Thing:
        self._cluster(given["clusterName"])
        keys = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId")
        return {
            "associations": [
                {key: each[key] for key in keys}
                for (cluster, _), each in self.associations.items()
                if cluster == given["clusterName"] and each["namespace"] == given.get("namespace", each["namespace"])
            ]
        }

    def _DescribePodIdentityAssociation(self, given: Thing) -> Thing:
        return {"association": self._association(given)}

    def _UpdatePodIdentityAssociation(self, given: Thing) -> Thing:
        self._require_role(given["roleArn"], "pods.eks.amazonaws.com")
        association = self._association(given)
        association["roleArn"] = given["roleArn"]
        return {"association": association}

    def _DeletePodIdentityAssociation(self, given: Thing) -> Thing:
        return {"association": self.associations.pop((self._association(given)["clusterName"], given["associationId"]))}

    # -- what there is ---------------------------------------------------------------------------------------------

    @property
    def _arn(self) -> str:
        return f"arn:aws:eks:{self._account.region}:{self._account.number}"

    def _no_cluster(self, name: str) -> Refused:
        return Refused("ResourceNotFoundException", f"No cluster found for name: {name}.", status=404)

    def _cluster(self, name: str) -> Entry:
        if name not in self.clusters:
            raise self._no_cluster(name)
        return self.clusters[name]

    def _ready(self, name: str) -> Thing:
        """The cluster, which has to be there whole before anything is put on it."""
        cluster = self._cluster(name).thing
        if cluster["status"] not in ("ACTIVE", "UPDATING"):
            raise Refused("InvalidRequestException", f"Cluster '{name}' is not in ACTIVE status")
        return cluster

    def _idle(self, name: str) -> Entry:
        entry = self._cluster(name)
        if entry.thing["status"] not in ("ACTIVE", "FAILED"):
            raise Refused("ResourceInUseException", f"Cluster is {entry.thing['status']}", status=409)
        return entry

    def _group(self, given: Thing) -> Entry:
        self._cluster(given["clusterName"])
        entry = self.groups.get((given["clusterName"], given["nodegroupName"]))
        if entry is None:
            raise Refused("ResourceNotFoundException", f"No node group found: {given['nodegroupName']}", status=404)
        return entry

    def _idle_group(self, given: Thing) -> Entry:
        entry = self._group(given)
        if entry.thing["status"] != "ACTIVE":
            raise Refused("ResourceInUseException", f"Nodegroup is {entry.thing['status']}", status=409)
        return entry

    def _addon(self, given: Thing) -> Entry:
        self._cluster(given["clusterName"])
        entry = self.addons.get((given["clusterName"], given["addonName"]))
        if entry is None:
            raise Refused("ResourceNotFoundException", f"No addon: {given['addonName']}", status=404)
        return entry

    def _access(self, given: Thing) -> Thing:
        self._cluster(given["clusterName"])
        found = self.access.get((given["clusterName"], given["principalArn"]))
        if found is None:
            raise Refused("ResourceNotFoundException", "The specified principalArn could not be found", status=404)
        return found

    def _association(self, given: Thing) -> Thing:
        found = self.associations.get((given["clusterName"], given["associationId"]))
        if found is None:
            raise Refused("ResourceNotFoundException", "No association found", status=404)
        return found

    def _shown(self, cluster: Thing) -> Thing:
        return dict(cluster)

    # -- what is refused -------------------------------------------------------------------------------------------

    def _require_version(self, version: str) -> None:
        if version not in VERSIONS:
            raise Refused("InvalidParameterException", f"unsupported Kubernetes version {version}")

    def _require_role(self, arn: str, service: str) -> None:
        role = self._account.role(arn)
        if self._plans.unknown_roles > 0 or role is None or service not in str(role["trust"]):
            self._plans.unknown_roles -= 1
            raise Refused(
                "InvalidParameterException",
                f"Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not correct",
            )

    def _require_subnets(self, ids: list[str], *, zones: int = 2) -> str:
        """Returns their VPC."""
        subnets = self._account.subnets(ids)
        if subnets is None:
            raise Refused("InvalidParameterException", f"The subnet ID '{ids}' does not exist")
        if len({subnet["vpc"] for subnet in subnets}) != 1:
            raise Refused("InvalidParameterException", "Subnets must be in the same VPC")
        full = {subnet["zone"] for subnet in subnets} & set(self._plans.no_room)
        if full:
            valid = sorted({subnet["zone"] for subnet in subnets} - full)
            raise Refused(
                "UnsupportedAvailabilityZoneException",
                f"Cannot create cluster because {full} does not currently have sufficient capacity",
                validZones=valid,
            )
        if len({subnet["zone"] for subnet in subnets}) < zones:
            raise Refused("InvalidParameterException", "Subnets specified must be in at least two different AZs")
        return subnets[0]["vpc"]

    def _require_automatic(self, given: Thing) -> None:
        compute = given.get("computeConfig", {})
        three = {
            bool(compute.get("enabled")),
            bool(given.get("kubernetesNetworkConfig", {}).get("elasticLoadBalancing", {}).get("enabled")),
            bool(given.get("storageConfig", {}).get("blockStorage", {}).get("enabled")),
        }
        if len(three) > 1:
            raise Refused("InvalidParameterException", "compute, load balancing and block storage must all be alike")
        if compute.get("enabled"):
            if given.get("bootstrapSelfManagedAddons", True):
                raise Refused("InvalidParameterException", "Auto Mode needs bootstrapSelfManagedAddons=false")
            self._require_role(compute["nodeRoleArn"], "ec2.amazonaws.com")
            role = self._account.role(given["roleArn"]) or {"policies": ()}
            if missing := AUTO_POLICIES - set(role["policies"]):
                raise Refused("InvalidParameterException", f"the cluster's role lacks {sorted(missing)}")

    def _require_template(self, given: Thing) -> None:
        template = given.get("launchTemplate")
        if template and not self._account.template(template["id"], template["version"]):
            raise Refused("InvalidRequestException", f"launch template {template} not found")
        if template and "diskSize" in given:
            raise Refused("InvalidParameterException", "Disk size must be specified within the launch template")

    def _require_addon(self, given: Thing, cluster: Thing) -> None:
        if given["addonName"] not in ADDONS:
            raise Refused("InvalidParameterException", f"no add-on {given['addonName']}")
        version = given.get("addonVersion")
        if version and version not in _addon_versions(given["addonName"], cluster["version"]):
            raise Refused("InvalidParameterException", f"Addon version {version} is not supported")


def _logging(live: Thing, asked: Thing) -> Thing:
    """Each type that is named is turned on or off; the others stay."""
    on = {kind for entry in live["clusterLogging"] if entry["enabled"] for kind in entry["types"]}
    before = set(on)
    for entry in asked["clusterLogging"]:
        on = on | set(entry["types"]) if entry["enabled"] else on - set(entry["types"])
    if on == before:
        raise Refused("InvalidParameterException", "No changes needed for the logging config provided")
    return {"clusterLogging": [{"types": sorted(on), "enabled": True}]}


def _addon_versions(name: str, kubernetes: str) -> list[str]:
    """The newest first, which is not the default."""
    return [f"{ADDONS[name]}.{_minor(kubernetes)}-eksbuild.{build}" for build in (3, 2, 1)]


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def _issue(failure: tuple[str, str]) -> Thing:
    return {"code": failure[0], "message": failure[1], "resourceIds": []}
