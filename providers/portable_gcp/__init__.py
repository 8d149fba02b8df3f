"""Google Kubernetes Engine. https://cloud.google.com/kubernetes-engine

This module stays light: Google's SDK is imported with the first call.

    calls, permissions              everything that is ever called, and the role that this takes
    session, place                  credentials, clients, errors; project and region
    operations, compute             long-running operations of GKE and of Compute Engine
    cluster, settings, versions     the cluster
    pools, machines                 its nodes, where it is not Autopilot
    network, account                what it stands on
    kept, shares, sweep, leftovers  what outlives it
    identities, checks              workload identity; doctor
    dns, registry                   Cloud DNS; Artifact Registry, for images that are built
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from portable.provider import PROTOCOL_VERSION, ForeignMark
from portable_gcp.marks import MARKS

if TYPE_CHECKING:
    from portable.errors import Problem
    from portable.events import Emit
    from portable.provider import (
        Check,
        ClusterResource,
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
    from portable_gcp.place import Place
    from portable_gcp.session import Google, Pace


class Gcp:
    """The plugin: `Provider`, and of the optional capabilities `Tokens`, `KeptData`, `KeptVolumes`, `Identities`, `Sweep`, `Dns`
    and `Registry`."""

    protocol = PROTOCOL_VERSION
    name = "gcp"
    aliases: tuple[str, ...] = ("gke",)
    title = "Google Kubernetes Engine"
    foreign_marks: tuple[ForeignMark, ...] = MARKS

    def __init__(self, pace: Pace | None = None) -> None:
        """`pace`: how long waits are, for tests."""
        self._pace = pace
        self._connected: Google | None = None

    def profile(self, cluster: Cluster) -> Profile:
        from portable_gcp.profile import profile

        return profile(cluster)

    def cluster(self, cluster: Cluster) -> Sequence[ClusterResource]:
        from portable_gcp.stack import resources

        return () if cluster.existing else resources(cluster, self._place(cluster))

    def resource_types(self) -> Mapping[str, ResourceType]:
        from portable_gcp.stack import types

        return types(self._google)

    def find(self, cluster: Cluster) -> ClusterState | None:
        """Whoever made it: that one which is not ours is left alone is its resource's affair."""
        from portable_gcp import cluster as clusters

        live = clusters.find(self._google, self._place(cluster), cluster.name)
        return None if live is None else clusters.state(live)

    def credentials(self, cluster: Cluster) -> Credentials:
        from portable.access import exec_kubeconfig
        from portable.errors import ClusterGone
        from portable.provider import Credentials
        from portable_gcp import cluster as clusters
        from portable_gcp.place import CREDENTIAL_CHOICES

        place = self._place(cluster)
        live = clusters.find(self._google, place, cluster.name)
        if live is None:
            raise ClusterGone(
                f"there is no cluster {cluster.name} in {place.region} of {place.project}",
                fix=f"make it with `portable up --cloud {self.name}`, or look at cluster.region and the project",
            )
        server, trust = f"https://{live.endpoint}", live.master_auth.cluster_ca_certificate
        document = exec_kubeconfig(
            self.name, cluster.name, server, trust, region=place.region, choices=CREDENTIAL_CHOICES
        )
        return Credentials(document, token=self._google.token)

    def doctor(self, cluster: Cluster, *, fix: bool, emit: Emit) -> Sequence[Check]:
        from portable_gcp import checks

        return checks.run(self._google, cluster)

    def permissions(self) -> str:
        from portable_gcp import permissions

        return permissions.text()

    # -- Tokens ----------------------------------------------------------------------------------------------------

    def token(self, cluster: Cluster) -> Token:
        return self._google.token()

    # -- Identities ------------------------------------------------------------------------------------------------

    def identity_problems(self, cluster: Cluster, identities: Mapping[str, str]) -> Sequence[Problem]:
        from portable_gcp.identities import problems

        return problems(self._google, identities)

    def bind(self, cluster: Cluster, namespace: str, identities: Mapping[str, str]) -> None:
        from portable_gcp.identities import bind

        bind(self._google, self._place(cluster).project, namespace, identities)

    # -- KeptData, KeptVolumes -------------------------------------------------------------------------------------

    def kept_data(self, cluster: Cluster, namespace: str) -> Sequence[str]:
        from portable_gcp import kept

        return kept.words(self._google, self._place(cluster), cluster.name, namespace)

    def delete_kept_data(self, cluster: Cluster, namespace: str, emit: Emit) -> None:
        from portable_gcp import kept

        kept.delete(self._google, self._place(cluster), cluster.name, namespace, emit)

    def persistent_volumes(self, cluster: Cluster, namespace: str) -> Sequence[KubeObject]:
        from portable_gcp import kept

        return kept.persistent_volumes(self._google, self._place(cluster), cluster.name, namespace)

    # -- Dns -------------------------------------------------------------------------------------------------------

    def dns(self, cluster: Cluster) -> Zones:
        from portable_gcp.dns import CloudDns

        return CloudDns(self._google, self._place(cluster).project)

    # -- Registry --------------------------------------------------------------------------------------------------

    def ensure_repository(self, cluster: Cluster, name: str, emit: Emit) -> str:
        from portable_gcp import registry

        return registry.ensure_repository(self._google, self._place(cluster), name, emit)

    def registry_login(self, cluster: Cluster) -> RegistryLogin:
        from portable_gcp import registry

        return registry.login(self._google, self._place(cluster))

    def owns_image(self, cluster: Cluster, image: str) -> bool:
        from portable_gcp import registry

        return registry.owns(self._place(cluster), image)

    # -- Sweep -----------------------------------------------------------------------------------------------------

    def leftovers(self, cluster: Cluster) -> Sequence[Leftover]:
        from portable_gcp import sweep

        return [] if cluster.existing else sweep.find(self._google, self._place(cluster), cluster.name)

    def remove(self, cluster: Cluster, leftover: Leftover, emit: Emit) -> str:
        from portable_gcp import sweep

        return sweep.remove(self._google, self._place(cluster), cluster.name, leftover, emit)

    # -- plumbing --------------------------------------------------------------------------------------------------

    @property
    def _google(self) -> Google:
        """One for the life of the plugin: tokens and connections are used again."""
        from portable_gcp.session import Google, Pace

        if self._connected is None:
            self._connected = Google(self._pace or Pace())
        return self._connected

    def _place(self, cluster: Cluster) -> Place:
        from portable_gcp.place import locate

        return locate(self._google, cluster)

    # -- NativeResources -------------------------------------------------------------------------------------------

    def native_resources(self, type: str, name: str, inputs: Inputs, outputs: Outputs) -> Sequence[NativeResource]:
        from portable_gcp import native

        return native.native_resources(type, name, inputs, outputs)
