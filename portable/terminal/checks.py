"""What `doctor` found, one line for each check, with what to do under those that are not well."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from portable.provider import Check
from portable.terminal.console import count, glyphs, printable
from portable.terminal.failure import print_fix


def print_checks(console: Console, checks: Sequence[Check]) -> None:
    signs = glyphs(console)
    marks = {"ok": (signs.done, "good"), "warning": ("!", "warn"), "missing": (signs.failed, "bad")}
    width = min(max((len(check.name) for check in checks), default=0), 24)
    for check in checks:
        sign, style = marks[check.status]
        text = Text().append(f"{sign} ", style).append(f"{check.name:<{width}}  ", "name")
        first, *rest = check.detail.splitlines() or [""]
        text.append(printable(first))
        for line in rest:
            text.append(f"\n{'':<{width + 4}}{printable(line)}")
        console.print(text)
        if check.status != "ok":
            print_fix(console, check.fix)
    missing = [check for check in checks if check.status == "missing"]
    if not missing:
        return
    console.print(Text(f"\n{count(len(missing), 'thing is', 'things are')} missing", "bad"))
