"""Every command explains itself."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from portable.cli import elsewhere
from portable.cli.commands import portable
from portable.cli.session import Session

pytestmark = pytest.mark.unit


def _paths(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _paths(command, (*before, name))
        else:
            yield (*before, name), command


COMMANDS = dict(_paths(portable))


def test_the_commands_are_those_of_the_work_order() -> None:
    wanted = {
        ("init",), ("validate",), ("render",), ("plan",), ("up",), ("status",), ("logs",), ("open",), ("outputs",),
        ("secret", "set"), ("secret", "list"), ("destroy",), ("providers", "list"), ("providers", "show"), ("schema",),
        ("doctor",), ("completion",), ("history",), ("rollback",), ("restart",), ("scale",), ("exec",), ("top",), ("drift",),
        ("secret", "rotate"),
    }  # fmt: skip
    assert wanted <= set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_an_example_of_itself_and_the_common_options(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(portable, [*path, "--help"], obj=Session())
    assert shown.exit_code == 0
    example = shown.output.partition("Example:")[2]
    assert f"portable {' '.join(path)}" in example
    for option in ("--output", "--no-color", "--verbose"):
        assert option in shown.output


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_has_a_help_text(path: tuple[str, ...]) -> None:
    options = [param for param in COMMANDS[path].params if isinstance(param, click.Option)]
    assert [option.name for option in options if not option.help] == []


def test_one_line_helps_are_not_cut() -> None:
    assert "..." not in CliRunner().invoke(portable, ["--help"], obj=Session()).output.partition("Commands:")[2]


def test_help_is_found_as_in_other_tools() -> None:
    spellings = (["up", "--help"], ["up", "-h"], ["help", "up"])
    assert len({CliRunner().invoke(portable, words, obj=Session()).output for words in spellings}) == 1
    assert (
        CliRunner().invoke(portable, ["help"], obj=Session()).output
        == CliRunner().invoke(portable, ["-h"], obj=Session()).output
    )


@pytest.mark.parametrize("group", ["migrate", "secret", "clusters"])
def test_a_group_has_a_short_help_too(group: str) -> None:
    assert "\nCommands:\n" in CliRunner().invoke(portable, [group, "-h"], obj=Session()).output


def test_what_other_tools_call_it_leads_to_a_command_that_there_is() -> None:
    assert not set(elsewhere.COMMANDS) & {path[0] for path in COMMANDS}
    known = {" ".join(path[:depth]) for path in COMMANDS for depth in (1, 2)} | {"--version"}
    assert set(elsewhere.COMMANDS.values()) <= known
