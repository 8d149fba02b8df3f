"""Records that a person writes: the line to write, and whether the world's resolvers see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portable.provider import Record

if TYPE_CHECKING:
    import dns.resolver

_SECONDS = 1.5


def line(record: Record) -> str:
    """As a person would write it: "shop.example.com. 300 IN CNAME lb.example.net."."""
    values = (f"{value}." if record.type == "CNAME" else value for value in record.values)
    return f"{record.name}. {record.ttl} IN {record.type} {', '.join(values)}"


def is_true(record: Record, *, nameserver: str = "", port: int = 53) -> bool:
    """Whether a resolver (the system's, or `nameserver`, an address) answers with all values of `record` and no other.

    A CNAME may have been written as the addresses that it leads to. No answer within seconds is a no.
    """
    import dns.exception
    import dns.resolver

    try:
        resolver = dns.resolver.Resolver(configure=not nameserver)
        resolver.lifetime = _SECONDS
        if nameserver:
            resolver.nameservers, resolver.port = [nameserver], port
        return _is_true(record, resolver)
    except dns.exception.DNSException:
        return False


def _is_true(record: Record, resolver: dns.resolver.Resolver) -> bool:
    import dns.resolver

    def ask(name: str, kind: str) -> set[str]:
        try:
            return {data.to_text().rstrip(".").strip('"').lower() for data in resolver.resolve(name, kind)}
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            return set()

    if ask(record.name, record.type) == {value.lower() for value in record.values}:
        return True
    if record.type != "CNAME":
        return False
    both = [(ask(record.name, kind), ask(record.values[0], kind)) for kind in ("A", "AAAA")]
    return any(found and found == meant for found, meant in both)
