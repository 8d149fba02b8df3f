"""Consoles that record what would be on a screen of a given width."""

from __future__ import annotations

from io import BytesIO, StringIO, TextIOWrapper

from rich.console import Console

from portable.terminal.console import console


class Screen:
    """`text` is what was printed, without trailing spaces."""

    def __init__(self, width: int | None = None, *, encoding: str = "utf-8") -> None:
        self._bytes = BytesIO()
        self.stream = TextIOWrapper(self._bytes, encoding=encoding, write_through=True)
        self.console: Console = console(self.stream, color=False)
        if width is not None:
            self.console.width = width

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._bytes.getvalue().decode(self.stream.encoding).splitlines())

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


def terminal(width: int = 80, height: int = 24) -> tuple[Console, StringIO]:
    """A console that believes that a person looks at it."""
    stream = StringIO()
    made = Console(
        file=stream, force_terminal=True, width=width, height=height, color_system=None, legacy_windows=False
    )
    return made, stream
