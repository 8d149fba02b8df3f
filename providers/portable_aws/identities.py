"""Workload identity: an IAM role for a service account, by EKS pod identity. https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portable.errors import Problem, ProviderError
from portable.spec.model import Cluster
from portable_aws.session import STACK_TAG, Sdk, stack_tag
from portable_aws.words import explained, unless, unless_gone

APP_TAG = "portable:app"
POD_IDENTITY = "pods.eks.amazonaws.com"


def bind(sdk: Sdk, cluster: Cluster, namespace: str, identities: Mapping[str, str]) -> None:
    """Associates each service account of `namespace` with its role (ARN), and ends associations of ours that are no longer wanted.

    Raises ProviderError for a role that is none, or that EKS may not hand out.
    """
    region = sdk.region(cluster)
    with explained(sdk):
        eks = sdk.eks(region)
        for problem in problems(sdk, cluster, identities):
            raise ProviderError(f"{problem.path}: {problem.message}", fix=problem.hint)
        live = _ours(eks, cluster.name, namespace)
        for account, association in live.items():
            if account not in identities:
                unless_gone(lambda of=association: eks.delete_pod_identity_association(**_of(cluster.name, of)))
        for account, role in identities.items():
            if account not in live:
                _associate(eks, cluster.name, namespace, account, role)
            elif live[account]["roleArn"] != role:
                eks.update_pod_identity_association(roleArn=role, **_of(cluster.name, live[account]))


def problems(sdk: Sdk, cluster: Cluster, identities: Mapping[str, str]) -> list[Problem]:
    """Of each role (ARN) that is none, or that EKS may not hand out."""
    region = sdk.region(cluster)
    with explained(sdk):
        found = {account: _problem(sdk, region, role) for account, role in identities.items()}
    return [
        Problem(what, path=f"workloads.{account}.identity", hint=fix) for account, (what, fix) in found.items() if what
    ]


def _ours(eks: Any, cluster: str, namespace: str) -> dict[str, dict[str, Any]]:
    """service account -> association, of those that portable made."""
    pages = eks.get_paginator("list_pod_identity_associations").paginate(clusterName=cluster, namespace=namespace)
    found: dict[str, dict[str, Any]] = {}
    for entry in (entry for page in pages for entry in page["associations"]):
        association = eks.describe_pod_identity_association(**_of(cluster, entry))["association"]
        if association.get("tags", {}).get(STACK_TAG) == stack_tag(cluster):
            found[association["serviceAccount"]] = association
    return found


def _associate(eks: Any, cluster: str, namespace: str, account: str, role: str) -> None:
    tags = {STACK_TAG: stack_tag(cluster), APP_TAG: namespace}
    request = {"clusterName": cluster, "namespace": namespace, "serviceAccount": account, "roleArn": role}
    unless({"ResourceInUseException"}, lambda: eks.create_pod_identity_association(tags=tags, **request))


def _problem(sdk: Sdk, region: str, role: str) -> tuple[str, str]:
    """(what is wrong with a role, what to do about it); empty where it can be handed out."""
    name = role.rpartition("/")[2]
    if ":role/" not in role:
        return f"{role!r} is no IAM role", "name it as arn:aws:iam::ACCOUNT:role/NAME"
    found = unless_gone(lambda: sdk.iam(region).get_role(RoleName=name))
    if found is None:
        fix = "make it, with the permissions that the workload needs, and run the same command again"
        return f"there is no IAM role {role}", fix
    if POD_IDENTITY not in str(found["Role"]["AssumeRolePolicyDocument"]):
        fix = f'its trust policy has to allow sts:AssumeRole and sts:TagSession to {{"Service": "{POD_IDENTITY}"}}'
        return f"the role {name} does not let EKS hand it to pods", fix
    return "", ""


def _of(cluster: str, association: Mapping[str, Any]) -> dict[str, str]:
    return {"clusterName": cluster, "associationId": association["associationId"]}
