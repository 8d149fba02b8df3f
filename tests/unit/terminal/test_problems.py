from __future__ import annotations

import pytest
from rich.cells import cell_len

from portable.errors import Cause, PortableError, Problem, RolloutFailed
from portable.terminal.failure import print_failure
from portable.terminal.problems import print_problems
from tests.unit.terminal.screens import Screen

pytestmark = pytest.mark.unit

UNKNOWN = Problem(
    "unknown key 'replica'",
    file="portable.yaml",
    line=12,
    column=7,
    path="workloads.api.replica",
    source_line="      replica: 3",
    expected="scale, routes",
    hint="did you mean 'scale'?",
)


def test_a_problem_reads_like_a_compilers() -> None:
    screen = Screen()
    print_problems(screen.console, [UNKNOWN])
    assert screen.lines == [
        "portable.yaml:12:7: error: unknown key 'replica'",
        "12 │       replica: 3",
        "   │       ^",
        "  → at: workloads.api.replica",
        "  → expected: scale, routes",
        "  → hint: did you mean 'scale'?",
        "",
        "1 error",
    ]


def test_a_locale_without_unicode_gets_ascii() -> None:
    screen = Screen(encoding="ascii")
    print_problems(screen.console, [UNKNOWN])
    assert "12 |       replica: 3" in screen.lines
    assert "  -> hint: did you mean 'scale'?" in screen.lines


def test_errors_and_warnings_are_counted_apart() -> None:
    screen = Screen()
    print_problems(screen.console, [UNKNOWN, UNKNOWN, Problem("odd", severity="warning")])
    assert screen.lines[-1] == "2 errors, 1 warning"


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("name: x", 7),
        ("\tkey: value", 2),
        ("名前: 値の列", 5),
        ("a: " + "long " * 60 + "HERE", 304),
        ("a: " + "漢字" * 60 + "HERE", 124),
        ("HERE" + " after" * 60, 1),
        ("x", 40),
    ],
)
def test_the_caret_stands_under_its_column_at_every_width(width: int, source: str, column: int) -> None:
    screen = Screen(width)
    print_problems(screen.console, [Problem("wrong", "f.yaml", 3, column, source_line=source)])
    lines = screen.text.splitlines()
    at = next(index for index, line in enumerate(lines) if line.startswith("  │") and line.endswith("^"))
    shown, caret = lines[at - 1], lines[at]
    assert shown.startswith("3 │ ")
    assert cell_len(shown) <= width
    assert cell_len(caret) <= max(width, 4 + column)
    if column <= len(source):
        before = cell_len(caret[:-1])
        character = next(char for index, char in enumerate(shown) if cell_len(shown[:index]) == before)
        assert character == source[column - 1]


def test_what_a_container_says_cannot_steer_the_terminal() -> None:
    screen = Screen()
    cause = Cause("api", "CrashLoop", "ends", log_tail=("\x1b[2Jgone\x07",), event="back\x1b]0;title\x07")
    print_failure(screen.console, RolloutFailed([cause]))
    assert "\x1b" not in screen.text
    assert "\x07" not in screen.text


def test_a_failed_rollout_tells_everything_once() -> None:
    screen = Screen(40)
    cause = Cause(
        "api",
        "CrashLoop",
        "container main exits with code 1",
        pod="api-5b6f",
        container="main",
        event="Back-off restarting failed container",
        exit_code=1,
        log_tail=("starting", "KeyError: 'DB_HOST'"),
        hint="add the variable\nDB_HOST",
        seconds=6.2,
    )
    print_failure(screen.console, RolloutFailed([cause], fix="rolled back to revision 3"))
    text = " ".join(screen.text.split())
    for said in (
        "api CrashLoop after 6.2s",
        "container main exits with code 1",
        "pod api-5b6f / main",
        "exit code 1",
        "event Back-off restarting failed container",
        "│ KeyError: 'DB_HOST'",
        "→ add the variable DB_HOST",
        "error: not ready: api",
        "→ rolled back to revision 3",
    ):
        assert text.count(said) == 1, said


def test_an_error_has_detail_and_fix_below_it() -> None:
    screen = Screen()
    print_failure(screen.console, PortableError("it broke", detail="first\nsecond", fix="do this\nthen that"))
    assert screen.lines == ["error: it broke", "  first", "  second", "  → do this", "    then that"]


def test_on_a_narrow_terminal_each_part_of_a_failure_stays_a_block() -> None:
    hint = "see the last lines of the log; test the image by itself"
    cause = Cause("web", "CrashLoop", "container main crashes: exit code 3 (2 times)", hint=hint)
    screen = Screen(40)
    print_failure(screen.console, RolloutFailed([cause], fix="rolled back: web back at revision 3"))
    assert screen.lines == [
        "✗ web  CrashLoop",
        "  container main crashes: exit code 3 (2",
        "  times)",
        "  → see the last lines of the log; test",
        "    the image by itself",
        "",
        "error: not ready: web",
        "  → rolled back: web back at revision 3",
    ]
