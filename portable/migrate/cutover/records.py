"""DNS of the hosts: TTL lowered, records switched in steps, handed over, put back."""

from __future__ import annotations

from portable.events import Emit
from portable.migrate.cutover.model import Cut, Lowered
from portable.migrate.sides import Sides


def lower_ttl(sides: Sides, emit: Emit, *, ttl: int = 30) -> Lowered:
    """Gives the source's records a short TTL. To be waited out before `switch`; a repeated call says how long at most."""
    raise NotImplementedError


def switch(sides: Sides, emit: Emit, *, share: int = 100) -> Cut:
    """Lets `share` percent of the answers lead to the target (where the service has no weights: all of them from 100 on).

    At 100 the records are the target's (`portable.dns.ownership`). Raises ProviderError where a record is somebody else's.
    """
    raise NotImplementedError


def expired(cut: Cut) -> float:
    """Seconds until no resolver gives the old answer any more; 0: they all have let go. Infinite while a record that a person
    has to write is not true."""
    raise NotImplementedError


def back(sides: Sides, emit: Emit) -> Cut:
    """The records lead to the source again and are its own; `share` is 0."""
    raise NotImplementedError
