"""What there is to say of a cut-over. Plain data."""

from __future__ import annotations

from dataclasses import dataclass

from portable.provider import Record


@dataclass(frozen=True)
class Lowered:
    """`wait`: seconds from now until every resolver has the short TTL, which is `ttl`. 0: nothing had to be lowered.

    `by_hand`: records whose TTL a person has to lower, in words.
    """

    wait: float
    ttl: int
    by_hand: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cut:
    """The records after one step. `share`: percent of the answers that lead to the target now; `at`: seconds since the epoch.

    `written` lead there by our hand, `by_hand` are for a person to write. `ttl`: seconds that a resolver may keep an older
    answer, counted from `at` (for records written by hand from when they are true).
    """

    share: int
    at: float
    ttl: int
    written: tuple[Record, ...] = ()
    by_hand: tuple[Record, ...] = ()
