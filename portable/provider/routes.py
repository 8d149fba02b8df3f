"""Optional: addresses, DNS records and certificates of routes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from portable.spec.model import Cluster


@dataclass(frozen=True)
class RouteAddress:
    """Where a route answers from the user's machine: a URL to open, and what has to be true for it (DNS, a CA to trust)."""

    url: str
    note: str = ""


@runtime_checkable
class Routes(Protocol):
    """Optional: the plugin knows how routes are reached, and makes certificates for `tls: auto`."""

    def addresses(self, cluster: Cluster, hosts: Sequence[tuple[str, str, bool]]) -> Sequence[RouteAddress]:
        """`hosts`: (host, path, tls) of each route."""
        ...

    def certificate(self, hosts: Sequence[str]) -> tuple[str, str]:
        """(certificate chain PEM, private key PEM) valid for `hosts`; the same until it nears its end."""
        ...


ADDRESS_TYPES = ("A", "AAAA", "CNAME")


@dataclass(frozen=True)
class Record:
    """A DNS record set. `name` is whole and without its last dot, `values` are as in a zone file but host names without it too.

    `ttl` in seconds. `weights`: one for each value, where the service answers with one of them in that proportion.
    """

    name: str
    type: Literal["A", "AAAA", "CNAME", "TXT"]
    values: tuple[str, ...]
    ttl: int = 300
    weights: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.type} {', '.join(self.values)}"


class Zones(Protocol):
    """Public DNS zones of one service that records can be written to. Whose a record is `portable.dns.ownership` knows.

    Calls block until the service's own name servers answer so, and raise ProviderError. `weighted`: it takes `Record.weights`.
    """

    title: str
    weighted: bool

    def zone(self, host: str) -> str | None:
        """The service's own id of the closest zone that holds `host`; None where it has none."""
        ...

    def records(self, zone: str, name: str) -> Sequence[Record]:
        """What stands at `name` of the types that `Record` knows. A service's own alias is a CNAME."""
        ...

    def upsert(self, zone: str, record: Record) -> None:
        """Afterwards `record` is there. An address (A, AAAA, CNAME) takes the place of all three types, in one step where the
        service can."""
        ...

    def delete(self, zone: str, record: Record) -> None:
        """Afterwards nothing of that name and type is there."""
        ...


@runtime_checkable
class Dns(Protocol):
    """Optional: the cloud has a DNS service, in which this account may have zones."""

    def dns(self, cluster: Cluster) -> Zones: ...


@dataclass(frozen=True)
class Certificate:
    """A certificate that a cloud keeps. `validation`: what must stand in DNS before it is issued, and as long as it is to be renewed."""

    id: str
    host: str
    status: Literal["pending", "issued", "failed"]
    reason: str = ""
    validation: tuple[Record, ...] = ()


@runtime_checkable
class Certificates(Protocol):
    """Optional: the cloud's load balancers take certificates from a store of its own, and find them by their host."""

    def certificate_for(self, cluster: Cluster, host: str, app: str) -> Certificate:
        """The one that serves `host`, requested if there is none. `app` owns what is requested (its stack's key)."""
        ...

    def delete_certificates(self, cluster: Cluster, app: str) -> Sequence[Certificate]:
        """Deletes those that `app` owns, once no load balancer uses them any more; returns what was deleted."""
        ...
