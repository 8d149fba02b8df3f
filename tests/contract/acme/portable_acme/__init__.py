"""Acme Cloud: a plugin as a third party writes it. See docs/writing-a-provider.md.

This module stays light: the SDK is imported by the modules that the methods below import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from portable.provider import PROTOCOL_VERSION, ClusterResource, Ref

if TYPE_CHECKING:
    from portable.errors import Problem
    from portable.events import Emit
    from portable.provider import (
        Check,
        ClusterState,
        Credentials,
        KubeObject,
        Leftover,
        Profile,
        ResourceType,
        Token,
    )
    from portable.spec.model import Cluster

NETWORK = "portable:acme:Network"
CLUSTER = "portable:acme:Cluster"


class Acme:
    """`Provider`, and of the optional capabilities `Tokens`, `Identities`, `Sweep`, `KeptData` and `KeptVolumes`."""

    protocol = PROTOCOL_VERSION
    name = "acme"
    aliases: tuple[str, ...] = ("ake",)
    title = "Acme Kubernetes Engine"

    def profile(self, cluster: Cluster) -> Profile:
        from portable_acme.profile import PROFILE

        return PROFILE

    def cluster(self, cluster: Cluster) -> Sequence[ClusterResource]:
        if cluster.existing:
            return ()
        inputs = {
            "name": cluster.name,
            "version": cluster.version or "",
            "network": Ref("network", "name"),
            "pools": {name: asdict(nodes) for name, nodes in cluster.pools.items()},
        }
        note = "the cluster costs about 0.10 acorns per hour (list price of 2026-11)"
        return (
            ClusterResource(NETWORK, "network", {"name": cluster.name}),
            ClusterResource(CLUSTER, "cluster", inputs, note=note),
        )

    def resource_types(self) -> Mapping[str, ResourceType]:
        from portable_acme.resources import ClusterType, NetworkType

        return {NETWORK: NetworkType(), CLUSTER: ClusterType()}

    def find(self, cluster: Cluster) -> ClusterState | None:
        from portable_acme import account

        return account.find(cluster.name)

    def credentials(self, cluster: Cluster) -> Credentials:
        from portable_acme import account

        return account.credentials(cluster.name)

    def doctor(self, cluster: Cluster, *, fix: bool, emit: Emit) -> Sequence[Check]:
        from portable_acme import account

        return account.checks()

    def permissions(self) -> str:
        return "networks: read, write\nclusters: read, write\nbindings: read, write\ndisks: read, delete\n"

    # -- Tokens ----------------------------------------------------------------------------------------------------

    def token(self, cluster: Cluster) -> Token:
        from portable_acme import account

        return account.token()

    # -- Identities ------------------------------------------------------------------------------------------------

    def identity_problems(self, cluster: Cluster, identities: Mapping[str, str]) -> Sequence[Problem]:
        from portable_acme import account

        return account.identity_problems(identities)

    def bind(self, cluster: Cluster, namespace: str, identities: Mapping[str, str]) -> None:
        from portable_acme import account

        account.bind(f"{cluster.name}.{namespace}", identities)

    # -- Sweep -----------------------------------------------------------------------------------------------------

    def leftovers(self, cluster: Cluster) -> Sequence[Leftover]:
        from portable_acme import sweep

        return sweep.leftovers(cluster.name)

    def remove(self, cluster: Cluster, leftover: Leftover, emit: Emit) -> str:
        from portable_acme import sweep

        return sweep.remove(leftover)

    # -- KeptData, KeptVolumes -------------------------------------------------------------------------------------

    def kept_data(self, cluster: Cluster, namespace: str) -> Sequence[str]:
        from portable_acme import disks

        return disks.kept(cluster.name, namespace)

    def delete_kept_data(self, cluster: Cluster, namespace: str, emit: Emit) -> None:
        from portable_acme import disks

        disks.delete(cluster.name, namespace)

    def persistent_volumes(self, cluster: Cluster, namespace: str) -> Sequence[KubeObject]:
        from portable_acme import disks

        return disks.persistent_volumes(cluster.name, namespace)
