"""What is going on, folded from events: steps, and under each the objects and workloads that it works on.

No rich here: `live` and `lines` draw it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from portable.errors import Cause
from portable.events import Event, Notice, ResourceEvent, Status, Step, Transferred, WorkloadEvent

_ENDED = ("done", "skipped", "failed")


@dataclass
class Part:
    """One object, workload or volume of a step; `ready` and `wanted` count a workload's pods. `kept`: worth a line when done."""

    label: str
    status: Status
    started: float
    detail: str = ""
    seconds: float | None = None
    operation: str = ""
    workload: bool = False
    ready: int = 0
    wanted: int = 0
    cause: Cause | None = None
    kept: bool = False

    @property
    def ended(self) -> bool:
        return self.status in _ENDED


@dataclass
class Stage:
    """One step with its parts, by label, in the order in which they began, and the steps that began while it ran."""

    name: str
    title: str
    status: Status
    started: float
    parent: Stage | None = None
    detail: str = ""
    usual: float | None = None
    seconds: float | None = None
    parts: dict[str, Part] = field(default_factory=dict)
    children: list[Stage] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.status in _ENDED

    @property
    def depth(self) -> int:
        return 0 if self.parent is None else self.parent.depth + 1


class State:
    """Folds events. `apply` returns the stage and the part that the event is about (a notice has neither).

    A step that starts while another runs is a part of that one, also when both have the same name: a provider's "cluster"
    within the flow's.
    """

    def __init__(self) -> None:
        self._open: list[Stage] = []
        self._failed = ""  # what was under way when the innermost step failed

    def apply(self, event: Event, now: float) -> tuple[Stage | None, Part | None]:
        match event:
            case Step():
                return self._step(event, now), None
            case ResourceEvent():
                return self._resource(event, now)
            case WorkloadEvent():
                return self._workload(event, now)
            case Transferred():
                return self._transferred(event, now)
            case Notice():
                return None, None

    @property
    def running(self) -> list[Stage]:
        """The outermost steps that run."""
        return [stage for stage in self._open if stage.parent is None]

    @property
    def doing(self) -> str:
        """What is under way in words, or was when it failed: for an interruption, and for an error that comes unexpected."""
        return ": ".join(stage.title for stage in self._open) or self._failed

    def _step(self, event: Step, now: float) -> Stage:
        stage = next((stage for stage in reversed(self._open) if stage.name == event.name), None)
        if event.status == "started" or (stage is None and (event.status != "progress" or not self._open)):
            stage = self._begin(event.name, event.title, now)
        elif stage is None:
            stage = self._open[-1]  # progress of something that did not say that it started
        stage.title = event.title or stage.title
        stage.usual = event.usual if event.usual is not None else stage.usual
        if event.status == "progress":
            stage.detail = event.detail or stage.detail
            return stage
        stage.status, stage.detail = event.status, event.detail
        self._failed = (self._failed or self.doing) if event.status == "failed" else ""
        if stage.ended:
            stage.seconds = event.seconds if event.seconds is not None else now - stage.started
            # What began within it and never ended has ended with it.
            self._open = [other for other in self._open if not _within(other, stage)]
        return stage

    def _begin(self, name: str, title: str, now: float) -> Stage:
        stage = Stage(name, title or name, "started", now, parent=self._open[-1] if self._open else None)
        if stage.parent is not None:
            stage.parent.children.append(stage)
        self._open.append(stage)
        self._failed = ""
        return stage

    def _resource(self, event: ResourceEvent, now: float) -> tuple[Stage, Part]:
        stage = self._stage_for(event.stack, now)
        label = object_label(event.type, event.name)
        part = stage.parts.setdefault(label, Part(label, event.status, now))
        part.operation = event.operation
        _update(part, event.status, event.detail, event.seconds, now)
        return stage, part

    def _workload(self, event: WorkloadEvent, now: float) -> tuple[Stage, Part]:
        stage = self._stage_for("rollout", now)
        part = stage.parts.setdefault(event.workload, Part(event.workload, event.status, now, workload=True))
        part.ready, part.wanted = event.ready, event.wanted
        part.cause = event.cause or part.cause
        detail = event.detail or (event.cause.summary if event.cause else "")
        _update(part, event.status, detail, None, now)
        return stage, part

    def _transferred(self, event: Transferred, now: float) -> tuple[Stage, Part]:
        """One line for each volume, under what runs innermost."""
        stage = self._open[-1] if self._open else self._begin("transfer", "Copying volumes", now)
        label = f"volume {event.claim}"
        part = stage.parts.setdefault(label, Part(label, "started", now, kept=True))
        _update(part, "done" if event.done else "progress", transferred_words(event), None, now)
        return stage, part

    def _stage_for(self, name: str, now: float) -> Stage:
        """The outermost running stage of that name, else the outermost that runs, else a new one."""
        named = (stage for stage in self._open if stage.name == name)
        return next(named, None) or (self._open[0] if self._open else self._begin(name, name, now))


def transferred_words(event: Transferred) -> str:
    """ "1.2 of 4.0 GiB, 310 of 5,000 files, 88.0 MiB/s, 33 s left"."""
    words = [_of(size(event.bytes_done), size(event.bytes_total)), _of(*_counts(event)) + " files"]
    if event.bytes_per_second:
        words.append(f"{size(event.bytes_per_second)}/s")
    if event.eta_seconds is not None and not event.done:
        words.append(f"{event.eta_seconds:.0f} s left")
    return ", ".join(words)


def _counts(event: Transferred) -> tuple[str, str]:
    return f"{event.files_done:,}", f"{event.files_total:,}"


def _of(done: str, total: str) -> str:
    return total if done == total else f"{done} of {total}"


def size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def object_label(type_token: str, name: str) -> str:
    """ "Deployment/api": the logical name of a Kubernetes object says its kind; others get it from their type token."""
    kind = type_token.rsplit(":", 1)[-1]
    return name if "/" in name or not kind else f"{kind} {name}"


def _within(stage: Stage | None, ancestor: Stage) -> bool:
    while stage is not None:
        if stage is ancestor:
            return True
        stage = stage.parent
    return False


def _update(part: Part, status: Status, detail: str, seconds: float | None, now: float) -> None:
    if status == "started" and part.ended:
        part.started = now
        part.seconds = None
    was_ended = part.ended
    part.status = status
    part.detail = detail
    if part.ended and (seconds is not None or not was_ended or part.seconds is None):
        part.seconds = seconds if seconds is not None else now - part.started
