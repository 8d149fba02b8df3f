"""Every command that a message, a docstring or a page names is there, with its options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from portable.cli.commands import portable

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
# written across string literals, a command may be cut: what stands in one literal counts
_NAMED = re.compile(r"`(portable [^`\n\"]+)`")
# the next work order's
_COMING: tuple[str, ...] = ()


def named() -> Iterator[tuple[str, str]]:
    sources = (file for folder in ("portable", "providers", "stacks") for file in (ROOT / folder).rglob("*.py"))
    for file in sorted((ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *sources)):
        for found in _NAMED.finditer(file.read_text()):
            yield f"{file.relative_to(ROOT)}", found[1]


def fault(words: str) -> str:
    """Why `words` could not be run; empty where they could."""
    command: click.Command = portable
    for word in words.split()[1:]:
        if word in _COMING or word.startswith(("{", ".")):
            return ""
        if word == "|":
            break
        options = {option for param in command.params for option in (*param.opts, *param.secondary_opts)} | {"--help"}
        if word.startswith("-"):
            if word.partition("=")[0] not in options:
                return f"{words}: no option {word}"
        elif isinstance(command, click.Group):
            below = command.get_command(click.Context(command), word)
            if below is None:
                return f"{words}: no command {word}"
            command = below
    return ""


def test_commands_that_are_named_exist() -> None:
    every = list(named())
    assert len(every) > 50, "the pattern finds them"
    assert [f"{file}: {why}" for file, words in every if (why := fault(words))] == []


@pytest.mark.parametrize("words", ["portable destroy --cluster", "portable up --refresh", "portable cluster list"])
def test_what_is_not_there_is_noticed(words: str) -> None:
    assert fault(words)
