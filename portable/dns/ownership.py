"""Whose a record is: beside each of ours stands a TXT record that says so, and what lacks it is never overwritten.

`_portable.shop.example.com TXT "heritage=portable,owner=shop.prod.CLOUD.main"`; the owner is the key of the app's stack, so the
same app on another cluster is another owner, until traffic is handed over to it.
"""

from __future__ import annotations

from portable.errors import ProviderError
from portable.provider import ADDRESS_TYPES, Record, Zones

_HERITAGE = "heritage=portable,owner="
_MARKER_TTL = 300


def marker(host: str) -> str:
    """The name of the TXT record that stands beside a host's. A wildcard covers no name that begins with `_`."""
    return f"_portable-any.{host[2:]}" if host.startswith("*.") else f"_portable.{host}"


def owner_of(zones: Zones, zone: str, host: str) -> str | None:
    texts = [value for record in zones.records(zone, marker(host)) if record.type == "TXT" for value in record.values]
    return next((text.removeprefix(_HERITAGE) for text in texts if text.startswith(_HERITAGE)), None)


def addresses(zones: Zones, zone: str, host: str) -> list[Record]:
    return [record for record in zones.records(zone, host) if record.type in ADDRESS_TYPES]


def publish(zones: Zones, zone: str, record: Record, owner: str) -> bool:
    """Makes `record` true for `owner`; returns whether it is ours. One of somebody else's that says the same stays theirs.

    Raises ProviderError where somebody else's says something else. The marker is written first: a run that breaks off
    leaves a marker without a record, which the next one goes on with.
    """
    live = addresses(zones, zone, record.name)
    present = owner_of(zones, zone, record.name)
    if present != owner:
        if live and all(_says(one, record) for one in live):
            return False
        if live or present is not None:
            raise _not_ours(zones, live, record, present)
        mark(zones, zone, record.name, owner)
    if live != [record]:
        zones.upsert(zone, record)
    return True


def mark(zones: Zones, zone: str, host: str, owner: str) -> None:
    """From now on the record at `host` is `owner`'s."""
    zones.upsert(zone, Record(marker(host), "TXT", (_HERITAGE + owner,), _MARKER_TTL))


def withdraw(zones: Zones, zone: str, host: str, owner: str) -> bool:
    """Deletes the record at `host` and its marker if they are `owner`'s; returns whether they were."""
    if owner_of(zones, zone, host) != owner:
        return False
    for record in addresses(zones, zone, host):
        zones.delete(zone, record)
    zones.delete(zone, Record(marker(host), "TXT", ()))
    return True


def _says(live: Record, wanted: Record) -> bool:
    return (live.type, {value.lower() for value in live.values}) == (
        wanted.type,
        {value.lower() for value in wanted.values},
    )


def _not_ours(zones: Zones, live: list[Record], wanted: Record, owner: str | None) -> ProviderError:
    stands = "; ".join(str(record) for record in live) or f"a mark of {owner}"
    whose = f"it belongs to {owner}" if owner else "portable did not make it"
    return ProviderError(
        f"the DNS record of {wanted.name} is somebody else's: {whose}",
        detail=f"{zones.title} has: {stands}\nwanted: {wanted}\nThe app itself is not affected.",
        fix="delete that record and run `portable up` again, or set PORTABLE_DNS=manual to write records by hand"
        + (f"; or move the app with `portable migrate`, or end {owner}" if owner else ""),
    )
