"""Reading YAML: every file that is no spec gives a SpecError with a place, in bounded time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portable.errors import SpecError
from portable.spec.load import MAX_BYTES, decode, parse, read_bytes, read_document
from portable.spec.scalars import resolve

pytestmark = pytest.mark.unit

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)

BAD = {
    "empty": ("", 1, 1, "the file is empty"),
    "only a comment": ("# nothing\n", 1, 1, "the file is empty"),
    "duplicate key": ("a: 1\nb: 2\na: 3\n", 3, 1, 'the key "a" is already there, at line 1'),
    "tab": ("a:\n\tb: 1\n", 2, 1, "a tab is used for indentation"),
    "two documents": ("a: 1\n---\nb: 2\n", 2, 1, "a second document begins here"),
    "tag": ("a: !vault x\n", 1, 4, "the tag !vault is not supported"),
    "tag on a map": ("a: !!map {b: 1}\n", 1, 4, "the tag !!map is not supported"),
    "python tag": (
        "a: !!python/object/apply:os.system [x]\n",
        1,
        4,
        "the tag !!python/object/apply:os.system is not supported",
    ),
    "self-reference": ("a: &a\n  b: *a\n", 2, 6, "the alias *a stands inside what it refers to"),
    "alias without anchor": ("a: *b\n", 1, 4, "the alias *b has no anchor before it"),
    "bomb": (BOMB, 6, 20, "the file has more than 500,000 values when its aliases are written out"),
    "merge key": ("a: &a {b: 1}\nc: {<<: *a}\n", 2, 5, "merge keys (<<) are not part of YAML 1.2"),
    "complex key": ("? [a, b]\n: c\n", 1, 3, "a key must be plain text"),
    "alias as key": ("a: &a b\n*a : c\n", 2, 1, "a key must be plain text"),
    "open quote": ("a: 'x\n", 2, 1, "a quoted text is not closed"),
    "open list": ("a: [1, 2\n", 2, 1, "a list in brackets is not closed"),
    "open map": ("a: {b: 1\n", 2, 1, "a map in braces is not closed"),
    "second colon": ("a: b: c\n", 1, 5, "a ':' cannot stand here"),
    "indentation": ("a:\n    b: 1\n  c: 2\n", 3, 3, "the indentation does not fit the lines above"),
    "reserved character": ("a: @b\n", 1, 4, "a value cannot begin with @"),
    "not finite": ("a: .inf\n", 1, 4, ".inf is not a finite number"),
    "endless number": (f"a: {'9' * 5000}\n", 1, 4, "a number of 5000 digits is too long"),
    "nested lists": ("[" * 100_000, 1, 65, "the file is nested more than 64 levels deep"),
    "nested maps": ("{a: " * 100_000, 1, 257, "the file is nested more than 64 levels deep"),
    "nested dashes": ("- " * 200_000, 1, 129, "the file is nested more than 64 levels deep"),
}


@pytest.mark.parametrize(("text", "line", "column", "message"), BAD.values(), ids=BAD.keys())
def test_bad_yaml_is_named_with_its_place(text: str, line: int, column: int, message: str) -> None:
    started = time.monotonic()
    with pytest.raises(SpecError) as caught:
        parse(text, "portable.yaml")
    assert time.monotonic() - started < 10
    problem = caught.value.problems[0]
    assert (problem.message, problem.line, problem.column, problem.file) == (message, line, column, "portable.yaml")
    assert caught.value.exit_code == 2


def test_every_duplicate_is_reported() -> None:
    with pytest.raises(SpecError) as caught:
        parse("a: 1\na: 2\nb: {c: 1, c: 2}\n", "f")
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(2, 1), (3, 11)]


BYTES = {
    "utf-16": ("a: 1".encode("utf-16"), "the file is UTF-16 or UTF-32 text"),
    "utf-32": ("a: 1".encode("utf-32-be"), "this is a binary file"),
    "latin-1": (b"a: 1\nb: caf\xe9\n", "byte 0xe9 is not UTF-8"),
    "elf": (b"\x7fELF\x02\x01\x01\x00\xff\xfe", "this is a binary file"),
    "nul": (b"a: 1\x00", "this is a binary file"),
    "control": (b"a: \x1b[31m", "the control character U+001B is not allowed"),
}


@pytest.mark.parametrize(("data", "message"), BYTES.values(), ids=BYTES.keys())
def test_other_encodings_and_binary_files(data: bytes, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        decode(data, "f")
    assert caught.value.problems[0].message == message


def test_place_of_a_bad_byte() -> None:
    with pytest.raises(SpecError) as caught:
        decode(b"a: 1\nb: caf\xe9\n", "f")
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (2, 7)


def test_a_control_character_is_not_sent_to_the_terminal() -> None:
    with pytest.raises(SpecError) as caught:
        decode(b"a: \x1b[31m", "f")
    assert "\x1b" not in caught.value.problems[0].source_line


@pytest.mark.parametrize("text", ["\ufeffa: 1\nb: no\n", "a: 1\r\nb: no\r\n", "%YAML 1.2\n---\na: 1\nb: no\n...\n"])
def test_bom_crlf_and_document_marks_are_fine(text: str) -> None:
    assert parse(decode(text.encode(), "f"), "f").root.plain() == {"a": 1, "b": "no"}


def test_crlf_keeps_lines() -> None:
    with pytest.raises(SpecError) as caught:
        parse("a: 1\r\nb: 2\r\na: 3\r\n", "f")
    assert (caught.value.problems[0].line, caught.value.problems[0].source_line) == (3, "a: 3")


def test_plain_aliases_are_values_of_their_own_places() -> None:
    document = parse("base: &b {x: 1}\nother: *b\n", "f")
    assert document.root.plain() == {"base": {"x": 1}, "other": {"x": 1}}
    assert document.problem(("other",), "m").line == 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("", None),
        ("~", None),
        ("null", None),
        ("nULL", "nULL"),
        ("1", 1),
        ("-1", -1),
        ("0600", 600),
        ("0o17", 15),
        ("0x1F", 31),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("1.10", 1.1),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("-", "-"),
        (".", "."),
        ("2001-01-01", "2001-01-01"),
        ("١", "١"),
    ],
)
def test_core_schema(text: str, value: object) -> None:
    found = resolve(text)
    assert (found, type(found)) == (value, type(value))


def test_quoted_scalars_are_text() -> None:
    assert parse("a: '1'\nb: \"true\"\nc: |\n  1\n", "f").root.plain() == {"a": "1", "b": "true", "c": "1\n"}


def test_keys_are_text() -> None:
    assert parse("8080: a\ntrue: b\n", "f").root.plain() == {"8080": "a", "true": "b"}


def test_missing_file_folder_and_special_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        ("none.yaml", "there is no such file"),
        (".", "this is a folder, not a file"),
        ("pipe", "this is not a regular file"),
        ("x\0y", None),
        ("a" * 5000, None),
    ):
        with pytest.raises(SpecError) as caught:
            read_document(tmp_path / name)
        assert message is None or caught.value.problems[0].message == message


def test_a_file_that_cannot_be_read() -> None:
    with pytest.raises(SpecError) as caught:
        read_document(Path("/proc/self/mem"))  # opens, but reading at address 0 fails, for root as well
    assert caught.value.problems[0].message.startswith("the file cannot be read: ")


def test_a_100_mb_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "portable.yaml"
    with path.open("wb") as stream:
        stream.truncate(100 * 1024 * 1024)
    with pytest.raises(SpecError) as caught:
        read_document(path)
    assert caught.value.problems[0].message == "the file is larger than 4 MiB"
    path.write_bytes(b"a" * MAX_BYTES)
    assert len(read_bytes(path)) == MAX_BYTES


def test_the_composer_that_crashes_is_not_used(tmp_path: Path) -> None:
    """In a process of its own: PyYAML's C composer would end it with a segmentation fault."""
    path = tmp_path / "deep.yaml"
    path.write_text("[" * 500_000)
    code = "import sys, pathlib\nfrom portable.spec import load_app\nload_app(pathlib.Path(sys.argv[1]))"
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)], check=False, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 1
    assert "portable.errors.SpecError" in result.stderr
