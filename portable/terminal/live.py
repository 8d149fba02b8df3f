"""The live tree: a renderable over `State`, drawn ten times a second while something runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.spinner import Spinner
from rich.text import Text

from portable.events import Notice
from portable.terminal.console import count, duration, glyphs, printable
from portable.terminal.state import Part, Stage, State

_KEPT_PARTS = 15
_LABEL_COLUMN = 32
PAST = {"create": "created", "update": "updated", "replace": "replaced", "delete": "deleted"}


class Tree:
    """Draws what runs, at most as high as the terminal. `hidden`: draws nothing any more."""

    def __init__(self, console: Console, state: State, *, verbose: bool = False) -> None:
        self._console = console
        self._state = state
        self._verbose = verbose
        self._spinner = Spinner(glyphs(console).spinner)
        self.hidden = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.hidden:
            return
        room = max((options.height or console.height) - 2, 3)
        lines = [line for stage in self._state.running for line in self._stage_lines(stage, whole=False)]
        if len(lines) > room:
            lines = [*lines[: room - 1], Text(f"  {glyphs(console).ellipsis} {len(lines) - room + 1} more", "quiet")]
        yield from lines

    def stage(self, stage: Stage, *, whole: bool) -> Text:
        """One stage as it is printed for good."""
        return Text("\n").join(self._stage_lines(stage, whole=whole))

    def notice(self, notice: Notice) -> Text:
        signs = glyphs(self._console)
        style = "warn" if notice.level == "warning" else "quiet"
        return (
            Text()
            .append("! " if notice.level == "warning" else f"{signs.bullet} ", style)
            .append(printable(notice.message))
        )

    def _stage_lines(self, stage: Stage, *, whole: bool) -> list[Text]:
        indent = 2 * stage.depth
        sign = self._sign(stage.status)
        head = self._line(indent, sign, printable(stage.title), _stage_detail(stage), _stage_time(stage))
        shown = self._shown(stage, whole)
        column = min(max((cell_len(_label(part)) for part in shown), default=0), _LABEL_COLUMN)
        children = [
            line
            for child in stage.children
            if child.ended or not stage.ended
            for line in self._stage_lines(child, whole=whole)
        ]
        return [head, *children, *(self._part(indent + 2, part, column) for part in shown), *self._ready_line(stage)]

    def _shown(self, stage: Stage, whole: bool) -> list[Part]:
        """What is worth a line: failures and what runs first, workloads that are ready; objects that are done only if asked.

        What an ended stage leaves unfinished goes on in the next one, and is shown there.
        """
        parts = list(stage.parts.values())
        if not whole:
            parts.sort(key=lambda part: part.ended and part.status != "failed")
        workloads = sum(part.workload for part in parts)
        return [
            part
            for part in parts
            if part.status == "failed"
            or (not part.ended and not stage.ended)
            or (part.workload and part.ended and workloads <= _KEPT_PARTS)
            or part.kept
            or (self._verbose and part.operation != "same")
        ]

    def _ready_line(self, stage: Stage) -> Iterable[Text]:
        """Stands for the ready workloads where they are too many for a line each."""
        workloads = [part for part in stage.parts.values() if part.workload]
        ready = sum(part.status == "done" for part in workloads)
        if ready and len(workloads) > _KEPT_PARTS and not self._verbose:
            yield self._line(2, self._sign("done"), f"{count(ready, 'workload')} ready", "", "")

    def _part(self, indent: int, part: Part, column: int) -> Text:
        detail = printable(part.detail)
        if part.operation and not part.workload:
            verb = PAST.get(part.operation, part.operation) if part.status == "done" else part.operation
            detail = f"{verb} {glyphs(self._console).bullet} {detail}" if detail else verb
        seconds = part.seconds if part.seconds is not None else time.monotonic() - part.started
        label = _label(part)
        return self._line(
            indent, self._sign(part.status), label + " " * (column - cell_len(label)), detail, duration(seconds)
        )

    def _sign(self, status: str) -> Text:
        signs = glyphs(self._console)
        match status:
            case "done":
                return Text(signs.done, "good")
            case "failed":
                return Text(signs.failed, "bad")
            case "skipped":
                return Text(signs.skipped, "quiet")
            case _:
                frame = self._spinner.render(time.monotonic())
                return frame if isinstance(frame, Text) else Text(signs.waiting)

    def _line(self, indent: int, sign: Text, label: str, detail: str, at_end: str) -> Text:
        """One line that fits: the label whole if it can be, then the time at the right, then as much detail as there is room."""
        signs = glyphs(self._console)
        width = min(self._console.width, 100)
        left = Text(" " * indent).append(sign).append(" ").append(_fit(label, width - indent - 2, signs.ellipsis))
        room = width - cell_len(left.plain) - (cell_len(at_end) + 2 if at_end else 0)
        if detail and room > 6:
            left.append("  ").append(_fit(detail, room - 2, signs.ellipsis), "quiet")
        gap = width - cell_len(left.plain) - cell_len(at_end)
        if at_end and gap >= 1:
            left.append(" " * gap).append(at_end, "quiet")
        return left


def _label(part: Part) -> str:
    return printable(part.label) + (f"  {part.ready}/{part.wanted}" if part.workload else "")


def _fit(text: str, room: int, ellipsis: str) -> str:
    if cell_len(text) <= room:
        return text
    return set_cell_size(text, max(room - len(ellipsis), 1)).rstrip() + ellipsis if room > len(ellipsis) else ""


def _stage_detail(stage: Stage) -> str:
    if stage.detail:
        return printable(stage.detail)
    done = Counter(part.operation for part in stage.parts.values() if part.operation and part.status == "done")
    said = [f"{done[operation]} {past}" for operation, past in PAST.items() if done[operation]]
    if not said and done["same"] and stage.ended:
        return f"{done['same']} unchanged"
    return ", ".join(said)


def _stage_time(stage: Stage) -> str:
    if stage.status == "skipped":
        return ""
    if stage.seconds is not None:
        return duration(stage.seconds)
    elapsed = time.monotonic() - stage.started
    if not stage.usual:
        return duration(elapsed)
    words = "of about" if elapsed < stage.usual else "usually"
    return f"{duration(elapsed)} {words} {duration(stage.usual)}"
