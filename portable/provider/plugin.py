"""What every plugin has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from portable.events import Emit
from portable.provider.access import Credentials
from portable.provider.profile import Profile
from portable.provider.resources import ClusterResource, ResourceType

if TYPE_CHECKING:
    from portable.spec.model import Cluster

PROTOCOL_VERSION = 1


@dataclass(frozen=True)
class Check:
    """One line of `doctor`: what was looked at, how it is, and what to do about it. `fixable`: `--fix` can mend it."""

    name: str
    status: Literal["ok", "warning", "missing"]
    detail: str
    fix: str = ""
    fixable: bool = False


@dataclass(frozen=True)
class ClusterState:
    """What the provider itself says of a cluster: the truth that state files are measured against."""

    name: str
    healthy: bool
    detail: str = ""
    version: str = ""
    uid: str = ""


@runtime_checkable
class Provider(Protocol):
    """What every plugin has. Constructing one is free: no I/O, no SDK import."""

    protocol: int
    name: str
    aliases: tuple[str, ...]
    title: str

    def profile(self, cluster: Cluster) -> Profile: ...
    def cluster(self, cluster: Cluster) -> Sequence[ClusterResource]: ...
    def resource_types(self) -> Mapping[str, ResourceType]: ...
    def find(self, cluster: Cluster) -> ClusterState | None: ...
    def credentials(self, cluster: Cluster) -> Credentials: ...
    def doctor(self, cluster: Cluster, *, fix: bool, emit: Emit) -> Sequence[Check]: ...
    def permissions(self) -> str: ...
