"""What IAM's policy simulator says of the caller's permissions.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

from collections.abc import Sequence

from portable.spec.model import Cluster
from portable_aws.access import caller
from portable_aws.permissions import CALLS, HANDED_TO, IMPLIED, TABLE
from portable_aws.session import Sdk
from portable_aws.words import unless_gone

_PAGE = 100


class Simulation:
    """Raises the SDK's errors."""

    def __init__(self, sdk: Sdk, region: str) -> None:
        self._principal, self._iam = caller(sdk, region), sdk.iam(region)
        self._roles = f"arn:{sdk.partition(region)}:iam::{self._principal.split(':')[4]}:role"

    def denied(self, cluster: Cluster) -> list[str]:
        """ "ec2:CreateVpc", "iam:PassRole to ec2.amazonaws.com": what making `cluster` takes and the caller may not do."""
        # the policy that `providers show` prints allows these on roles of ours only, and on "*" they would be denied
        ours, roles = f"{self._roles}/portable-doctor", (*TABLE["Roles"], *IMPLIED["Roles"])
        implied = [call for calls in IMPLIED.values() for call in calls]
        others = [call for call in (*CALLS, *implied) if call not in roles]
        pages = [others[start : start + _PAGE] for start in range(0, len(others), _PAGE)]
        calls = [*(call for page in pages for call in self._ask(page)), *self._ask(roles, ours)]
        handed = [
            f"{call} to {service}"
            for service in HANDED_TO
            for call in self._ask(["iam:PassRole"], ours, "iam:PassedToService", service)
        ]
        # where roles may not be looked at, that is what is said
        return [*calls, *handed, *([] if "iam:GetRole" in calls else self._first_use(cluster))]

    def _first_use(self, cluster: Cluster) -> list[str]:
        """Of the account: a role of AWS's own that is there already needs no permission."""
        return [
            f"{call} for {service}"
            for service, role in _own_roles(cluster).items()
            for call in self._ask(
                ["iam:CreateServiceLinkedRole"],
                f"{self._roles}/aws-service-role/{service}/{role}",
                "iam:AWSServiceName",
                service,
            )
            if unless_gone(lambda role=role: self._iam.get_role(RoleName=role)) is None
        ]

    def _ask(self, calls: Sequence[str], on: str = "*", key: str = "", value: str = "") -> list[str]:
        """Those of `calls` that are denied `on` a resource, where the condition key `key` has `value`."""
        context = [{"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}] if key else []
        pages = self._iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=self._principal, ActionNames=list(calls), ResourceArns=[on], ContextEntries=context
        )
        results = [result for page in pages for result in page["EvaluationResults"]]
        return [result["EvalActionName"] for result in results if result["EvalDecision"] != "allowed"]


def _own_roles(cluster: Cluster) -> dict[str, str]:
    """Service -> the role that AWS makes for it on its first use, in the caller's name.

    Those of load balancers and of auto scaling are made by EKS's own roles: AmazonEKSClusterPolicy and
    AWSServiceRoleForAmazonEKSNodegroup let them.
    https://docs.aws.amazon.com/eks/latest/userguide/using-service-linked-roles.html
    """
    found = {"eks.amazonaws.com": "AWSServiceRoleForAmazonEKS"}
    if cluster.pools:
        found["eks-nodegroup.amazonaws.com"] = "AWSServiceRoleForAmazonEKSNodegroup"
    if any(nodes.spot for nodes in cluster.pools.values()):
        found["spot.amazonaws.com"] = "AWSServiceRoleForEC2Spot"
    return found
