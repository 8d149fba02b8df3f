"""What stands at the end of an operation: what was done, where the app answers, what was kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from portable.terminal.console import count, duration, glyphs, printable

if TYPE_CHECKING:
    from portable.destroy import DestroyResult
    from portable.outputs import Address
    from portable.up import UpResult


def print_up(console: Console, result: UpResult) -> None:
    signs = glyphs(console)
    text = Text().append(f"{signs.done} ", "good")
    text.append("up and ready" if result.changed else "up to date: nothing to change", "name")
    revision = f", revision {result.revision}" if result.revision is not None else ""
    text.append(f"  {duration(result.seconds)}{revision}", "quiet")
    console.print(text)
    print_addresses(console, result.addresses)


def print_addresses(console: Console, addresses: Sequence[Address]) -> None:
    for address in addresses:
        console.print(Text("  ").append(printable(address.url), "url"))
        for line in address.note.splitlines():
            console.print(Text().append(f"    {printable(line)}", "quiet"))


def print_destroy(console: Console, result: DestroyResult) -> None:
    signs = glyphs(console)
    text = Text().append(f"{signs.done} ", "good").append(f"deleted {count(len(result.deleted), 'object')}", "name")
    console.print(text.append(f"  {duration(result.seconds)}", "quiet"))
    if result.kept:
        console.print(Text("kept, because it holds data (--destroy-data deletes it):"))
    for kept in result.kept:
        console.print(Text(f"  {signs.bullet} {printable(kept)}"))
    if result.left:
        console.print(Text("left behind, and not to be removed:", "warn"))
    for left in result.left:
        console.print(Text(f"  {signs.bullet} {printable(left)}"))


def print_outputs(console: Console, outputs: Mapping[str, str]) -> None:
    from portable.terminal.tables import print_pairs

    print_pairs(console, list(outputs.items()))
