"""portable:aws:Role: an IAM role that a service of Amazon's takes on.

inputs   name (of the resource), cluster, region, service (who may take it), policies (names of Amazon's managed ones),
         inline (policy documents by name; what no managed policy grants)
outputs  name, cluster, region, role (its name in IAM), arn, policies, inline, trust
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from portable.errors import Problem, ProviderError
from portable.events import Emit
from portable.provider import Diff, Inputs, Outputs
from portable_aws.ec2 import remove_held, require_same_place
from portable_aws.session import STACK_TAG, Sdk, as_dict, as_list, stack_tag, tags_of
from portable_aws.words import explained, unless, unless_gone, when_known

LONGEST_NAME = 64


class Role:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, sdk: Sdk) -> None:
        self._sdk = sdk

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        require_same_place(outputs, new)
        wanted = {"policies": sorted(new["policies"]), "inline": new["inline"], "trust": _trust(new["service"])}
        return Diff(changes=tuple(key for key, value in wanted.items() if outputs.get(key) != value))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        with explained(self._sdk):
            name, iam = role_name(inputs), self._iam(inputs)
            if unless_gone(lambda: iam.get_role(RoleName=name)) is None:
                self._make(iam, name, inputs)
                when_known(lambda: iam.get_role(RoleName=name), self._sdk.sleep)
            return name, when_known(lambda: self._settled(iam, name, inputs), self._sdk.sleep)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        with explained(self._sdk):
            return self._live(self._iam(inputs), object_id, inputs)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        with explained(self._sdk):
            return self._settled(self._iam(new), object_id, new)

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        with explained(self._sdk):
            name, iam = outputs.get("role") or role_name(outputs), self._iam(outputs)
            found = unless_gone(lambda: iam.get_role(RoleName=name))
            if found is None or not _is_ours(found["Role"], outputs["cluster"]):
                return
            for policy in _attached(iam, name):
                unless_gone(lambda arn=policy: iam.detach_role_policy(RoleName=name, PolicyArn=arn))
            for policy in _inline_names(iam, name):
                unless_gone(lambda policy=policy: iam.delete_role_policy(RoleName=name, PolicyName=policy))
            remove_held(self._sdk, lambda: iam.delete_role(RoleName=name), f"the role {name}", emit)

    def _iam(self, inputs: Inputs) -> Any:
        return self._sdk.iam(inputs["region"])

    def _make(self, iam: Any, name: str, inputs: Inputs) -> None:
        """Names are the client token: a second creation is refused."""
        document = json.dumps(_trust(inputs["service"]))
        tags = as_list(tags_of(inputs["cluster"], inputs["name"]))
        unless(
            {"EntityAlreadyExists"},
            lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=document, Tags=tags),
        )

    def _settled(self, iam: Any, name: str, inputs: Inputs) -> Outputs:
        live = self._live(iam, name, inputs)
        if live is None:
            raise ProviderError(f"the role {name} is gone", fix="run the same command again")
        trust = _trust(inputs["service"])
        if live["trust"] != trust:
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
        for policy in sorted(set(inputs["policies"]) - set(live["policies"])):
            iam.attach_role_policy(RoleName=name, PolicyArn=self._arn(inputs["region"], policy))
        for policy in sorted(set(live["policies"]) - set(inputs["policies"])):
            arn = next(arn for arn in _attached(iam, name) if _short(arn) == policy)
            unless_gone(lambda arn=arn: iam.detach_role_policy(RoleName=name, PolicyArn=arn))
        for policy, document in inputs["inline"].items():
            if live["inline"].get(policy) != document:
                iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
        for policy in sorted(set(live["inline"]) - set(inputs["inline"])):
            unless_gone(lambda policy=policy: iam.delete_role_policy(RoleName=name, PolicyName=policy))
        return {
            **live,
            "trust": trust,
            "policies": sorted(inputs["policies"]),
            "inline": inputs["inline"],
        }

    def _live(self, iam: Any, name: str, inputs: Inputs) -> Outputs | None:
        found = unless_gone(lambda: iam.get_role(RoleName=name))
        if found is None:
            return None
        role = found["Role"]
        if not _is_ours(role, inputs["cluster"]):
            raise ProviderError(
                f"a role {name} exists and was not made by portable for this cluster",
                fix="delete or rename that role, or choose another cluster.name",
            )
        inline = {
            policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in _inline_names(iam, name)
        }
        return {
            **{key: inputs[key] for key in ("name", "cluster", "region")},
            "role": name,
            "arn": role["Arn"],
            "trust": role["AssumeRolePolicyDocument"],
            "policies": sorted(_short(arn) for arn in _attached(iam, name)),
            "inline": inline,
        }

    def _arn(self, region: str, policy: str) -> str:
        return f"arn:{self._sdk.partition(region)}:iam::aws:policy/{policy}"


def role_name(inputs: Inputs) -> str:
    """Roles are the account's, not a region's: the name holds both, cut to IAM's length with a digest."""
    whole = f"portable-{inputs['region']}-{inputs['cluster']}-{inputs['name']}"
    if len(whole) <= LONGEST_NAME:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole[: LONGEST_NAME - 9]}-{digest}"


def _trust(service: str) -> dict[str, Any]:
    """Who may take the role. EKS and pod identity tag their sessions, for which they need a permission of its own."""
    actions = ["sts:AssumeRole"] if service.startswith("ec2.") else ["sts:AssumeRole", "sts:TagSession"]
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": actions}],
    }


def _attached(iam: Any, name: str) -> list[str]:
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
    return [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]


def _inline_names(iam: Any, name: str) -> list[str]:
    pages = iam.get_paginator("list_role_policies").paginate(RoleName=name)
    return [policy for page in pages for policy in page["PolicyNames"]]


def _short(arn: str) -> str:
    """ "service-role/AmazonEBSCSIDriverPolicy" of the ARN; of a policy that is not Amazon's, the whole ARN."""
    account, _, policy = arn.partition(":policy/")
    return policy if account.endswith(":aws") else arn


def _is_ours(role: dict[str, Any], cluster: str) -> bool:
    return as_dict(role.get("Tags")).get(STACK_TAG) == stack_tag(cluster)
