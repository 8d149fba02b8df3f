"""How a cluster's API server is reached, and how its workloads reach their cloud."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from portable.errors import Problem

if TYPE_CHECKING:
    from portable.spec.model import Cluster


@dataclass(frozen=True)
class Token:
    """A bearer token for an API server. `expires`: seconds since the epoch."""

    value: str = field(repr=False)
    expires: float


@dataclass(frozen=True)
class Credentials:
    """How to reach a cluster's API server: one kubeconfig document (YAML text, may hold secrets; never logged).

    `token` makes a bearer token: this process uses it in place of the document's own users, so that an operation may
    take longer than a token lives.
    """

    kubeconfig: str = field(repr=False)
    token: Callable[[], Token] | None = None


@runtime_checkable
class Tokens(Protocol):
    """Optional: API servers of this cloud take bearer tokens, which `portable token` hands to kubectl."""

    def token(self, cluster: Cluster) -> Token: ...


@runtime_checkable
class Identities(Protocol):
    """Optional: workloads' cloud identities are bound at the cloud, and not only by what `IdentityProfile` writes into objects."""

    def identity_problems(self, cluster: Cluster, identities: Mapping[str, str]) -> Sequence[Problem]:
        """Why `bind` would refuse some of `identities`, as far as the cloud tells before there is a cluster. A problem's `path` is
        "workloads.NAME.identity". Changes nothing."""
        ...

    def bind(self, cluster: Cluster, namespace: str, identities: Mapping[str, str]) -> None:
        """`identities`: service account -> identity as the spec names it, all of the namespace. What was bound there and is
        not among them is released; an empty mapping releases all. May be repeated."""
        ...
