"""`secret rotate`: who has to have the new value."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from portable.cli import main
from portable.errors import UsageError
from portable.images.wanted import pinned
from portable.rotate import _require_nothing_else, composed_with, readers
from portable.target import Request, compile_target, open_target

pytestmark = pytest.mark.unit

SPEC = """\
apiVersion: portable/v1
kind: App
metadata: {name: shop}
workloads:
  web:
    containers:
      main: {image: "shop:1", variables: {URL: "${resources.db.url}"}}
  files:
    containers:
      main:
        image: "shop:1"
        files:
          /etc/app.conf: {content: "url = ${resources.db.url}"}
  other:
    containers:
      main: {image: "shop:1", variables: {URL: "${resources.cache.url}"}}
  report:
    schedule: "0 3 * * *"
    containers:
      main: {image: "shop:1", variables: {URL: "${resources.db.url}"}}
resources:
  db: {type: postgres}
  cache: {type: redis}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "portable.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)


def test_what_reads_the_password_gets_new_pods() -> None:
    objects = compile_target(open_target(Request(cloud="kind")))
    (composed,) = composed_with(objects, "db")
    assert composed.startswith("files-secret-files-")
    assert set(readers(objects, {"db", composed})) == {"web", "files", "db"}, "a cron job has it with its next run"
    assert list(composed_with(objects, "cache")) == []
    assert set(readers(objects, {"cache"})) == {"other", "cache"}


def test_a_generated_password_takes_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["secret", "rotate", "db", "--key", "password", "--from-file", "portable.yaml", "--cloud", "kind"]
    assert main(words) == 2
    assert "the password of db is generated" in capsys.readouterr().err


def test_an_app_whose_images_are_built_here_is_as_it_was_deployed(tmp_path: Path) -> None:
    """Its last revision has the images by digest, as they were delivered; the spec knows them by their content alone."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "portable.yaml").write_text(
        SPEC.replace('image: "shop:1", variables: {URL: "${resources.db.url}"}', "build: .", 1)
    )
    target = open_target(Request(cloud="gcp"))
    name = target.app.workloads["web"].containers["main"].image
    delivered = compile_target(replace(target, app=pinned(target.app, {name: f"{name}@sha256:{'a' * 64}"})))
    last: Any = SimpleNamespace(
        number=3,
        action="up",
        status="good",
        secret_versions={},
        objects_digest=delivered.digest,
        workloads=delivered.workloads,
    )
    running: Any = SimpleNamespace(target=target, last=last)
    _require_nothing_else(running, "token")
    last.objects_digest = "another"
    with pytest.raises(UsageError, match="more than this secret has changed"):
        _require_nothing_else(running, "token")
