"""`build` and `dev`: what is refused before anything is built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from portable.cli import main

pytestmark = pytest.mark.unit


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An app that is built from `api`, on a path without any builder."""
    (tmp_path / "api").mkdir()
    (tmp_path / "api" / "Dockerfile").write_text("FROM scratch\n")
    file = tmp_path / "portable.yaml"
    file.write_text(
        "apiVersion: portable/v1\nkind: App\nmetadata: {name: shop}\n"
        "workloads: {web: {containers: {main: {build: ./api}}}}\n"
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PORTABLE_BUILDER", raising=False)
    return file


def refusal(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])["error"]


def test_nothing_to_build(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(spec.read_text().replace("build: ./api", "image: 'a/b:1'"))
    assert main(["build", "--cloud", "gcp", str(spec)]) == 2
    assert "no container has `build`" in capsys.readouterr().err


def test_no_builder_at_all(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--cloud", "gcp", "--output=json", str(spec)]) == 1
    error = refusal(capsys)
    assert error["message"] == "there is nothing to build images with"
    assert [line.split(":")[0] for line in error["detail"].splitlines()] == ["docker", "buildctl", "podman", "buildah"]


def test_a_builder_that_nobody_knows(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORTABLE_BUILDER", "kaniko")
    assert main(["build", "--cloud", "gcp", "--output=json", str(spec)]) == 2
    assert "docker, buildkit, podman, buildah" in refusal(capsys)["fix"]


def test_the_builder_that_is_asked_for_is_the_only_one(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORTABLE_BUILDER", "podman")
    assert main(["build", "--cloud", "gcp", "--output=json", str(spec)]) == 1
    error = refusal(capsys)
    assert error["message"] == "podman cannot build images here"
    assert error["detail"] == "podman: not installed"


def test_a_platform_that_the_classic_builder_cannot_build(
    spec: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Docker whose client has no buildx: what the image is asked for is not this machine's."""
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\ncase "$1" in version) echo 1;; *) echo "$@" >&2; exit 1;; esac\n')
    docker.chmod(0o755)
    spec.write_text(spec.read_text().replace("build: ./api", "build: {context: ./api, platforms: [linux/s390x]}"))
    assert main(["build", "--cloud", "gcp", "--output=json", str(spec)]) == 2
    error = refusal(capsys)
    assert "no BuildKit" in error["message"]
    assert "linux/s390x" in error["detail"]


def test_dev_needs_a_local_cluster(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dev", "--cloud", "gcp", str(spec)]) == 2
    assert "portable dev --cloud kind" in capsys.readouterr().err


def test_a_context_that_is_not_there(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(spec.read_text().replace("./api", "./nowhere"))
    assert main(["build", "--cloud", "gcp", str(spec)]) == 2
    assert 'there is no folder "./nowhere"' in capsys.readouterr().err
