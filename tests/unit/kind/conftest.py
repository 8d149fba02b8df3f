"""A data folder of the test's own, and programs that stand in for the real ones by what they print."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plugin's folder; nothing of the user's own is touched."""
    folder = tmp_path / "data"
    monkeypatch.setenv("PORTABLE_DATA", str(folder))
    monkeypatch.delenv("PORTABLE_KIND_NODE_IMAGE", raising=False)
    return folder / "kind"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """`program("docker", SHELL SCRIPT)` puts a program of that name first on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def put(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return put
