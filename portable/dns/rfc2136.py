"""Records on any name server that takes dynamic updates (RFC 2136), signed with a shared key (TSIG, RFC 8945).

BIND, Knot, PowerDNS, Windows DNS and many hosted services speak it. An update is one message, so a change of type is one step.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from portable.dns.records import presented, refuse_at_top, understood
from portable.dns.secondaries import await_secondaries
from portable.errors import ProviderError, UsageError
from portable.provider import ADDRESS_TYPES, Record

if TYPE_CHECKING:
    import dns.message
    import dns.tsig
    import dns.update

_KEY = re.compile(
    r'key\s+"?(?P<name>[^\s"{;]+)"?\s*\{(?=[^}]*?algorithm\s+"?(?P<algorithm>[\w.-]+)"?\s*;)'
    r'(?=[^}]*?secret\s+"?(?P<secret>[A-Za-z0-9+/=]+)"?\s*;)[^}]*\}'
)


class Rfc2136:
    """`server` is HOST or HOST:PORT. `key_file` is as `tsig-keygen` writes it; None: unsigned. Raises UsageError."""

    weighted = False

    def __init__(self, server: str, key_file: Path | None = None, *, timeout: float = 10.0) -> None:
        self.title = f"the DNS server {server}"
        self._host, self._port = _address(server)
        self._key_file = key_file
        # here and not when it is used: that is after everything else is done
        self._key = read_key(key_file) if key_file else None
        self._timeout = timeout

    def zone(self, host: str) -> str | None:
        import dns.flags
        import dns.message
        import dns.name
        import dns.rdatatype

        name = dns.name.from_text(host)
        while len(name.labels) > 2:
            answer = self._ask(dns.message.make_query(name, dns.rdatatype.SOA))
            owners = [found.name for found in answer.answer if found.rdtype == dns.rdatatype.SOA]
            if answer.flags & dns.flags.AA and name in owners:
                return name.to_text(omit_final_dot=True)
            name = name.parent()
        return None

    def records(self, zone: str, name: str) -> Sequence[Record]:
        import dns.message
        import dns.name
        import dns.rdatatype

        found: list[Record] = []
        at = dns.name.from_text(name)
        for kind in (*ADDRESS_TYPES, "TXT"):
            answer = self._ask(dns.message.make_query(at, kind))
            for rrset in answer.answer:
                if rrset.name == at and rrset.rdtype == dns.rdatatype.from_text(kind):
                    values = tuple(sorted(understood(kind, data.to_text()) for data in rrset))
                    found.append(Record(name, kind, values, rrset.ttl))
        return found

    def upsert(self, zone: str, record: Record) -> None:
        refuse_at_top(record, zone)
        update = self._update(zone)
        for kind in ADDRESS_TYPES if record.type in ADDRESS_TYPES else (record.type,):
            update.delete(_whole(record.name), kind)
        for value in presented(record):
            update.add(_whole(record.name), record.ttl, record.type, value)
        self._send(update, zone)

    def delete(self, zone: str, record: Record) -> None:
        update = self._update(zone)
        update.delete(_whole(record.name), record.type)
        self._send(update, zone)

    # -- wire ------------------------------------------------------------------------------------------------------

    def _update(self, zone: str) -> dns.update.UpdateMessage:
        import dns.update

        update = dns.update.UpdateMessage(_whole(zone))
        if self._key is not None:
            update.use_tsig(self._key)
        return update

    def _send(self, update: dns.update.UpdateMessage, zone: str) -> None:
        import dns.rcode

        code = self._ask(update).rcode()
        if code != dns.rcode.NOERROR:
            raise self._refused(zone, dns.rcode.to_text(code))
        await_secondaries(self._ask, zone, self._ip())

    def _ask(self, message: dns.message.Message) -> dns.message.Message:
        import dns.exception
        import dns.query
        import dns.tsig

        try:
            return dns.query.tcp(message, self._ip(), timeout=self._timeout, port=self._port)
        except dns.tsig.PeerError as error:
            raise self._refused("the update", type(error).__name__) from error
        except (dns.exception.DNSException, OSError) as error:
            raise ProviderError(
                f"{self.title} does not answer: {type(error).__name__}: {error}",
                fix="check PORTABLE_DNS_SERVER and the way to it, TCP port included",
            ) from error

    def _ip(self) -> str:
        return str(socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)[0][4][0])

    def _refused(self, what: str, code: str) -> ProviderError:
        key = f"the key in {self._key_file}" if self._key_file else "an unsigned update"
        return ProviderError(
            f"{self.title} refused {key} for {what}: {code}",
            fix="allow that key in the zone's `update-policy` or `allow-update`; PORTABLE_DNS_KEY_FILE names its file",
        )


def read_key(file: Path) -> dns.tsig.Key:
    """The first key of a file as `tsig-keygen` writes it. Raises UsageError, without what is in the file."""
    import dns.tsig

    try:
        found = _KEY.search(file.read_text())
    except OSError as error:
        raise UsageError(
            f"the DNS key file {file} cannot be read: {error.strerror}", fix="see PORTABLE_DNS_KEY_FILE"
        ) from error
    if found is None:
        raise UsageError(f"there is no DNS key in {file}", fix="it is written as by `tsig-keygen NAME`")
    try:
        return dns.tsig.Key(found["name"], found["secret"], found["algorithm"])
    except ValueError:  # what it says would hold the secret
        raise UsageError(f"the DNS key in {file} is no base64 text", fix="make one with `tsig-keygen NAME`") from None


def _address(server: str) -> tuple[str, int]:
    """HOST, HOST:PORT, or [IPV6]:PORT."""
    found = re.fullmatch(r"\[(?P<six>[^\]]+)\](?::(?P<sixport>\d+))?|(?P<host>[^:]+)(?::(?P<port>\d+))?", server)
    if found is None:
        raise UsageError(f"{server!r} is no DNS server", fix="write HOST, HOST:PORT or [IPV6]:PORT")
    return found["six"] or found["host"], int(found["sixport"] or found["port"] or 53)


def _whole(name: str) -> str:
    return name if name.endswith(".") else f"{name}."
