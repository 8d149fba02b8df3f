"""Waiting for a standby in the seconds that count: nothing is served meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable

from portable.errors import ClusterError

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
