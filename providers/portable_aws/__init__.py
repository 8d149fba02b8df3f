"""Amazon EKS. https://docs.aws.amazon.com/eks/latest/userguide/

This module stays light: what needs the SDK is imported by the method that needs it.

    stack                              what a cluster is made of, in which order, at which price
    ec2, network, template             the network and the machines' template
    roles, logs                        IAM roles, the audit log's place
    cluster, versions, access          the cluster itself, its upgrades, who may administer it
    addon, nodes, machines             add-ons, node pools, which machine a size becomes
    eks, session, words                waiting and failures, the SDK's clients, its errors for a person
    credentials, identities            kubeconfig and tokens; cloud identities of workloads
    kept, sweep                        disks that outlive their cluster; what was left behind
    dns, certificates                  Route 53 and ACM, for routes
    registry                           ECR, for images that are built
    checks, simulation                 doctor, which permissions are missing
    permissions, prices                the IAM policy, list prices
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from portable.provider import PROTOCOL_VERSION, ForeignMark
from portable_aws.marks import MARKS

if TYPE_CHECKING:
    from portable.errors import Problem
    from portable.events import Emit
    from portable.provider import (
        Certificate,
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
    from portable_aws.session import Sdk


class Aws:
    """The plugin: `Provider`, and of the optional capabilities `Tokens`, `Identities`, `KeptData`, `KeptVolumes`, `Sweep`, `Dns`,
    `Certificates` and `Registry`."""

    protocol = PROTOCOL_VERSION
    name = "aws"
    aliases: tuple[str, ...] = ("eks",)
    title = "Amazon EKS"
    foreign_marks: tuple[ForeignMark, ...] = MARKS

    def __init__(self, sdk: Sdk | None = None) -> None:
        """`sdk`: a seam for tests, which wait less long and ask another endpoint."""
        self._given = sdk

    @property
    def _sdk(self) -> Sdk:
        if self._given is None:
            from portable_aws.session import Sdk

            self._given = Sdk()
        return self._given

    def profile(self, cluster: Cluster) -> Profile:
        from portable_aws.profile import profile

        return profile(cluster)

    def cluster(self, cluster: Cluster) -> Sequence[ClusterResource]:
        if cluster.existing:
            return ()
        from portable_aws.stack import resources

        return resources(cluster, self._sdk.region(cluster))

    def resource_types(self) -> Mapping[str, ResourceType]:
        from portable_aws.types import resource_types

        return resource_types(self._sdk)

    def find(self, cluster: Cluster) -> ClusterState | None:
        from portable_aws import credentials

        return credentials.find(self._sdk, cluster)

    def credentials(self, cluster: Cluster) -> Credentials:
        from portable_aws import credentials

        return credentials.credentials(self._sdk, cluster)

    def doctor(self, cluster: Cluster, *, fix: bool, emit: Emit) -> Sequence[Check]:
        from portable_aws import checks

        return checks.run(self._sdk, cluster)

    def permissions(self) -> str:
        from portable_aws import permissions

        return permissions.text()

    # -- Tokens ----------------------------------------------------------------------------------------------------

    def token(self, cluster: Cluster) -> Token:
        from portable_aws import credentials

        return credentials.token(self._sdk, cluster)

    # -- Identities ------------------------------------------------------------------------------------------------

    def identity_problems(self, cluster: Cluster, identities: Mapping[str, str]) -> Sequence[Problem]:
        from portable_aws import identities as pod_identity

        return pod_identity.problems(self._sdk, cluster, identities)

    def bind(self, cluster: Cluster, namespace: str, identities: Mapping[str, str]) -> None:
        from portable_aws import identities as pod_identity

        pod_identity.bind(self._sdk, cluster, namespace, identities)

    # -- KeptData, KeptVolumes -------------------------------------------------------------------------------------

    def kept_data(self, cluster: Cluster, namespace: str) -> Sequence[str]:
        from portable_aws import kept

        return kept.kept(self._sdk, self._sdk.region(cluster), cluster.name, namespace)

    def delete_kept_data(self, cluster: Cluster, namespace: str, emit: Emit) -> None:
        from portable_aws import kept

        kept.delete(self._sdk, self._sdk.region(cluster), cluster.name, namespace, emit)

    def persistent_volumes(self, cluster: Cluster, namespace: str) -> Sequence[KubeObject]:
        from portable_aws import kept
        from portable_aws.profile import STORAGE_CLASS, driver

        region = self._sdk.region(cluster)
        return kept.persistent_volumes(self._sdk, region, cluster.name, namespace, driver(cluster), STORAGE_CLASS)

    # -- Dns, Certificates -----------------------------------------------------------------------------------------

    def dns(self, cluster: Cluster) -> Zones:
        from portable_aws.dns import Route53

        return Route53(self._sdk, self._sdk.region(cluster))

    def certificate_for(self, cluster: Cluster, host: str, app: str) -> Certificate:
        from portable_aws import certificates

        return certificates.certificate_for(self._sdk, self._sdk.region(cluster), cluster.name, host, app)

    def delete_certificates(self, cluster: Cluster, app: str) -> Sequence[Certificate]:
        from portable_aws import certificates

        return certificates.delete_certificates(self._sdk, self._sdk.region(cluster), app)

    # -- Registry --------------------------------------------------------------------------------------------------

    def ensure_repository(self, cluster: Cluster, name: str, emit: Emit) -> str:
        from portable_aws import registry

        return registry.ensure_repository(self._sdk, self._sdk.region(cluster), name, emit)

    def registry_login(self, cluster: Cluster) -> RegistryLogin:
        from portable_aws import registry

        return registry.login(self._sdk, self._sdk.region(cluster))

    def owns_image(self, cluster: Cluster, image: str) -> bool:
        from portable_aws import registry

        return registry.owns(image)

    # -- Sweep -----------------------------------------------------------------------------------------------------

    def leftovers(self, cluster: Cluster) -> Sequence[Leftover]:
        from portable_aws import sweep
        from portable_aws.words import explained

        with explained(self._sdk):
            return sweep.leftovers(self._sdk, self._sdk.region(cluster), cluster.name)

    def remove(self, cluster: Cluster, leftover: Leftover, emit: Emit) -> str:
        from portable_aws import sweep

        return sweep.remove(self._sdk, self._sdk.region(cluster), leftover, emit)

    # -- NativeResources -------------------------------------------------------------------------------------------

    def native_resources(self, type: str, name: str, inputs: Inputs, outputs: Outputs) -> Sequence[NativeResource]:
        from portable_aws import native

        return native.native_resources(type, name, inputs, outputs)
