"""An error, said so that a person knows what happened, where, and what to do next."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from portable.errors import Cause, PortableError, RolloutFailed, SpecError
from portable.terminal.console import duration, glyphs, printable
from portable.terminal.problems import print_problems


def print_failure(console: Console, error: PortableError) -> None:
    if isinstance(error, SpecError):
        print_problems(console, error.problems)
        return
    if isinstance(error, RolloutFailed):
        for cause in error.causes:
            console.print(cause_text(console, cause))
            console.print()
    text = Text().append("error: ", "bad").append(printable(error.message), "name")
    for line in error.detail.splitlines():
        text.append("\n  " + printable(line))
    console.print(text)
    print_fix(console, error.fix)


def print_fix(console: Console, fix: str) -> None:
    signs = glyphs(console)
    for index, line in enumerate(fix.splitlines()):
        lead = f"  {signs.arrow} " if index == 0 else " " * (3 + len(signs.arrow))
        console.print(Text().append(lead, "quiet").append(printable(line)))


def cause_text(console: Console, cause: Cause) -> Text:
    """Why one workload cannot become ready: sign and sentence, then the event, the exit code, the last log lines, the hint."""
    signs = glyphs(console)
    text = Text().append(f"{signs.failed} ", "bad").append(cause.workload, "name").append(f"  {cause.sign}", "bad")
    if cause.seconds:
        text.append(f"  after {duration(cause.seconds)}", "quiet")
    text.append("\n  " + printable(cause.summary))
    where = " / ".join(filter(None, (cause.pod, cause.container)))
    code = "" if cause.exit_code is None else str(cause.exit_code)
    for label, value in (("pod", where), ("exit code", code), ("event", cause.event)):
        for index, line in enumerate(value.splitlines()):
            text.append(f"\n  {label if index == 0 else '':<10}", "quiet").append(printable(line))
    if cause.log_tail:
        text.append("\n  last lines of its log", "quiet")
        for line in cause.log_tail:
            text.append(f"\n  {signs.bar} ", "quiet").append(printable(line))
    for index, line in enumerate(cause.hint.splitlines()):
        lead = f"{signs.arrow} " if index == 0 else " " * (len(signs.arrow) + 1)
        text.append(f"\n  {lead}", "quiet").append(printable(line))
    return text
