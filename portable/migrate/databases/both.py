"""What both kinds do in the seconds that count, when nothing is served: wait for the standby, and compare both ends at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from portable.errors import ClusterError
from portable.migrate.sides import Side, Sides

_EVERY = 0.1


def wait_for(behind: Callable[[], str], name: str, timeout: float) -> None:
    """Until `behind` returns "". What it returns is how far the standby is; a standby that cannot be asked may come back.

    Raises ClusterError after `timeout` seconds.
    """
    end = time.monotonic() + timeout
    while True:
        try:
            said = behind()
        except ClusterError as error:
            said = error.message
        if not said:
            return
        if time.monotonic() >= end:
            raise ClusterError(
                f"the {name} on the target has not caught up within {timeout:.0f} s",
                detail=said,
                fix="see whether the connection between the clusters works, then go on with `portable migrate resume`",
            )
        time.sleep(_EVERY)


def at_both(sides: Sides, digest: Callable[[Side], str]) -> tuple[str, str]:
    """(source, target), which work at the same time."""
    with ThreadPoolExecutor(2) as pool:
        source, target = pool.map(digest, (sides.source, sides.target))
    return source, target
