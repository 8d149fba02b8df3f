"""A side's routes asked at their own address, whatever DNS says."""

from __future__ import annotations

from collections.abc import Sequence

from portable.migrate.sides import Side


def smoke(side: Side, *, timeout: float = 60.0) -> tuple[str, ...]:
    """What is wrong with the routes, in words; empty: each answered, with a valid certificate where it has TLS."""
    raise NotImplementedError


def certificate_valid(side: Side, host: str) -> str:
    """Empty: the side shows a certificate for `host` that this machine trusts. Else why not."""
    raise NotImplementedError


def hosts(side: Side) -> Sequence[str]:
    return sorted({route.host for route in side.objects.routes})
