"""The core's own checks, as the installed program makes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.programs import portable

pytestmark = pytest.mark.unit


def _check(name: str, folder: Path, **environment: str) -> dict[str, str]:
    done = portable(folder, "--output", "json", "doctor", environment=environment)
    return next(check for check in json.loads(done.stdout)["checks"] if check["name"] == name)


def test_the_state_folder_is_the_one_that_the_engine_uses(tmp_path: Path) -> None:
    own = str(tmp_path / "elsewhere")
    found = _check("state folder", tmp_path, PORTABLE_STATE=own)
    assert (found["status"], found["detail"]) == ("ok", own)
    standard = _check("state folder", tmp_path)
    assert (standard["status"], standard["detail"]) == ("ok", str(tmp_path / "state" / "portable"))


@pytest.mark.parametrize(("name", "variable"), [("state folder", "PORTABLE_STATE"), ("tool cache", "PORTABLE_CACHE")])
def test_a_folder_that_cannot_be_is_missing(tmp_path: Path, name: str, variable: str) -> None:
    (tmp_path / "file").write_text("")
    found = _check(name, tmp_path, **{variable: str(tmp_path / "file" / "below")})
    assert (found["status"], variable in found["fix"]) == ("missing", True)
