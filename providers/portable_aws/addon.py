"""portable:aws:Addon: an EKS add-on. https://docs.aws.amazon.com/eks/latest/userguide/eks-add-ons.html

inputs   name (of the resource), cluster, region, addon, version (of Kubernetes: a change of it brings the add-on's version for
         that), configuration (by the add-on's own schema), accounts (service account -> ARN of the role it gets by pod identity),
         pools (pool -> its `min`; {}: the add-on does without nodes, or another one asks for them)
outputs  name, cluster, region, addon, version, configuration, accounts, status
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from portable.errors import Problem, ProviderError
from portable.events import Emit
from portable.polling import Pending
from portable.provider import Diff, Inputs, Outputs
from portable_aws import eks as service
from portable_aws.ec2 import require_same_place
from portable_aws.session import Sdk, is_tagged, tags_of
from portable_aws.versions import minor
from portable_aws.words import explained, unless, unless_gone

USUAL = "1-3 min"
SECONDS = 1200.0


class Addon:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, sdk: Sdk) -> None:
        self._sdk = sdk

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        pools = inputs["pools"]
        if not pools or any(pools.values()):
            return ()
        return [
            Problem(
                f"{inputs['addon']} needs a node, no pool has one, and nothing adds nodes to a pool by itself",
                path=f"cluster.pools.{min(pools)}.min",
                expected="1",
                hint="with no nodes and no pools in the spec, nodes come and go with the app (Auto Mode)",
            )
        ]

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        require_same_place(outputs, new)
        changes = [key for key in ("configuration", "accounts") if outputs[key] != new[key]]
        if new["version"] and new["version"] != old.get("version"):
            changes.append("version")
        return Diff(changes=tuple(changes))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        with explained(self._sdk):
            found = self._find(inputs)
            if found is not None and found["status"] in ("CREATE_FAILED", "DELETING"):
                self._end(inputs, emit)
                found = None
            if found is None:
                service.when_role_is_known(self._sdk, lambda: self._ask(inputs), emit)
            return inputs["addon"], self._settled(inputs, emit)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        with explained(self._sdk):
            found = self._find(inputs)
            return None if found is None else self._outputs(inputs, found)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        with explained(self._sdk):
            return self._settled(new, emit)

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        with explained(self._sdk):
            self._end(outputs, emit)

    def _ask(self, inputs: Inputs) -> None:
        request = {
            **_of(inputs),
            **_body(inputs),
            "addonVersion": self._version(inputs),
            "tags": tags_of(inputs["cluster"], inputs["name"]),
        }
        unless({"ResourceInUseException"}, lambda: self._sdk.eks(inputs["region"]).create_addon(**request))

    def _settled(self, inputs: Inputs, emit: Emit) -> Outputs:
        found = self._active(inputs, emit)
        live, version = self._outputs(inputs, found), self._version(inputs)
        same = live["configuration"] == inputs["configuration"] and live["accounts"] == inputs["accounts"]
        if same and (live["version"] == version or not inputs["version"]):
            return live
        update = self._sdk.eks(inputs["region"]).update_addon(**_of(inputs), **_body(inputs), addonVersion=version)
        of = {"name": inputs["cluster"], "addonName": inputs["addon"]}
        words = f"add-on {inputs['addon']}"
        service.update_done(self._sdk, inputs["region"], update["update"], words, USUAL, emit, **of)
        return self._outputs(inputs, self._active(inputs, emit))

    def _active(self, inputs: Inputs, emit: Emit) -> Mapping[str, Any]:
        """DEGRADED is no end: an add-on is until its pods have nodes."""
        words = f"add-on {inputs['addon']}"

        def look() -> Mapping[str, Any] | Pending:
            found = self._find(inputs) or {"status": "DELETED"}
            if found["status"] not in ("CREATING", "UPDATING", "DEGRADED", "ACTIVE"):
                raise service.failed(f"the {words}", found["status"], service.issues(found))
            detail = "; ".join(message for _, message in service.issues(found))
            return found if found["status"] == "ACTIVE" else Pending(f"{found['status']} {detail}".strip())

        return self._sdk.wait(
            look,
            what=words,
            usual=USUAL,
            timeout=SECONDS,
            emit=emit,
        )

    def _end(self, inputs: Inputs, emit: Emit) -> None:
        eks, live = self._sdk.eks(inputs["region"]), self._find(inputs)
        if live is None or not is_tagged(live, inputs["cluster"]):
            return  # gone, or of a cluster of someone else that has the same name now
        unless_gone(lambda: eks.delete_addon(**_of(inputs)))

        def look() -> bool | Pending:
            found = self._find(inputs)
            if found is not None and found["status"] == "DELETE_FAILED":
                raise service.failed(f"removing the add-on {inputs['addon']}", found["status"], service.issues(found))
            return True if found is None else Pending(found["status"])

        self._sdk.wait(
            look,
            what=f"removing add-on {inputs['addon']}",
            timeout=SECONDS,
            emit=emit,
        )

    def _find(self, inputs: Inputs) -> Mapping[str, Any] | None:
        found = unless_gone(lambda: self._sdk.eks(inputs["region"]).describe_addon(**_of(inputs)))
        return None if found is None else found["addon"]

    def _version(self, inputs: Inputs) -> str:
        """The one that EKS sets by default for the cluster's Kubernetes. Raises ProviderError where it has none."""
        eks = self._sdk.eks(inputs["region"])
        live = eks.describe_cluster(name=inputs["cluster"])["cluster"]["version"]
        major, number = minor(live)
        answer = eks.describe_addon_versions(addonName=inputs["addon"], kubernetesVersion=f"{major}.{number}")
        offers = [version for addon in answer["addons"] for version in addon["addonVersions"]]
        if not offers:
            raise ProviderError(
                f"EKS in {inputs['region']} offers no add-on {inputs['addon']} for Kubernetes {major}.{number}",
                fix="choose another cluster.region or cluster.version; `aws eks describe-addon-versions` lists what there is",
            )
        default = [
            offer["addonVersion"] for offer in offers if any(fit["defaultVersion"] for fit in offer["compatibilities"])
        ]
        return default[0] if default else offers[0]["addonVersion"]

    def _outputs(self, inputs: Inputs, found: Mapping[str, Any]) -> Outputs:
        return {
            **{key: inputs[key] for key in ("name", "cluster", "region", "addon")},
            "version": found["addonVersion"],
            "configuration": json.loads(found.get("configurationValues") or "{}"),
            "accounts": self._accounts(inputs, found),
            "status": found["status"],
        }

    def _accounts(self, inputs: Inputs, found: Mapping[str, Any]) -> dict[str, str]:
        """The add-on names its associations by ARN; each has to be asked."""
        eks = self._sdk.eks(inputs["region"])
        accounts: dict[str, str] = {}
        for arn in found.get("podIdentityAssociations", ()):
            name = {"clusterName": inputs["cluster"], "associationId": arn.rpartition("/")[2]}
            answer = unless_gone(lambda name=name: eks.describe_pod_identity_association(**name))
            if answer is not None:
                accounts[answer["association"]["serviceAccount"]] = answer["association"]["roleArn"]
        return accounts


def _of(inputs: Inputs) -> dict[str, str]:
    return {"clusterName": inputs["cluster"], "addonName": inputs["addon"]}


def _body(inputs: Inputs) -> dict[str, Any]:
    identities = [{"serviceAccount": account, "roleArn": role} for account, role in sorted(inputs["accounts"].items())]
    configuration = json.dumps(inputs["configuration"], sort_keys=True)
    return {
        # what EKS itself put there before, and what we set, is the add-on's
        "resolveConflicts": "OVERWRITE",
        **({"podIdentityAssociations": identities} if identities else {}),
        **({"configurationValues": configuration} if inputs["configuration"] else {}),
    }
