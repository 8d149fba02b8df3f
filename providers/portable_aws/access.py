"""portable:aws:Access: whoever makes the cluster may administer it. https://docs.aws.amazon.com/eks/latest/userguide/access-entries.html

An entry of its own instead of EKS's automatic one for the creator: it is seen in the stack, and a second `up` can mend it.
inputs   name (of the resource), cluster, region
outputs  name, cluster, region, principal (ARN of the IAM role or user, fixed when it is made), policies
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portable.errors import Problem, ProviderError
from portable.events import Emit
from portable.provider import Diff, Inputs, Outputs
from portable_aws.ec2 import require_same_place
from portable_aws.session import Sdk, tags_of
from portable_aws.words import explained, unless, unless_gone

ADMINISTRATOR = "AmazonEKSClusterAdminPolicy"


class Access:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, sdk: Sdk) -> None:
        self._sdk = sdk

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        require_same_place(outputs, new)
        return Diff() if ADMINISTRATOR in outputs["policies"] else Diff(changes=("policies",))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        with explained(self._sdk):
            principal = caller(self._sdk, inputs["region"])
            return principal, self._settled(principal, inputs)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        with explained(self._sdk):
            return self._live(object_id, inputs)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        with explained(self._sdk):
            return self._settled(object_id, new)

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        """It goes with its cluster: a `destroy` that breaks off in between can be run again by who began it."""

    def _settled(self, principal: str, inputs: Inputs) -> Outputs:
        eks, cluster = self._sdk.eks(inputs["region"]), inputs["cluster"]
        request = {"clusterName": cluster, "principalArn": principal, "type": "STANDARD"}
        tags = tags_of(cluster, inputs["name"])
        unless({"ResourceInUseException"}, lambda: eks.create_access_entry(tags=tags, **request))
        arn = f"arn:{self._sdk.partition(inputs['region'])}:eks::aws:cluster-access-policy/{ADMINISTRATOR}"
        eks.associate_access_policy(
            clusterName=cluster, principalArn=principal, policyArn=arn, accessScope={"type": "cluster"}
        )
        live = self._live(principal, inputs)
        if live is None:
            raise ProviderError(f"the access entry of {principal} vanished", fix="run the same command again")
        return live

    def _live(self, principal: str, inputs: Inputs) -> Outputs | None:
        eks = self._sdk.eks(inputs["region"])
        entry: dict[str, Any] = {"clusterName": inputs["cluster"], "principalArn": principal}
        found = unless_gone(lambda: eks.list_associated_access_policies(**entry))
        if found is None:
            return None
        policies = [policy["policyArn"].rpartition("/")[2] for policy in found["associatedAccessPolicies"]]
        common = {key: inputs[key] for key in ("name", "cluster", "region")}
        return {**common, "principal": principal, "policies": sorted(policies)}


def caller(sdk: Sdk, region: str) -> str:
    """ARN of the IAM role or user that these credentials are of. Of a role's session, the role with its path (SSO's have one)."""
    arn = str(sdk.client("sts", region).get_caller_identity()["Arn"])
    if ":assumed-role/" not in arn:
        return arn
    role = arn.split("/")[1]
    return str(sdk.iam(region).get_role(RoleName=role)["Role"]["Arn"])
