"""What happens, as data.

Flows and the engine call `emit(event)`; a terminal, a JSON-lines writer or a test's `list.append` receives it. Nothing but
`portable.terminal` prints. Events never hold secret values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from portable.errors import Cause

Status: TypeAlias = Literal["started", "progress", "done", "skipped", "failed"]
Operation: TypeAlias = Literal["create", "update", "replace", "delete", "read", "same"]


@dataclass(frozen=True)
class Step:
    """A named step of a flow ("cluster", "app", "rollout"). `usual` is how long it tends to take, in seconds."""

    name: str
    status: Status
    title: str = ""
    detail: str = ""
    usual: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class ResourceEvent:
    """One object of a stack is being worked on. `type` is its Pulumi type token, `name` its logical name."""

    stack: Literal["cluster", "app"]
    operation: Operation
    type: str
    name: str
    status: Status
    detail: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class WorkloadEvent:
    """How far a workload's rollout is: `ready` of `wanted` pods, and what it is waiting for in words."""

    workload: str
    status: Status
    ready: int = 0
    wanted: int = 0
    detail: str = ""
    cause: Cause | None = None


@dataclass(frozen=True)
class Notice:
    """Something a person should know that is no step: a default chosen, a warning, a retained volume."""

    message: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True)
class Transferred:
    """How far the copy of a volume is. Totals grow while the volume is still being read through; `eta_seconds` is None until
    they are known."""

    claim: str
    bytes_done: int
    bytes_total: int
    files_done: int
    files_total: int
    bytes_per_second: float
    eta_seconds: float | None = None
    done: bool = False


Event: TypeAlias = Step | ResourceEvent | WorkloadEvent | Notice | Transferred
Emit: TypeAlias = Callable[[Event], None]


def nowhere(_event: Event) -> None:
    """An `Emit` for callers that want no events."""
