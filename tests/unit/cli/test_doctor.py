"""The core's own checks, as the installed program makes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.programs import portable

pytestmark = pytest.mark.unit


def _state_folder(folder: Path, **environment: str) -> dict[str, str]:
    done = portable(folder, "--output", "json", "doctor", environment=environment)
    return next(check for check in json.loads(done.stdout)["checks"] if check["name"] == "state folder")


def test_the_state_folder_is_the_one_that_the_engine_uses(tmp_path: Path) -> None:
    own = str(tmp_path / "elsewhere")
    found = _state_folder(tmp_path, PORTABLE_STATE=own)
    assert (found["status"], found["detail"]) == ("ok", own)
    standard = _state_folder(tmp_path)
    assert (standard["status"], standard["detail"]) == ("ok", str(tmp_path / "state" / "portable"))


def test_a_state_folder_that_cannot_be_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = _state_folder(tmp_path, PORTABLE_STATE=str(tmp_path / "file" / "below"))
    assert (found["status"], "PORTABLE_STATE" in found["fix"]) == ("missing", True)
