"""Optional: what outlives an app or its cluster: data on purpose, the rest to be swept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from portable.events import Emit
from portable.provider.profile import KubeObject

if TYPE_CHECKING:
    from portable.spec.model import Cluster


@runtime_checkable
class KeptData(Protocol):
    """Optional: data that outlives an app or its cluster, and how to end it."""

    def kept_data(self, cluster: Cluster, namespace: str) -> Sequence[str]:
        """ "NAMESPACE/CLAIM" of each, followed by what keeping it costs, if anything. An empty `namespace`: all of the cluster."""
        ...

    def delete_kept_data(self, cluster: Cluster, namespace: str, emit: Emit) -> None: ...


@runtime_checkable
class KeptVolumes(Protocol):
    """Optional, beside `KeptData`: disks that outlived their cluster are bound again in the next."""

    def persistent_volumes(self, cluster: Cluster, namespace: str) -> Sequence[KubeObject]:
        """A PersistentVolume for each kept disk of this namespace, with a `claimRef` to the claim that it belonged to."""
        ...


@dataclass(frozen=True)
class Leftover:
    """Something that carries a cluster's tags after the cluster is gone. `data`: it holds an app's data. `cost`: of keeping it."""

    kind: str
    id: str
    detail: str = ""
    data: bool = False
    cost: str = ""


@runtime_checkable
class Sweep(Protocol):
    """Optional: what carries a cluster's tags and was left behind by controllers or broken-off calls is found and removed."""

    def leftovers(self, cluster: Cluster) -> Sequence[Leftover]:
        """In the order in which they can be removed. Of a cluster that is there, whoever made it, its data alone."""
        ...

    def remove(self, cluster: Cluster, leftover: Leftover, emit: Emit) -> str:
        """Empty when it is gone, else why it could not be removed, in words."""
        ...
