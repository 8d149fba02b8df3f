"""The zone that a host belongs to: on the server that the user named, else at the cloud's own DNS service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from portable.dns.settings import dns_settings
from portable.errors import ProviderError
from portable.events import Emit, Notice
from portable.provider import Dns, Provider, Zones
from portable.spec.model import Cluster


@dataclass(frozen=True)
class Place:
    zones: Zones
    zone: str


def services(provider: Provider, cluster: Cluster) -> Sequence[Zones]:
    """The DNS services to look in, in this order. Raises UsageError for settings that cannot be."""
    chosen = dns_settings()
    if chosen.mode == "manual":
        return ()
    found: list[Zones] = []
    if chosen.server:
        from portable.dns.rfc2136 import Rfc2136

        found.append(Rfc2136(chosen.server, chosen.key_file))
    if chosen.mode == "auto" and isinstance(provider, Dns):
        found.append(provider.dns(cluster))
    return found


def find_place(among: Sequence[Zones], host: str, emit: Emit) -> Place | None:
    """None where nobody has a zone for `host`. A cloud's service that cannot be asked is named in a notice: its records are
    to be written by hand, which no missing permission may keep an app from. Raises ProviderError for the user's own server."""
    for zones in among:
        try:
            zone = zones.zone(host)
        except ProviderError as error:
            if _chosen(zones):
                raise
            emit(Notice(f"{zones.title} cannot be asked for the zone of {host}: {error.message}", "warning"))
            continue
        if zone is not None:
            return Place(zones, zone)
    return None


def _chosen(zones: Zones) -> bool:
    from portable.dns.rfc2136 import Rfc2136

    return isinstance(zones, Rfc2136)
