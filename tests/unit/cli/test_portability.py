"""import, export, eject, lint and compare as a user meets them: exit codes, streams, wrong usage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.programs import HELLO, portable

pytestmark = pytest.mark.unit

COMPOSE = "services: {web: {image: 'nginx:1.27', ports: ['80:80'], privileged: true}}\n"
TIED = HELLO.replace("example.com/web:1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "portable.yaml").write_text(HELLO)
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lint", "none.yaml"], "none.yaml"),
        (["compare", "--only", "kimd"], 'did you mean "kind"?'),
        (["eject", "--only", "kimd"], 'did you mean "kind"?'),
        (["eject", "-o", "."], "not empty"),
        (["import"], "compose"),
        (["import", "compose"], "FILE"),
        (["import", "compose", "none.yaml"], "none.yaml"),
        (["import", "compose", "compose.yaml"], "exists already"),
        (["import", "compose", "portable.yaml", "-o", "x.yaml"], "nothing that portable could run"),
        (["import", "manifests"], "FILES"),
        (["import", "manifests", "compose.yaml"], "no Kubernetes objects"),
        (["import", "score", "compose.yaml"], "not a Score file"),
        (["export", "score", "--workload", "wbe"], 'did you mean "web"?'),
        (["export", "score", "-o", "none/score.yaml"], "cannot be written"),
    ],
)
def test_wrong_usage_is_2_and_says_what_to_do(folder: Path, arguments: list[str], said: str) -> None:
    done = portable(folder, *arguments)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert done.stdout == ""


def test_lint_exits_with_1_where_a_cloud_is_named(folder: Path) -> None:
    assert portable(folder, "lint").returncode == 0
    assert portable(folder, "lint", "--strict").returncode == 1, "a host of this machine is a warning"
    (folder / "portable.yaml").write_text(TIED)
    done = portable(folder, "lint")
    assert done.returncode == 1
    assert "an image in an account's ECR" in done.stderr
    found = portable(folder, "lint", "--output", "json")
    document = json.loads(found.stdout)
    assert found.returncode == 1
    assert document["ok"] is False
    assert document["problems"][0]["line"] == 7


def test_compare_shows_a_column_for_each_cloud(folder: Path) -> None:
    done = portable(folder, "compare", "--only", "kind", "--only", "gke")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == ["kind", "Google", "Kubernetes", "Engine"]
    document = json.loads(portable(folder, "compare", "--output", "json").stdout)
    assert [side["cloud"] for side in document["clouds"]] == ["aws", "azure", "gcp", "kind"]


def test_what_was_imported_is_written_and_its_findings_go_to_stderr(folder: Path) -> None:
    done = portable(folder, "import", "compose", "compose.yaml", "-o", "new.yaml")
    assert done.returncode == 0, done.stderr
    assert "privileged is not taken over" in done.stderr
    assert "wrote new.yaml: 1 workload" in done.stdout
    assert portable(folder, "validate", "new.yaml").returncode == 0
    document = json.loads(
        portable(folder, "import", "compose", "compose.yaml", "-o", "b.yaml", "--output", "json").stdout
    )
    assert (document["workloads"], document["findings"][0]["line"]) == (["web"], 1)


def test_export_and_eject_tell_programs_what_they_did(folder: Path) -> None:
    score = portable(folder, "export", "score", "--output", "json")
    document = json.loads(score.stdout)
    assert "score.dev/v1b1" in document["score"]
    assert [each["path"] for each in document["lost"]] == ["metadata.name", "resources.images"]
    done = portable(folder, "eject", "-o", "out", "--output", "json")
    ejected = json.loads(done.stdout)
    assert (folder / "out" / "README.md").is_file()
    assert set(ejected["files"]) == {
        str(path.relative_to(folder / "out")) for path in (folder / "out").rglob("*") if path.is_file()
    }
    assert ejected["clouds"] == ["aws", "azure", "gcp", "kind"]
