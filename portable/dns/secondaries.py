"""A zone's other name servers: a change is only true once they have it too, since resolvers and certificate authorities ask any.

They fetch it when they are told (RFC 1996) or look by themselves; a serial that has arrived says that it has (RFC 1982).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from portable.errors import ProviderError

if TYPE_CHECKING:
    import dns.message
    import dns.serial

_PORT = 53
_PATIENCE = 60.0
_EVERY = 0.25
_ANSWER_SECONDS = 2.0

Ask = Callable[["dns.message.Message"], "dns.message.Message"]


def await_secondaries(ask: Ask, zone: str, primary: str, *, patience: float = _PATIENCE) -> None:
    """Blocks until every name server of `zone` has what `ask`, the primary at the address `primary`, has now.

    One that cannot be reached from here is passed over: nothing is known of it. Raises ProviderError for one that answers,
    and still with the old, after `patience` seconds.
    """
    wanted = _serial(ask(_query(zone, "SOA")))
    end = time.monotonic() + patience
    for name, address in _others(ask, zone, primary):
        while (has := _serial_at(address, zone)) is not None and has < wanted:
            if time.monotonic() > end:
                raise ProviderError(
                    f"the name server {name} ({address}) still has the old {zone} after {patience:.0f} s",
                    detail=f"its serial is {has.value}, the primary's {wanted.value}; the record is written there",
                    fix="check that the primary notifies it (also-notify) and that it may transfer the zone",
                )
            time.sleep(_EVERY)


def _others(ask: Ask, zone: str, primary: str) -> Iterator[tuple[str, str]]:
    """(name, address) of the zone's name servers but `primary`; addresses as the primary knows them, else the world."""
    names = [data.target for rrset in ask(_query(zone, "NS")).answer for data in rrset if hasattr(data, "target")]
    for name in names:
        text = name.to_text(omit_final_dot=True)
        for address in _addresses(ask, text):
            if address != primary:
                yield text, address


def _addresses(ask: Ask, name: str) -> list[str]:
    import dns.exception
    import dns.resolver

    answers = [ask(_query(name, kind)).answer for kind in ("A", "AAAA")]
    if known := [data.to_text() for answer in answers for rrset in answer for data in rrset]:
        return known
    try:
        return list(dns.resolver.resolve_name(name, lifetime=_ANSWER_SECONDS).addresses())
    except dns.exception.DNSException:
        return []


def _serial_at(address: str, zone: str) -> dns.serial.Serial | None:
    """None where it does not answer here, or not for this zone."""
    import dns.exception
    import dns.query

    try:
        asked = dns.query.udp_with_fallback(_query(zone, "SOA"), address, timeout=_ANSWER_SECONDS, port=_PORT)
        return _serial(asked[0])
    except (dns.exception.DNSException, OSError, LookupError):
        return None


def _serial(answer: dns.message.Message) -> dns.serial.Serial:
    """Raises LookupError where there is no SOA in it."""
    import dns.rdatatype
    import dns.serial

    for rrset in answer.answer:
        if rrset.rdtype == dns.rdatatype.SOA:
            return dns.serial.Serial(rrset[0].serial)  # type: ignore[attr-defined]
    raise LookupError("no SOA in the answer")


def _query(name: str, kind: str) -> dns.message.Message:
    import dns.message
    import dns.name

    return dns.message.make_query(dns.name.from_text(name), kind)
