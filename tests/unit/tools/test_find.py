"""What is found, and in which order: a tool on PATH whose version fits, then the tool cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from portable import tools
from portable.errors import ToolError
from portable.tools import Tool
from portable.tools.tool import host

pytestmark = pytest.mark.unit

TOOL = Tool(
    name="widget", version="3.5.0", purpose="makes widgets", oldest="3.2.1", version_pattern=r"widget v(\d+\.\d+\.\d+)"
)

Program = Callable[[Path, str], Path]


@pytest.fixture
def path_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("PORTABLE_CACHE", str(tmp_path / "cache"))
    return folder


def program(path: Path, says: str, code: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


def in_cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "tools" / f"widget-3.5.0-{'-'.join(host())}" / "widget"


@pytest.mark.parametrize(
    ("says", "fits"),
    [
        ("widget v3.5.0 linux/amd64", True),
        ("widget v3.2.1", True),
        ("widget v3.10.0", True),
        ("widget v3.2.0", False),
        ("widget v4.0.0", False),
        ("widget v2.9.9", False),
        ("something else 3.5.0", False),
        ("", False),
    ],
)
def test_a_tool_on_path_is_taken_if_its_version_fits(path_folder: Path, says: str, fits: bool) -> None:
    placed = program(path_folder / "widget", says)
    assert tools.find(TOOL) == (placed if fits else None)


def test_a_tool_on_path_that_fails_is_not_taken(path_folder: Path) -> None:
    program(path_folder / "widget", "widget v3.5.0", code=1)
    assert tools.find(TOOL) is None


def test_path_comes_before_the_cache(path_folder: Path, tmp_path: Path) -> None:
    cached = program(in_cache(tmp_path), "widget v3.5.0")
    assert tools.find(TOOL) == cached
    on_path = program(path_folder / "widget", "widget v3.5.0")
    assert tools.find(TOOL) == on_path


def test_the_cache_is_used_where_path_has_one_that_is_too_old(path_folder: Path, tmp_path: Path) -> None:
    program(path_folder / "widget", "widget v3.0.0")
    cached = program(in_cache(tmp_path), "widget v3.5.0")
    assert tools.find(TOOL) == cached


def test_without_an_oldest_version_the_pinned_one_counts(path_folder: Path) -> None:
    exact = Tool(name="widget", version="3.5.0", purpose="", version_pattern=TOOL.version_pattern)
    program(path_folder / "widget", "widget v3.4.9")
    assert tools.find(exact) is None


def test_a_missing_tool_says_what_to_do(path_folder: Path) -> None:
    with pytest.raises(ToolError) as raised:
        tools.require(TOOL)
    assert "widget 3.5.0" in raised.value.message
    assert "doctor --fix" in raised.value.fix
