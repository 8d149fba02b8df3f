"""DNS of the hosts: TTL lowered, records switched in steps, handed over, put back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from portable.dns import ledger, ownership
from portable.dns.ledger import Entry
from portable.dns.places import Place, find_place, services
from portable.dns.public import is_true, line
from portable.dns.routes import load_balancer_records, public_hosts
from portable.errors import ProviderError
from portable.events import Emit, Notice
from portable.migrate.cutover.addresses import ingresses
from portable.migrate.cutover.model import Cut, Lowered
from portable.migrate.sides import Side, Sides
from portable.provider import Record, Zones
from portable.situation import namespace_labels

SHORT_TTL = 30


def hosts(sides: Sides) -> list[str]:
    """The public names of the app's routes, on either side."""
    every = (public_hosts(side.app.provider, side.objects) for side in (sides.source, sides.target))
    return sorted({host for found in every for host in found})


def lower_ttl(sides: Sides, emit: Emit, *, ttl: int = SHORT_TTL) -> Lowered:
    """Gives the source's records a short TTL. To be waited out before `switch`; a repeated call says how long at most.

    Raises ProviderError where a record is somebody else's, or cannot be written.
    """
    wait, by_hand = 0, []
    told = {entry.record.name: entry.record for entry in ledger.read(sides.source.kube, sides.source.namespace)}
    for host, place in _placed(sides, emit):
        if place is None:
            if host in told and told[host].ttl > ttl:
                by_hand.append(line(replace(told[host], ttl=ttl)))
                wait = max(wait, told[host].ttl)
            continue
        _owner(sides, place, host)
        for record in ownership.addresses(place.zones, place.zone, host):
            # an earlier call that broke off may have lowered it a moment ago: what it was stands in the ledger
            before = max(record.ttl, told[host].ttl if host in told else 0)
            wait = max(wait, before if before > ttl else 0)
            if record.ttl > ttl:
                place.zones.upsert(place.zone, replace(record, ttl=ttl))
    for words in by_hand:
        emit(Notice(f"give the DNS record a short TTL: {words}", "warning"))
    return Lowered(float(wait), ttl, tuple(by_hand))


def switch(sides: Sides, emit: Emit, *, share: int = 100) -> Cut:
    """Lets `share` percent of the answers lead to the target (where the service has no weights: all of them from 100 on).

    At 100 the records are the target's (`portable.dns.ownership`). Raises ProviderError where a record is somebody else's, or
    the target's load balancer has no address.
    """
    if not 0 < share <= 100:
        raise ValueError(f"a share is between 1 and 100: {share}")
    here, there = _records(sides.source), _records(sides.target)
    written, by_hand, entries = [], [], []
    for host, place in _placed(sides, emit):
        record = _required(there, host, sides.target)
        if place is None:
            by_hand += [record] if share == 100 else []
            entries.append(Entry(record))
            continue
        wanted = record if share == 100 else _weighted(place.zones, here.get(host), record, share)
        if wanted is not None:
            written.append(_write(sides, place, wanted, sides.target if share == 100 else None))
            entries.append(Entry(record, place.zones.title, place.zone, ours=True))
    if share == 100:
        _remember(sides.target, entries)
    for record in by_hand:
        emit(Notice(f"change the DNS record: {line(record)}", "warning"))
    return Cut(share, time.time(), SHORT_TTL, tuple(written), tuple(by_hand))


def back(sides: Sides, emit: Emit) -> Cut:
    """The records lead to the source again and are its own; `share` is 0. One that only the target ever had is deleted."""
    here = _records(sides.source)
    written, by_hand = [], []
    for host, place in _placed(sides, emit):
        record = here.get(host)
        if place is None:
            by_hand += [record] if record is not None and not is_true(record) else []
        elif record is not None:
            written.append(_write(sides, place, record, sides.source))
        else:
            ownership.withdraw(place.zones, place.zone, host, sides.target.app.home.app_stack)
    _remember(sides.target, ())
    for record in by_hand:
        emit(Notice(f"change the DNS record back: {line(record)}", "warning"))
    return Cut(0, time.time(), SHORT_TTL, tuple(written), tuple(by_hand))


def expired(cut: Cut) -> float:
    """Seconds until no resolver gives the old answer any more; 0: they all have let go. Infinite while a record that a person
    has to write is not true; once it is, resolvers other than this machine's may keep the old one for as long as its TTL was."""
    if any(not is_true(record) for record in cut.by_hand):
        return float("inf")
    if not cut.written and not cut.by_hand:
        return 0.0
    return max(0.0, cut.at + cut.ttl - time.time())


# Who and where


def _placed(sides: Sides, emit: Emit) -> Iterator[tuple[str, Place | None]]:
    """Each host with the zone that it is in: where the source's records are, else at the target's own service."""
    names = hosts(sides)
    among = _services(sides) if names else ()
    return ((host, find_place(among, host, emit)) for host in names)


def _services(sides: Sides) -> Sequence[Zones]:
    """The source's first. A server that the user named is the same for both."""
    found: dict[tuple[str, str], Zones] = {}
    for side in (sides.source, sides.target):
        for zones in services(side.app.provider, side.app.app.cluster):
            found.setdefault((zones.title, side.app.home.cloud), zones)
    return tuple(found.values())


def _owner(sides: Sides, place: Place, host: str) -> str | None:
    """Whose the record is: of one of the two sides, or nobody's where there is none. Raises ProviderError for anybody else's."""
    owner = ownership.owner_of(place.zones, place.zone, host)
    live = ownership.addresses(place.zones, place.zone, host)
    ours = {side.app.home.app_stack for side in (sides.source, sides.target)}
    if owner in ours or (owner is None and not live):
        return owner
    stands = "; ".join(str(record) for record in live) or f"a mark of {owner}"
    raise ProviderError(
        f"the DNS record of {host} is somebody else's: " + (f"it belongs to {owner}" if owner else "portable did not make it"),
        detail=f"{place.zones.title} has: {stands}",
        fix="delete that record and run `portable up` on the source, or set PORTABLE_DNS=manual to write records by hand",
    )  # fmt: skip


def _write(sides: Sides, place: Place, record: Record, owner: Side | None) -> Record:
    """Marked for its new owner only once it leads there: a run that breaks off leaves it with one of the two sides."""
    _owner(sides, place, record.name)
    if ownership.addresses(place.zones, place.zone, record.name) != [record]:
        place.zones.upsert(place.zone, record)
    if owner is not None and ownership.owner_of(place.zones, place.zone, record.name) != owner.app.home.app_stack:
        ownership.mark(place.zones, place.zone, record.name, owner.app.home.app_stack)
    return record


def _records(side: Side) -> dict[str, Record]:
    """host -> the record that leads to this side's load balancer, with the short TTL."""
    names = public_hosts(side.app.provider, side.objects)
    found = load_balancer_records(ingresses(side), names)
    return {host: replace(record, ttl=SHORT_TTL) for host, record in found.items()}


def _required(found: dict[str, Record], host: str, side: Side) -> Record:
    if host not in found:
        raise ProviderError(
            f"no load balancer of {side} serves {host} yet", fix="see `kubectl describe ingress` there, then resume"
        )
    return found[host]


def _weighted(zones: Zones, here: Record | None, there: Record, share: int) -> Record | None:
    """None where the service has no weights, or where addresses and names would have to stand side by side."""
    if not zones.weighted or here is None or here.type != there.type:
        return None
    counts = [len(here.values), len(there.values)]
    weights = (*((100 - share) * counts[1] for _ in here.values), *(share * counts[0] for _ in there.values))
    return replace(there, values=(*here.values, *there.values), weights=weights)


def _remember(side: Side, entries: Sequence[Entry]) -> None:
    ledger.write(side.kube, side.namespace, namespace_labels(side.objects), entries)
