"""Tables that a run writes into the documents (benchmarks, soak): made as Markdown, put between a page's markers."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """What was measured on, in one line, with the load of others on it."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", cpuinfo)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{len(os.sched_getaffinity(0))} cores ({model[1] if model else platform.machine()}), {memory:.0f} GiB, "
        f"Linux {platform.release()}, Python {platform.python_version()}; load average {os.getloadavg()[0]:.1f}"
    )


def section(name: str, *, page: Path | None = None) -> str:
    """What stands between the markers of a section, as `rewrite` put it there. Raises ValueError if the page lacks them."""
    page = page or PAGE
    return _find(name, page.read_text(), page)["body"]


def rewrite(section: str, body: str, *, command: str, page: Path | None = None) -> None:
    """Puts `body` between the markers of `section` on `page` (None: the benchmarks'). Raises ValueError if it lacks them."""
    page = page or PAGE
    text = page.read_text()
    found = _find(section, text, page)
    day = datetime.now(UTC).date().isoformat()
    block = f"{found['begin']}\n{body}\n\n`{command}`, {day}: {machine()}.\n{found['end']}"
    page.write_text(text[: found.start()] + block + text[found.end() :])


def _find(section: str, text: str, page: Path) -> re.Match[str]:
    name = re.escape(section)
    pattern = f"(?P<begin><!-- {name}: written by [^>]* -->)(?P<body>.*?)(?P<end><!-- end of {name} -->)"
    found = re.search(pattern, text, re.DOTALL)
    if found is None:
        raise ValueError(f"{page} has no markers for {section}")
    return found
