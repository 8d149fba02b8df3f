"""The consoles that everything is drawn on, and the few glyphs that are used."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO

from rich.console import Console
from rich.text import Text
from rich.theme import Theme

# A pipe or a log has no width: nothing is wrapped or cut for it.
_UNBOUNDED = 10_000

_THEME = Theme(
    {
        "good": "green",
        "bad": "bold red",
        "warn": "yellow",
        "add": "green",
        "change": "yellow",
        "remove": "red",
        "quiet": "dim",
        "name": "bold",
        "url": "cyan underline",
        "caret": "bold red",
    }
)


@dataclass(frozen=True)
class Glyphs:
    done: str
    failed: str
    waiting: str
    skipped: str
    bullet: str
    arrow: str
    ellipsis: str
    spinner: str
    bar: str


_UNICODE = Glyphs("✓", "✗", "·", "-", "•", "→", "…", "dots", "│")
_ASCII = Glyphs("+", "x", ".", "-", "*", "->", "...", "line", "|")


def console(stream: IO[str], *, color: bool) -> Console:
    """A console on `stream`: styled only where `color` is asked for and the stream can show it.

    Without colour there are no escape codes at all; markup in names and messages is never interpreted.
    """
    plain: Console = Console(
        file=stream, theme=_THEME, markup=False, highlight=False, emoji=False, legacy_windows=False, color_system="auto"
    )
    width = None if plain.is_terminal or os.environ.get("COLUMNS", "").isdigit() else _UNBOUNDED
    return Console(
        file=stream,
        theme=_THEME,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
        color_system="auto" if color else None,
        width=width,
    )


def glyphs(console: Console) -> Glyphs:
    """Signs that the stream's encoding can carry."""
    return _UNICODE if console.encoding.lower().replace("-", "").startswith("utf") else _ASCII


def duration(seconds: float) -> str:
    """How a person says it: "0.4s", "12s", "3m 05s", "1h 02m"."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m {rest:02d}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02d}m"


def when(at: str) -> str:
    """How long ago: "3m 05s ago"; "" where nobody knows."""
    if not at:
        return ""
    return f"{duration((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds())} ago"


def count(number: int, singular: str, plural: str = "") -> str:
    """ "1 error", "2 errors"."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def beside(console: Console, lead: Text, words: str | Text, style: str = "") -> Text:
    """`words` after `lead`; what does not fit into the console's width goes on below its own beginning."""
    text = words if isinstance(words, Text) else Text("\n").join(Text(printable(each)) for each in words.splitlines())
    rows = text.wrap(console, max(console.width - lead.cell_len, 20))
    for row in rows:
        row.stylize_before(style)
    return lead + Text("\n" + " " * lead.cell_len).join(rows)


def printable(text: str) -> str:
    """`text` without control characters: what comes from a container or a file must not steer the terminal."""
    return "".join(char if char.isprintable() or char in "\t" else "�" for char in text).replace("\t", "    ")
