"""Events on their way to a person or a program: a live tree on a terminal, lines in a log, JSON lines for programs."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import IO, Any, Protocol, Self, TypeAlias

from rich.console import Console
from rich.text import Text

from portable.events import Event, Notice, ResourceEvent, Step, Transferred, WorkloadEvent
from portable.terminal.console import duration, printable
from portable.terminal.live import PAST, Tree
from portable.terminal.state import Part, Stage, State

# (event, the stage and the part that it is about, monotonic seconds)
Write: TypeAlias = Callable[[Event, Stage | None, Part | None, float], None]

_NAMES = {
    Step: "step",
    ResourceEvent: "resource",
    WorkloadEvent: "workload",
    Notice: "notice",
    Transferred: "transferred",
}


class Progress(Protocol):
    """An `Emit` that is open for the time of one operation. Thread-safe. `paused` gives the screen to a question."""

    def __call__(self, event: Event) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> None: ...
    def paused(self) -> Any: ...
    @property
    def doing(self) -> str: ...


def progress(console: Console, *, verbose: bool = False) -> Progress:
    """A live tree where `console` is a terminal that a person looks at, else one line for each thing that happens."""
    if console.file.isatty() and not console.is_dumb_terminal and not os.environ.get("CI"):
        return Live(console, verbose=verbose)
    return log_lines(console, verbose=verbose)


class Written:
    """Events written as they come: nothing to open, and nothing in the way of a question."""

    def __init__(self, write: Write, clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._state = State()
        self._lock = threading.Lock()
        self._over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        with self._lock:
            self._over = True

    @contextmanager
    def paused(self) -> Iterator[None]:
        yield

    @property
    def doing(self) -> str:
        return self._state.doing

    def __call__(self, event: Event) -> None:
        with self._lock, _reader_may_leave():
            if self._over:  # a thread that had more to tell: the result is the last word
                return
            now = self._clock()
            self._write(event, *self._state.apply(event, now), now)


def log_lines(console: Console, *, verbose: bool = False, clock: Callable[[], float] = time.monotonic) -> Written:
    """One line each, with the time since the start: for CI logs and pipes."""
    return Written(LogLines(console, verbose, clock()).write, clock)


def json_lines(stream: IO[str]) -> Written:
    """One JSON object a line: {"event": "step"|"resource"|"workload"|"transferred"|"notice", "time": RFC 3339, ...the event's fields}."""

    def write(event: Event, _stage: Stage | None, _part: Part | None, _now: float) -> None:
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        document = {"event": _NAMES[type(event)], "time": stamp, **asdict(event)}
        stream.write(json.dumps(document, default=str) + "\n")
        stream.flush()

    return Written(write)


class LogLines:
    """Which events are worth a line, and which. `start` is when the operation began."""

    def __init__(self, console: Console, verbose: bool, start: float) -> None:
        self._console = console
        self._verbose = verbose
        self._start = start
        self._said: dict[str, str] = {}

    def write(self, event: Event, stage: Stage | None, part: Part | None, now: float) -> None:
        key, words, style = self._words(event, stage, part)
        # Saying the same of the same thing again would only fill the log.
        if words and self._said.get(key) != words:
            self._said[key] = words
            self._console.print(Text().append(f"{now - self._start:7.1f}s  ", "quiet").append(words, style))

    def _words(self, event: Event, stage: Stage | None, part: Part | None) -> tuple[str, str, str]:
        """(what it is about, the line, its style); an empty line: not worth one."""
        match event:
            case Notice():
                return "", printable(event.message), "warn" if event.level == "warning" else "none"
            case Step() if stage is not None:
                words = "  " * stage.depth + _step_words(stage)
                return f"step {id(stage)}", words, _style(stage.status)
            case ResourceEvent() if part is not None:
                dull = event.operation in ("same", "read") or (
                    not event.detail and event.status in ("started", "progress")
                )
                verb = PAST.get(event.operation, event.operation) if event.status == "done" else event.operation
                words = "" if dull and not self._verbose else f"  {verb} {part.label}{_rest(part)}"
                return f"{event.stack} {part.label}", words, _style(event.status)
            case WorkloadEvent() if part is not None:
                return (
                    part.label,
                    f"  {part.label}  {part.ready}/{part.wanted} ready{_rest(part)}",
                    _style(event.status),
                )
            case Transferred() if part is not None:
                # A log wants the end of a copy, not each half second of it.
                words = f"  {part.label}: {printable(part.detail)}" if event.done or self._verbose else ""
                return part.label, words, _style(part.status)
            case _:
                return "", "", "none"


class Live:
    """The live tree. Stages that ended are printed for good above it; what runs is drawn anew."""

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        from rich.live import Live as RichLive

        self._console = console
        self._state = State()
        self._tree = Tree(console, self._state, verbose=verbose)
        self._lock = threading.RLock()
        # stdout stays free: a result may go to a pipe while the tree is on the terminal.
        self._live = RichLive(
            self._tree,
            console=console,
            refresh_per_second=10,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        with self._lock:
            for stage in self._state.running:
                self._console.print(self._tree.stage(stage, whole=True))
            self._tree.hidden = True
            self._live.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    @property
    def doing(self) -> str:
        return self._state.doing

    def __call__(self, event: Event) -> None:
        with self._lock, _reader_may_leave():
            if self._tree.hidden:
                return
            stage, _part = self._state.apply(event, time.monotonic())
            if isinstance(event, Notice):
                self._console.print(self._tree.notice(event))
            if isinstance(event, Step) and stage is not None and stage.ended and stage.parent is None:
                self._console.print(self._tree.stage(stage, whole=True))


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """A reader that went away (`| head`) ends the telling, not the operation: half a deployment helps nobody."""
    try:
        yield
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BrokenPipeError:
                os.dup2(null, stream.fileno())
        os.close(null)


def _step_words(stage: Stage) -> str:
    words = {"started": "", "progress": "", "done": "done", "skipped": "skipped", "failed": "failed"}[stage.status]
    text = stage.title + (f": {words}" if words else "")
    if stage.ended and stage.seconds is not None and stage.status != "skipped":
        text += f" in {duration(stage.seconds)}"
    if stage.detail:
        text += f" ({printable(stage.detail)})" if words else f": {printable(stage.detail)}"
    if not stage.ended and stage.usual:
        text += f" (usually {duration(stage.usual)})"
    return text


def _rest(part: Part) -> str:
    words = {"started": "", "progress": "", "done": "", "skipped": "skipped", "failed": "failed"}[part.status]
    pieces = [words, printable(part.detail)]
    if part.status == "done" and part.seconds is not None:
        pieces.append(duration(part.seconds))
    said = ", ".join(filter(None, pieces))
    return f"  {said}" if said else ""


def _style(status: str) -> str:
    return {"failed": "bad", "done": "good"}.get(status, "none")
