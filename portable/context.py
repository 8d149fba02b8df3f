"""A cluster that is known by a kubeconfig context alone: `--context NAME`. It is used as it is and never changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from portable.provider import ClusterState, Credentials

if TYPE_CHECKING:
    from portable.events import Emit
    from portable.provider import Check, ClusterResource, Profile, Provider, ResourceType
    from portable.spec.model import Cluster


class AtContext:
    """`inner` as far as the app is concerned: its profile and names. Of the cluster it knows the API server, and of the
    optional capabilities, which would ask the cloud, it has none."""

    def __init__(self, inner: Provider, context: str) -> None:
        self._inner = inner
        self._context = context
        self.protocol = inner.protocol
        self.name = inner.name
        self.aliases = inner.aliases
        self.title = inner.title

    def profile(self, cluster: Cluster) -> Profile:
        return self._inner.profile(cluster)

    def cluster(self, cluster: Cluster) -> Sequence[ClusterResource]:
        return ()

    def resource_types(self) -> Mapping[str, ResourceType]:
        return {}

    def find(self, cluster: Cluster) -> ClusterState | None:
        return ClusterState(cluster.name, healthy=True)

    def credentials(self, cluster: Cluster) -> Credentials:
        from portable.kubeconfig import of_context

        return Credentials(of_context(self._context))

    def doctor(self, cluster: Cluster, *, fix: bool, emit: Emit) -> Sequence[Check]:
        return ()

    def permissions(self) -> str:
        return self._inner.permissions()


def cluster_name(context: str) -> str:
    """A context's name as a part of a stack's key: names such as an ARN have signs in them that a key cannot have."""
    plain = re.sub(r"[^A-Za-z0-9.-]+", "-", context).strip("-.")
    if plain == context:
        return context
    return f"{plain}-{hashlib.sha256(context.encode()).hexdigest()[:6]}"
