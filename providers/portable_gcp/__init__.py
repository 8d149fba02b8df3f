"""The plugin for Google Kubernetes Engine. This release compiles for it; creating clusters comes with the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from portable.errors import ProviderError
from portable.provider import (
    PROTOCOL_VERSION,
    Check,
    ClusterResource,
    ClusterState,
    Credentials,
    Profile,
    ResourceType,
)

if TYPE_CHECKING:
    from portable.events import Emit
    from portable.spec.model import Cluster

_LATER = "creating clusters on Google Kubernetes Engine comes with the next release"
_INSTEAD = "`portable render --cloud gke` writes the app's Kubernetes objects now"


class Gcp:
    protocol = PROTOCOL_VERSION
    name = "gcp"
    aliases: tuple[str, ...] = ("gke",)
    title = "Google Kubernetes Engine"

    def profile(self, cluster: Cluster) -> Profile:
        from portable_gcp.profile import PROFILE

        return PROFILE

    def cluster(self, cluster: Cluster) -> Sequence[ClusterResource]:
        raise ProviderError(_LATER, fix=_INSTEAD)

    def resource_types(self) -> Mapping[str, ResourceType]:
        return {}

    def find(self, cluster: Cluster) -> ClusterState | None:
        raise ProviderError(_LATER, fix=_INSTEAD)

    def credentials(self, cluster: Cluster) -> Credentials:
        raise ProviderError(_LATER, fix=_INSTEAD)

    def doctor(self, cluster: Cluster, *, fix: bool, emit: Emit) -> Sequence[Check]:
        return (Check(name="clusters", status="missing", detail=_LATER, fix=_INSTEAD),)

    def permissions(self) -> str:
        return "none yet: this release makes no calls to Google Kubernetes Engine"
