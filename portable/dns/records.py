"""What the services' ways to write a record have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping

from portable.errors import ProviderError
from portable.provider import Record

_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_STRING = 255


def closest(zones: Mapping[str, str], host: str) -> str | None:
    """The id of the zone that holds `host`, out of domain -> id; None where none does."""
    labels = host.split(".")
    every = (".".join(labels[at:]) for at in range(len(labels)))
    return next((zones[domain] for domain in every if domain in zones), None)


def refuse_at_top(record: Record, top: str) -> None:
    """Raises ProviderError for a CNAME at the top of its zone, `top`, where the standard allows none."""
    if record.type == "CNAME" and record.name == top:
        raise ProviderError(
            f"{top} is the top of its zone, where no CNAME can stand, and {record.values[0]} has no fixed address",
            fix="use a host below it, or a DNS service with alias records",
        )


def quoted(text: str) -> str:
    """A TXT value as in a zone file: in quotes, in strings of 255 characters."""
    parts = [text[at : at + _STRING] for at in range(0, len(text), _STRING)] or [""]
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)


def unquoted(text: str) -> str:
    """The value that a zone file's text stands for."""
    found = (re.sub(r"\\(.)", r"\1", match[1]) if match[1] is not None else match[2] for match in _TEXT.finditer(text))
    return "".join(found)


def presented(record: Record) -> tuple[str, ...]:
    """The values as a zone file has them."""
    if record.type == "TXT":
        return tuple(quoted(value) for value in record.values)
    return tuple(f"{value}." for value in record.values) if record.type == "CNAME" else record.values


def understood(kind: str, value: str) -> str:
    return unquoted(value) if kind == "TXT" else value.rstrip(".")
