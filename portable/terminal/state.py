"""What is going on, folded from events: steps, and under each the objects and workloads that it works on.

No rich here: `live` and `lines` draw it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from portable.errors import Cause
from portable.events import Event, Notice, ResourceEvent, Status, Step, WorkloadEvent

_ENDED = ("done", "skipped", "failed")


@dataclass
class Part:
    """One object or workload of a step. `wanted` 0: it is no workload."""

    label: str
    status: Status
    started: float
    detail: str = ""
    seconds: float | None = None
    operation: str = ""
    ready: int = 0
    wanted: int = 0
    cause: Cause | None = None

    @property
    def ended(self) -> bool:
        return self.status in _ENDED


@dataclass
class Stage:
    """One step with its parts, by label, in the order in which they began."""

    name: str
    title: str
    status: Status
    started: float
    detail: str = ""
    usual: float | None = None
    seconds: float | None = None
    parts: dict[str, Part] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.status in _ENDED


class State:
    """Folds events. `apply` returns the stage and the part that the event is about (a notice has neither)."""

    def __init__(self) -> None:
        self.stages: dict[str, Stage] = {}

    def apply(self, event: Event, now: float) -> tuple[Stage | None, Part | None]:
        match event:
            case Step():
                return self._step(event, now), None
            case ResourceEvent():
                return self._resource(event, now)
            case WorkloadEvent():
                return self._workload(event, now)
            case Notice():
                return None, None

    @property
    def running(self) -> list[Stage]:
        return [stage for stage in self.stages.values() if not stage.ended]

    @property
    def doing(self) -> str:
        """What is under way, in words, for an error that comes unexpected."""
        return ", ".join(stage.title for stage in self.running)

    def _step(self, event: Step, now: float) -> Stage:
        stage = self.stages.get(event.name)
        if stage is None or (stage.ended and event.status == "started"):
            stage = Stage(event.name, event.title or event.name, event.status, now)
            # Re-inserted at the end: the same step may run again, after a roll back for example.
            self.stages.pop(event.name, None)
            self.stages[event.name] = stage
        stage.status = event.status
        stage.title = event.title or stage.title
        stage.detail = event.detail or ("" if stage.ended else stage.detail)
        stage.usual = event.usual if event.usual is not None else stage.usual
        if stage.ended:
            stage.seconds = event.seconds if event.seconds is not None else now - stage.started
        return stage

    def _resource(self, event: ResourceEvent, now: float) -> tuple[Stage, Part]:
        stage = self._stage_for(event.stack, now)
        kind = event.type.rsplit(":", 1)[-1]
        label = event.name if event.name.startswith(f"{kind}/") else f"{kind} {event.name}"
        part = stage.parts.setdefault(label, Part(label, event.status, now))
        part.operation = event.operation
        _update(part, event.status, event.detail, event.seconds, now)
        return stage, part

    def _workload(self, event: WorkloadEvent, now: float) -> tuple[Stage, Part]:
        stage = self._stage_for("rollout", now)
        part = stage.parts.setdefault(event.workload, Part(event.workload, event.status, now))
        part.ready, part.wanted = event.ready, event.wanted
        part.cause = event.cause or part.cause
        detail = event.detail or (event.cause.summary if event.cause else "")
        _update(part, event.status, detail, None, now)
        return stage, part

    def _stage_for(self, name: str, now: float) -> Stage:
        """The running stage of that name, else the latest that runs, else a new one."""
        named = self.stages.get(name)
        if named is not None and not named.ended:
            return named
        if self.running:
            return self.running[-1]
        if named is not None:
            return named
        return self.stages.setdefault(name, Stage(name, name, "started", now))


def _update(part: Part, status: Status, detail: str, seconds: float | None, now: float) -> None:
    if status == "started" and part.ended:
        part.started = now
        part.seconds = None
    was_ended = part.ended
    part.status = status
    part.detail = detail
    if part.ended and (seconds is not None or not was_ended or part.seconds is None):
        part.seconds = seconds if seconds is not None else now - part.started
