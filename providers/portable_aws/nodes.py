"""portable:aws:NodeGroup: a pool of machines, as a managed node group. https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html

inputs   name (of the group: it holds a digest of what no group can change, so another size is another group), cluster, region,
         pool (its name in the spec), asked (cpu and memory in the spec's words), role, subnets, machines (instance types of one size), spot, min, max, template, templateVersion, version (of Kubernetes;
         "": the cluster's when it is made, then as it is)
outputs  name, cluster, region, version, min, max, templateVersion, machines, spot, status
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portable.errors import Problem, ProviderError
from portable.events import Emit
from portable.polling import Pending
from portable.provider import Diff, Inputs, Outputs
from portable_aws import eks as service
from portable_aws import machines
from portable_aws.ec2 import require_same_place
from portable_aws.session import Sdk, is_tagged, tags_of
from portable_aws.versions import minor
from portable_aws.words import code_of, explained, unless, unless_gone

USUAL = "2-4 min"
SECONDS = 2400.0
UPDATE_USUAL = "5-15 min: each node is replaced in turn"


class NodeGroup:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, sdk: Sdk) -> None:
        self._sdk = sdk

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        if inputs["machines"]:
            return ()
        place = "cluster.nodes" if inputs["pool"] == "default" else f"cluster.pools.{inputs['pool']}"
        asked = " and ".join(f"{key} {value}" for key, value in inputs["asked"].items() if value)
        most = machines.largest()
        return [
            Problem(
                f"no machine of Amazon's that portable knows has {asked}",
                path=place,
                expected=f"at most cpu {most.cpu} and memory {most.memory}Gi",
            )
        ]

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        require_same_place(outputs, new)
        changes = [key for key in ("min", "max") if outputs[key] != new[key]]
        if new["name"] != outputs["name"]:
            return Diff(changes=("name",), replaces=("name",))
        if outputs["templateVersion"] != str(new["templateVersion"]):
            changes.append("templateVersion")
        if _is_behind(outputs, new):
            changes.append("version")
        return Diff(changes=tuple(changes))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        with explained(self._sdk):
            found = self._find(inputs)
            if found is not None and found["status"] in ("CREATE_FAILED", "DELETING", "DELETE_FAILED"):
                self._end(inputs, emit)
                found = None
            if found is None:
                service.when_role_is_known(self._sdk, lambda: self._ask(inputs), emit)
            return inputs["name"], self._settled(inputs, emit)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        with explained(self._sdk):
            found = self._find(inputs)
            return None if found is None or found["status"] == "DELETING" else _outputs(inputs, found)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        with explained(self._sdk):
            return self._settled(new, emit)

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        with explained(self._sdk):
            self._end(outputs, emit)

    def _ask(self, inputs: Inputs) -> None:
        from botocore.exceptions import ClientError

        request = _request(inputs)
        create = self._sdk.eks(inputs["region"]).create_nodegroup
        try:
            unless({"ResourceInUseException"}, lambda: create(**request))
        except ClientError as error:
            if code_of(error) != "UnsupportedAvailabilityZoneException":
                raise
            zones = error.response.get("validZones") or []
            subnets = self._sdk.ec2(inputs["region"]).describe_subnets(SubnetIds=inputs["subnets"])["Subnets"]
            usable = [subnet["SubnetId"] for subnet in subnets if subnet["AvailabilityZone"] in zones]
            if not usable:
                raise
            unless({"ResourceInUseException"}, lambda: create(**{**request, "subnets": usable}))

    def _settled(self, inputs: Inputs, emit: Emit) -> Outputs:
        """Sizes first: they are what a person waits for. EKS takes one change at a time."""
        eks, of = self._sdk.eks(inputs["region"]), _of(inputs)
        live = _outputs(inputs, self._active(inputs, emit))
        if (live["min"], live["max"]) != (inputs["min"], inputs["max"]):
            desired = min(max(live["desired"], inputs["min"]), inputs["max"])
            update = eks.update_nodegroup_config(**of, scalingConfig=_scaling(inputs, desired))["update"]
            self._done(update, inputs, USUAL, emit)
            live = _outputs(inputs, self._active(inputs, emit))
        wanted: dict[str, Any] = {}
        if _is_behind(live, inputs):
            wanted["version"] = _minor(inputs["version"])
        if live["templateVersion"] != str(inputs["templateVersion"]):
            wanted["launchTemplate"] = _template(inputs)
        if wanted:
            self._done(eks.update_nodegroup_version(**of, **wanted)["update"], inputs, UPDATE_USUAL, emit)
            live = _outputs(inputs, self._active(inputs, emit))
        return live

    def _done(self, update: Mapping[str, Any], inputs: Inputs, usual: str, emit: Emit) -> None:
        of = {"name": inputs["cluster"], "nodegroupName": inputs["name"]}
        service.update_done(self._sdk, inputs["region"], update, f"node pool {inputs['name']}", usual, emit, **of)

    def _active(self, inputs: Inputs, emit: Emit) -> Mapping[str, Any]:
        words = f"node pool {inputs['name']}"

        def look() -> Mapping[str, Any] | Pending:
            found = self._find(inputs)
            if found is None:
                raise ProviderError(f"the {words} vanished", fix="run the same command again")
            if found["status"] in ("ACTIVE", "DEGRADED"):
                return found
            if found["status"] not in ("CREATING", "UPDATING"):
                raise service.failed(f"the {words}", found["status"], service.issues(found))
            detail = "; ".join(message for _, message in service.issues(found))
            return Pending(f"{found['status']} {detail}".strip())

        return self._sdk.wait(
            look,
            what=words,
            usual=USUAL,
            timeout=SECONDS,
            emit=emit,
        )

    def _end(self, inputs: Inputs, emit: Emit) -> None:
        eks, asked = self._sdk.eks(inputs["region"]), False

        def look() -> bool | Pending:
            nonlocal asked
            found = self._find(inputs)
            if found is None or not is_tagged(found, inputs["cluster"]):
                return True  # gone, or of a cluster of someone else that has the same name now
            if found["status"] == "DELETE_FAILED" and asked:
                raise service.failed(f"removing node pool {inputs['name']}", found["status"], service.issues(found))
            if found["status"] not in ("DELETING", "CREATING", "UPDATING"):
                asked = True
                unless_gone(lambda: eks.delete_nodegroup(**_of(inputs)))
            return Pending(found["status"])

        self._sdk.wait(
            look,
            what=f"removing node pool {inputs['name']}",
            usual="3-8 min",
            timeout=SECONDS,
            emit=emit,
        )

    def _find(self, inputs: Inputs) -> Mapping[str, Any] | None:
        found = unless_gone(lambda: self._sdk.eks(inputs["region"]).describe_nodegroup(**_of(inputs)))
        return None if found is None else found["nodegroup"]


def _of(inputs: Inputs) -> dict[str, str]:
    return {"clusterName": inputs["cluster"], "nodegroupName": inputs["name"]}


def _request(inputs: Inputs) -> dict[str, Any]:
    return {
        **_of(inputs),
        "nodeRole": inputs["role"],
        "subnets": list(inputs["subnets"]),
        "instanceTypes": list(inputs["machines"]),
        "capacityType": "SPOT" if inputs["spot"] else "ON_DEMAND",
        "amiType": "AL2023_x86_64_STANDARD",
        "scalingConfig": _scaling(inputs, inputs["min"]),
        "launchTemplate": _template(inputs),
        # a node that the kubelet or its machine gave up on is replaced
        "nodeRepairConfig": {"enabled": True},
        "updateConfig": {"maxUnavailable": 1},
        "tags": tags_of(inputs["cluster"], inputs["name"]),
        **({"version": _minor(inputs["version"])} if inputs["version"] else {}),
    }


def _scaling(inputs: Inputs, desired: int) -> dict[str, int]:
    return {"minSize": inputs["min"], "maxSize": inputs["max"], "desiredSize": desired}


def _template(inputs: Inputs) -> dict[str, str]:
    return {"id": inputs["template"], "version": str(inputs["templateVersion"])}


def _minor(version: str) -> str:
    return ".".join(map(str, minor(version)))


def _is_behind(outputs: Outputs, new: Inputs) -> bool:
    return bool(new["version"]) and minor(outputs["version"]) < minor(new["version"])


def _outputs(inputs: Inputs, found: Mapping[str, Any]) -> Outputs:
    scaling = found["scalingConfig"]
    return {
        **{key: inputs[key] for key in ("cluster", "region")},
        "name": found["nodegroupName"],
        "version": found["version"],
        "min": scaling["minSize"],
        "max": scaling["maxSize"],
        "desired": scaling["desiredSize"],
        "templateVersion": str(found.get("launchTemplate", {}).get("version", "")),
        "machines": list(found.get("instanceTypes", ())),
        "spot": found.get("capacityType") == "SPOT",
        "status": found["status"],
    }
