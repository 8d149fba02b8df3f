"""The engine as the flows see it."""

from __future__ import annotations

from portable.engine.app_stack import AppStack
from portable.engine.cluster_stack import ClusterStack
from portable.engine.stacks import Settings, Stacks
from portable.events import Emit


class Engine:
    """Operations on stacks. One at a time on a stack; each may be repeated after any interruption and then finishes.

    All raise EngineError (StateLocked when another operation holds the stack), ClusterError with the API server's refusal,
    what a plugin's resource type raised, or Interrupted. `emit` is called from several threads.
    """

    def __init__(self, settings: Settings, emit: Emit) -> None:
        self.stacks = Stacks(settings, emit)
        self.app = AppStack(self.stacks)
        self.cluster = ClusterStack(self.stacks, self.app)
