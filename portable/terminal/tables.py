"""Tables without boxes, that fold long names instead of cutting them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from portable.terminal.console import printable

Cell = str | Text
# What is no longer than this stays on one line: where room is scarce, the columns with long texts make way.
_SHORT = 16


def print_table(console: Console, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="quiet")
    drawn = [[cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row] for row in rows]
    for index, column in enumerate(columns):
        short = all(row[index].cell_len <= _SHORT for row in drawn)
        table.add_column(column, overflow="fold", no_wrap=short)
    for row in drawn:
        table.add_row(*row)
    console.print(table)


def print_pairs(console: Console, pairs: Sequence[tuple[str, Cell]]) -> None:
    """Names and values in two columns, without a heading."""
    table = Table(box=None, show_header=False, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(overflow="fold", style="quiet")
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(printable(name), value if isinstance(value, Text) else Text(printable(value)))
    console.print(table)
