"""An error, said so that a person knows what happened, where, and what to do next."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from portable.errors import Cause, PortableError, RolloutFailed, SpecError
from portable.terminal.console import beside, duration, glyphs
from portable.terminal.problems import print_problems


def print_failure(console: Console, error: PortableError) -> None:
    if isinstance(error, SpecError):
        print_problems(console, error.problems)
        return
    if isinstance(error, RolloutFailed):
        for cause in error.causes:
            console.print(cause_text(console, cause))
            console.print()
    console.print(beside(console, Text("error: ", "bad"), error.message, "name"))
    if error.detail:
        console.print(beside(console, Text("  "), error.detail))
    print_fix(console, error.fix)


def print_fix(console: Console, fix: str) -> None:
    if fix:
        console.print(beside(console, Text(f"  {glyphs(console).arrow} ", "quiet"), fix))


def cause_text(console: Console, cause: Cause) -> Text:
    """Why one workload cannot become ready: sign and sentence, then the event, the exit code, the last log lines, the hint."""
    signs = glyphs(console)
    text = Text().append(f"{signs.failed} ", "bad").append(cause.workload, "name").append(f"  {cause.sign}", "bad")
    if cause.seconds:
        text.append(f"  after {duration(cause.seconds)}", "quiet")
    lines = [text, beside(console, Text("  "), cause.summary)]
    where = " / ".join(filter(None, (cause.pod, cause.container)))
    code = "" if cause.exit_code is None else str(cause.exit_code)
    for label, value in (("pod", where), ("exit code", code), ("event", cause.event)):
        if value:
            lines.append(beside(console, Text(f"  {label:<10}", "quiet"), value))
    if cause.log_tail:
        lines.append(Text("  last lines of its log", "quiet"))
        lines += [beside(console, Text(f"  {signs.bar} ", "quiet"), line) for line in cause.log_tail]
    if cause.hint:
        lines.append(beside(console, Text(f"  {signs.arrow} ", "quiet"), cause.hint))
    return Text("\n").join(lines)
