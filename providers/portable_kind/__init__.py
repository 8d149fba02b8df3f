"""kind: a real Kubernetes cluster in containers on the user's own machine. https://kind.sigs.k8s.io

This module stays light: what needs Docker, kind or cryptography is imported by the method that needs it.

    cluster, addons            the two resources of the cluster stack
    lifecycle, kind, docker    how a cluster is asked, made, started again
    images, archives           what is built on this machine, into the nodes
    database_images            what runs in it without a registry
    routes, authority, ports   how it is reached, with TLS
    kept_data, record, folders what stays on this machine
    checks                     doctor
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from portable.provider import PROTOCOL_VERSION, ClusterResource, Ref

if TYPE_CHECKING:
    from pathlib import Path

    from portable.events import Emit
    from portable.provider import Check, ClusterState, Credentials, Profile, ResourceType, RouteAddress
    from portable.spec.model import Cluster

CLUSTER = "portable:kind:Cluster"
ADDONS = "portable:kind:Addons"


class Kind:
    """The plugin: `Provider`, and of the optional capabilities `LocalImages`, `ImageArchives`, `LiveFiles`, `Routes` and `KeptData`."""

    protocol = PROTOCOL_VERSION
    name = "kind"
    aliases: tuple[str, ...] = ()
    title = "kind"

    def profile(self, cluster: Cluster) -> Profile:
        """What the cluster offers as it is, or as it would be made on this machine now; official images without Docker."""
        from portable_kind import node_images
        from portable_kind.profile import profile

        return profile(self_built=node_images.is_self_built(cluster.name, cluster.version or ""))

    def cluster(self, cluster: Cluster) -> Sequence[ClusterResource]:
        from portable_kind import addons

        if cluster.existing:
            return ()
        inputs = {"name": cluster.name, "version": cluster.version or "", "nodes": cluster.nodes.min}
        uses = {"cluster": Ref("cluster", "name"), "uid": Ref("cluster", "uid"), "digest": addons.digest()}
        return (
            ClusterResource(CLUSTER, "cluster", inputs),
            ClusterResource(ADDONS, "addons", uses, depends_on=("cluster",)),
        )

    def resource_types(self) -> Mapping[str, ResourceType]:
        from portable_kind.addons import AddonsResource
        from portable_kind.cluster import ClusterResource as Resource

        return {CLUSTER: Resource(), ADDONS: AddonsResource()}

    def find(self, cluster: Cluster) -> ClusterState | None:
        from portable_kind import lifecycle

        return lifecycle.find(cluster.name)

    def credentials(self, cluster: Cluster) -> Credentials:
        """Starts a cluster that was stopped (the machine was restarted) first. Raises ClusterGone where there is none."""
        from portable.provider import Credentials
        from portable_kind import lifecycle

        return Credentials(lifecycle.credentials(cluster.name))

    def doctor(self, cluster: Cluster, *, fix: bool, emit: Emit) -> Sequence[Check]:
        from portable_kind import checks

        return checks.run(fix=fix, emit=emit)

    def permissions(self) -> str:
        return (
            "kind needs no account and no cloud permissions, only the use of a Docker engine on this machine: membership "
            "in the group `docker`, or root.\n"
        )

    # -- LocalImages -----------------------------------------------------------------------------------------------

    def find_images(self, images: Sequence[str]) -> Mapping[str, str]:
        from portable_kind import images as local

        return local.find(images)

    def load_images(self, cluster: Cluster, images: Sequence[str], emit: Emit) -> Mapping[str, str]:
        from portable_kind import images as local

        return local.load(cluster.name, images, emit)

    # -- ImageArchives ---------------------------------------------------------------------------------------------

    def held_images(self, cluster: Cluster, images: Sequence[str]) -> Mapping[str, str]:
        from portable_kind import archives

        return archives.held(cluster.name, images)

    def load_archive(self, cluster: Cluster, archive: Path, image: str, emit: Emit) -> str:
        from portable_kind import archives

        return archives.load(cluster.name, archive, image)

    # -- LiveFiles -------------------------------------------------------------------------------------------------

    def write_files(self, cluster: Cluster, node: str, container: str, archive: bytes) -> None:
        from portable_kind import archives

        archives.write_files(node, container, archive)

    # -- Routes ----------------------------------------------------------------------------------------------------

    def addresses(self, cluster: Cluster, hosts: Sequence[tuple[str, str, bool]]) -> Sequence[RouteAddress]:
        from portable_kind import authority, lifecycle, routes

        return routes.addresses(lifecycle.ports(cluster.name), hosts, authority.trust_note())

    def certificate(self, hosts: Sequence[str]) -> tuple[str, str]:
        from portable_kind import authority

        return authority.certificate(hosts)

    # -- KeptData --------------------------------------------------------------------------------------------------

    def kept_data(self, cluster: Cluster, namespace: str) -> Sequence[str]:
        """ "NAMESPACE/CLAIM" of each kept volume; an empty `namespace` means all of the cluster."""
        from portable_kind import kept_data

        return kept_data.kept(cluster.name, namespace)

    def delete_kept_data(self, cluster: Cluster, namespace: str, emit: Emit) -> None:
        from portable_kind import kept_data

        kept_data.delete(cluster.name, namespace, emit)
