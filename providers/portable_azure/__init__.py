"""Azure Kubernetes Service. https://learn.microsoft.com/azure/aks/

This module stays light: what needs the SDK is imported by the method that needs it.

    profile                       what AKS makes of the spec's words
    groups, clusters, pools, roles, audit    the resources of the cluster stack
    body, settings, sizes, versions          what they are made with, compared and put back
    operations, session, failures            how Azure is asked, waited for, and its errors in words
    access, identities            how a cluster is found and reached; who its workloads are
    kept, sweep                   what outlives a cluster
    checks, permissions           doctor; the least role
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from portable.provider import PROTOCOL_VERSION, ClusterResource, ForeignMark
from portable_azure.marks import MARKS

if TYPE_CHECKING:
    from portable.errors import Problem
    from portable.events import Emit
    from portable.provider import (
        Check,
        ClusterState,
        Credentials,
        Inputs,
        KubeObject,
        Leftover,
        NativeResource,
        Outputs,
        Profile,
        RegistryLogin,
        ResourceType,
        Token,
        Zones,
    )
    from portable.spec.model import Cluster
    from portable_azure.session import Session

GROUP = "portable:azure:ResourceGroup"
CLUSTER = "portable:azure:ManagedCluster"
POOL = "portable:azure:AgentPool"
ROLE = "portable:azure:RoleAssignment"
ACCESS = "portable:azure:ClusterAccess"
AUDIT = "portable:azure:AuditLog"


class Azure:
    """The plugin: `Provider`, and of the optional capabilities `Tokens`, `KeptData`, `KeptVolumes`, `Sweep`, `Identities` and
    `Dns`."""

    protocol = PROTOCOL_VERSION
    name = "azure"
    aliases: tuple[str, ...] = ("aks",)
    title = "Azure Kubernetes Service"
    foreign_marks: tuple[ForeignMark, ...] = MARKS

    def __init__(self, session: Session | None = None) -> None:
        self._given = session

    @property
    def _session(self) -> Session:
        if self._given is None:
            from portable_azure.session import Session

            self._given = Session()
        return self._given

    def profile(self, cluster: Cluster) -> Profile:
        from portable_azure.profile import profile

        return profile(cluster)

    def cluster(self, cluster: Cluster) -> Sequence[ClusterResource]:
        """Nothing for an existing cluster. Raises ProviderError where no location or subscription is chosen."""
        from portable_azure import resources

        return () if cluster.existing else resources.of(cluster, self._session.subscription)

    def resource_types(self) -> Mapping[str, ResourceType]:
        from portable_azure.audit import AuditLog
        from portable_azure.clusters import ManagedCluster
        from portable_azure.groups import ResourceGroup
        from portable_azure.pools import AgentPool
        from portable_azure.roles import ClusterAccess, RoleAssignment

        session = self._session
        return {
            GROUP: ResourceGroup(session),
            CLUSTER: ManagedCluster(session),
            POOL: AgentPool(session),
            ROLE: RoleAssignment(session),
            ACCESS: ClusterAccess(session),
            AUDIT: AuditLog(session),
        }

    def find(self, cluster: Cluster) -> ClusterState | None:
        from portable_azure import access

        return access.find(self._session, cluster)

    def credentials(self, cluster: Cluster) -> Credentials:
        from portable_azure import access

        return access.credentials(self._session, cluster)

    def doctor(self, cluster: Cluster, *, fix: bool, emit: Emit) -> Sequence[Check]:
        from portable_azure import checks

        return checks.run(self._session, cluster, fix=fix, emit=emit)

    def permissions(self) -> str:
        from portable_azure import permissions

        return permissions.role()

    # -- Tokens ----------------------------------------------------------------------------------------------------

    def token(self, cluster: Cluster) -> Token:
        return self._session.cluster_token()

    # -- KeptData, KeptVolumes -------------------------------------------------------------------------------------

    def kept_data(self, cluster: Cluster, namespace: str) -> Sequence[str]:
        from portable_azure import kept

        return kept.data(self._session, cluster, namespace)

    def delete_kept_data(self, cluster: Cluster, namespace: str, emit: Emit) -> None:
        from portable_azure import kept

        kept.delete(self._session, cluster, namespace, emit)

    def persistent_volumes(self, cluster: Cluster, namespace: str) -> Sequence[KubeObject]:
        from portable_azure import kept

        return kept.persistent_volumes(self._session, cluster, namespace)

    # -- Identities ------------------------------------------------------------------------------------------------

    def identity_problems(self, cluster: Cluster, identities: Mapping[str, str]) -> Sequence[Problem]:
        from portable_azure import identities as trust

        return trust.problems(self._session, identities)

    def bind(self, cluster: Cluster, namespace: str, identities: Mapping[str, str]) -> None:
        from portable_azure import identities as trust

        trust.bind(self._session, cluster, namespace, identities)

    # -- Dns -------------------------------------------------------------------------------------------------------

    def dns(self, cluster: Cluster) -> Zones:
        from portable_azure.dns import AzureDns

        return AzureDns(self._session)

    # -- Registry --------------------------------------------------------------------------------------------------

    def ensure_repository(self, cluster: Cluster, name: str, emit: Emit) -> str:
        from portable_azure import registry

        return registry.ensure_repository(self._session, cluster, name, emit)

    def registry_login(self, cluster: Cluster) -> RegistryLogin:
        from portable_azure import registry

        return registry.login(self._session, cluster)

    def owns_image(self, cluster: Cluster, image: str) -> bool:
        from portable_azure import registry

        return registry.owns(image)

    # -- Sweep -----------------------------------------------------------------------------------------------------

    def leftovers(self, cluster: Cluster) -> Sequence[Leftover]:
        from portable_azure import sweep

        return sweep.leftovers(self._session, cluster)

    def remove(self, cluster: Cluster, leftover: Leftover, emit: Emit) -> str:
        from portable_azure import sweep

        return sweep.remove(self._session, leftover, emit)

    # -- NativeResources -------------------------------------------------------------------------------------------

    def native_resources(self, type: str, name: str, inputs: Inputs, outputs: Outputs) -> Sequence[NativeResource]:
        from portable_azure import native

        return native.native_resources(type, name, inputs, outputs)
