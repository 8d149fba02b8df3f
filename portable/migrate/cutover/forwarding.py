"""The source's routes lead to the target, until DNS has expired everywhere."""

from __future__ import annotations

from portable.events import Emit
from portable.migrate.sides import Sides


class Forwarding:
    """Stateless in this process; what was changed stands at the source's Ingress objects. Every call may be repeated."""

    def __init__(self, sides: Sides, emit: Emit) -> None:
        self._sides, self._emit = sides, emit

    def start(self) -> None:
        """Returns when requests to the source's routes are answered by the target; none is lost on the way there."""
        raise NotImplementedError

    def undo(self) -> None:
        """The source's workloads answer again, who must be ready; its Ingress objects are exactly as they were."""
        raise NotImplementedError

    def remove(self) -> None:
        """As `undo`, without waiting for the source's workloads: for a source that is to be destroyed."""
        raise NotImplementedError
