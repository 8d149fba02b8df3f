"""Faults in a spec, drawn as a compiler draws them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from portable.errors import Problem
from portable.terminal.console import beside, count, glyphs, printable


def print_problems(console: Console, problems: Sequence[Problem]) -> None:
    """Every problem with its place, line and caret, then one line that counts them."""
    for problem in problems:
        console.print(_problem(console, problem))
        console.print()
    if problems:
        console.print(_total(problems))


def _problem(console: Console, problem: Problem) -> Text:
    style = "bad" if problem.severity == "error" else "warn"
    text = Text()
    if place := _place(problem):
        text.append(f"{place}: ", "name")
    text.append(f"{problem.severity}: ", style).append(printable(problem.message), "name")
    if problem.line and problem.source_line:
        text.append("\n").append(_excerpt(console, problem, style))
    signs = glyphs(console)
    for label, value in (("at", problem.path), ("expected", problem.expected), ("hint", problem.hint)):
        if value:
            text.append("\n").append(beside(console, Text(f"  {signs.arrow} {label}: ", "quiet"), value))
    return text


def _place(problem: Problem) -> str:
    if not problem.line:
        return problem.file
    return f"{problem.file}:{problem.line}" + (f":{problem.column}" if problem.column else "")


def _excerpt(console: Console, problem: Problem, style: str) -> Text:
    """The offending line and a caret under its column; of a line too long for the terminal, the part around the caret."""
    signs = glyphs(console)
    number = str(problem.line)
    gutter = " " * (len(number) + 1) + signs.bar + " "
    room = max(console.width - len(gutter) - 1, 10)
    before = printable(problem.source_line[: max(problem.column - 1, 0)])
    line = printable(problem.source_line)
    cut = max(cell_len(before) - room * 2 // 3, 0) if cell_len(line) > room else 0
    if cut:
        skipped = len(signs.ellipsis)
        drop = len(set_cell_size(before, cut))
        line, before = signs.ellipsis + line[drop:], " " * skipped + before[drop:]
    if cell_len(line) > room:
        line = set_cell_size(line, room - len(signs.ellipsis)).rstrip() + signs.ellipsis
    text = Text().append(f"{number} {signs.bar} ", "quiet").append(line, "none")
    if problem.column:
        text.append("\n").append(gutter, "quiet").append(" " * cell_len(before)).append("^", style)
    return text


def _total(problems: Sequence[Problem]) -> Text:
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    parts = ([count(errors, "error")] if errors else []) + ([count(warnings, "warning")] if warnings else [])
    return Text(", ".join(parts), "bad" if errors else "warn")
