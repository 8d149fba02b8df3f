"""Kubernetes versions: which there are, and the way from one to another."""

from __future__ import annotations

from typing import Any

from portable.errors import ProviderError
from portable_aws.session import Sdk

# Nodes may be three minor versions behind their control plane, and follow it when it has arrived.
# https://kubernetes.io/releases/version-skew-policy/#kubelet
MOST_STEPS = 3


def minor(version: str) -> tuple[int, int]:
    """ "1.33" and "1.33.4" are both (1, 33)."""
    major, number = version.split(".")[:2]
    return int(major), int(number)


def is_upgrade(cluster: str, live: str, wanted: str) -> bool:
    """Whether `wanted` ("": as it is) is newer. Raises ProviderError for what is no way: down, or too far at once."""
    if not wanted:
        return False
    now, then = minor(live), minor(wanted)
    if then < now:
        raise ProviderError(
            f"the cluster {cluster} runs Kubernetes {live}; it cannot go back to {wanted}",
            fix=f'set cluster.version to "{live}", or make another cluster under another name',
        )
    if then[1] - now[1] > MOST_STEPS:
        raise ProviderError(
            f"the cluster {cluster} cannot go from Kubernetes {live} to {wanted} at once: nodes follow {MOST_STEPS} minor versions at most",
            fix=f'first set cluster.version to "{now[0]}.{now[1] + MOST_STEPS}" and run `portable up`',
        )
    return then > now


def steps(live: str, wanted: str) -> list[str]:
    """Each minor version on the way: EKS takes one at a time."""
    major, number = minor(live)
    return [f"{major}.{step}" for step in range(number + 1, minor(wanted)[1] + 1)]


def offered(sdk: Sdk, region: str) -> list[str]:
    """Those in standard support, newest first."""
    eks: Any = sdk.eks(region)
    pages = eks.get_paginator("describe_cluster_versions").paginate(versionStatus="STANDARD_SUPPORT")
    found = {entry["clusterVersion"] for page in pages for entry in page["clusterVersions"]}
    return sorted(found, key=minor, reverse=True)


def chosen(sdk: Sdk, region: str, wanted: str) -> str:
    """`wanted` in EKS's words, or the newest. Raises ProviderError with those that there are."""
    found = offered(sdk, region)
    version = ".".join(map(str, minor(wanted))) if wanted else next(iter(found), "")
    if version not in found:
        raise ProviderError(
            f"Amazon EKS in {region} does not offer Kubernetes {wanted or '(any)'}",
            detail=f"in standard support there: {', '.join(found) or 'none'}",
            fix=f'set cluster.version to "{found[0]}", or leave it out' if found else "choose another cluster.region",
        )
    return version
