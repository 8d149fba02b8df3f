"""The log of what nobody expected holds no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.cli.crash import write_report

pytestmark = pytest.mark.unit


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "portable.log"
    monkeypatch.setattr("portable.cli.crash.log_path", lambda: path)
    return path


def test_values_of_secret_variables_are_taken_out_and_paths_stay(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    passphrase = tmp_path / "passphrase"
    passphrase.touch()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(passphrase))
    write_report(["up"], "testing", ValueError(f"signing with {key}, reading {passphrase}"))
    assert key not in log.read_text()
    assert f"reading {passphrase}" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    import getpass
    import os

    from portable import deploy

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert deploy.who() == f"uid {os.getuid()}"
