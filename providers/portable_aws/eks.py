"""What all that EKS makes has in common: looked up by name, waited for, its failures in the service's own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from portable.errors import ProviderError
from portable.events import Emit
from portable.polling import Pending, poll
from portable_aws.session import STACK_TAG, Sdk, stack_tag
from portable_aws.words import code_of, message_of, unless_gone

Made = TypeVar("Made")

UPDATE_SECONDS = 3600.0
# A new role takes seconds until every part of AWS knows it, rarely minutes.
ROLE_INTERVAL = 5.0
ROLE_TRIES = 36
# https://docs.aws.amazon.com/eks/latest/APIReference/API_ClusterIssue.html and API_Issue.html; what to do about the usual ones.
_CURES = {
    "AccessDenied": "give the cluster's role back what `portable up` had attached to it",
    "AsgInstanceLaunchFailures": "the region has none left of that machine: ask for another cpu or memory, or set spot: false",
    "Ec2SubnetNotFound": "a subnet was deleted behind portable's back: `portable drift --fix` makes it again",
    "IamNodeRoleNotFound": "the nodes' role was deleted behind portable's back: `portable drift --fix` makes it again",
    "IamRoleNotFound": "the cluster's role was deleted behind portable's back: `portable drift --fix` makes it again",
    "InstanceLimitExceeded": "ask for more vCPUs under Service Quotas (EC2, Running On-Demand Standard instances), or for fewer nodes",
    "InsufficientFreeAddresses": "the subnets have no free addresses left: make another cluster under another name",
    "NodeCreationFailure": "the machines started and did not join: they must reach the API server (routes, cluster.api.allow)",
    "ResourceLimitExceeded": "ask for more under Service Quotas (EKS), or delete clusters that are no longer needed",
    "VpcNotFound": "the network was deleted behind portable's back: `portable destroy`, then `portable up`",
}


def cluster_of(eks: Any, name: str) -> dict[str, Any] | None:
    found = unless_gone(lambda: eks.describe_cluster(name=name))
    return None if found is None else found["cluster"]


def is_ours(cluster: Mapping[str, Any]) -> bool:
    return cluster.get("tags", {}).get(STACK_TAG) == stack_tag(cluster["name"])


def require_ours(cluster: Mapping[str, Any]) -> None:
    name = cluster["name"]
    if not is_ours(cluster):
        raise ProviderError(
            f"a cluster {name} exists and was not made by portable",
            fix="use it as it is with `cluster: {existing: " + name + "}`, or choose another cluster.name",
        )


def update_done(sdk: Sdk, region: str, update: Mapping[str, Any], what: str, usual: str, emit: Emit, **of: str) -> None:
    """Waits for an update that the service carries out (`of`: name, nodegroupName, addonName). Raises ProviderError."""

    def look() -> bool | Pending:
        now = sdk.eks(region).describe_update(updateId=update["id"], **of)["update"]
        if now["status"] in ("Failed", "Cancelled"):
            raise failed(what, now["status"], _errors(now.get("errors", ())))
        return True if now["status"] == "Successful" else Pending(now["status"])

    sdk.wait(look, what=what, usual=usual, timeout=UPDATE_SECONDS, emit=emit)


def failed(what: str, status: str, issues: Sequence[tuple[str, str]]) -> ProviderError:
    """`issues`: (code, message), the service's own."""
    reasons = "; ".join(f"{code}: {message}" for code, message in issues) or "AWS gives no reason"
    cures = [_CURES[code] for code, _ in issues if code in _CURES]
    fix = "; ".join(dict.fromkeys(cures)) or "mend what it names"
    return ProviderError(f"{what}: {status}: {reasons}", fix=f"{fix}; then run the same command again")


def issues(thing: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Those of a cluster's, node group's or add-on's health."""
    return [
        (str(issue.get("code", "")), str(issue.get("message", "")))
        for issue in thing.get("health", {}).get("issues", ())
    ]


def _errors(errors: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(str(error.get("errorCode", "")), str(error.get("errorMessage", ""))) for error in errors]


def when_role_is_known(sdk: Sdk, call: Callable[[], Made], emit: Emit) -> Made:
    """What `call` makes, tried again while the service does not know a role yet that was made a moment ago."""
    from botocore.exceptions import ClientError

    left = ROLE_TRIES

    def attempt() -> Made | Pending:
        nonlocal left
        left -= 1
        try:
            return call()
        except ClientError as error:
            if code_of(error) != "InvalidParameterException" or "role" not in message_of(error).lower() or not left:
                raise
            return Pending("until AWS knows the new roles everywhere")

    interval = min(sdk.interval, ROLE_INTERVAL)
    return poll(attempt, what="waiting", timeout=UPDATE_SECONDS, emit=emit, interval=interval, sleep=sdk.sleep)
