"""`portable migrate`: usage that is wrong, told before any cluster is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from portable.cli import main
from tests.unit.cli.programs import HELLO

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "portable.yaml").write_text(HELLO)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORTABLE_STATE", str(tmp_path / "state"))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["kind", "kind"], "kind and kind are the same cluster, kind/portable"),
        (["kind/one", "kind/one"], "kind/one and kind/one are the same cluster"),
        (["kind"], "missing argument 'TO'"),
        (["moon", "kind"], "no provider is called 'moon'"),
        (["kind/", "kind"], "'kind/' is no CLOUD or CLOUD/CLUSTER"),
        (["kind/a", "kind/b", "--plan", "--stage"], "--plan, --stage, --rehearse and --share exclude each other"),
        (
            ["kind/a", "kind/b", "--stage", "--share", "10"],
            "--plan, --stage, --rehearse and --share exclude each other",
        ),
        (["kind/a", "kind/b", "--share", "100"], "100 is not in the range 1<=x<=99"),
        (["kind/a", "kind/b"], "nobody can be asked"),
        (["kind/a", "kind/b", "--max-downtime", "-1"], "--max-downtime"),
        (["resume", "kind"], "from kind to where?"),
        (["abort", "kind/a", "kind/b"], "nobody can be asked"),
        (["rollback"], "nobody can be asked"),
        (["finalize"], "nobody can be asked"),
        (["status", "-e", "none"], 'the spec has no environment "none"'),
    ],
    ids=" ".join,
)
def test_wrong_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", *arguments]) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_wrong_usage_is_json_where_that_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "kind", "kind", "--output", "json", "--yes"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["type"] == "UsageError"
    assert error["fix"].startswith("name another cluster")


def test_json_asks_no_questions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate", "kind/a", "kind/b", "--output", "json"]) == 2
    assert "--yes" in json.loads(capsys.readouterr().out)["error"]["fix"]
