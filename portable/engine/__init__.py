"""The engine: Pulumi, driven from here. Importing this imports neither Pulumi nor gRPC."""

from portable.engine.changes import Change, FieldChange
from portable.engine.engine import Engine
from portable.engine.stacks import Settings
from portable.engine.state import StackState

__all__ = ["Change", "Engine", "FieldChange", "Settings", "StackState"]
