"""The engine that we start: what it is told, and that only ours is ever stopped."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portable.errors import ToolError
from portable.events import Emit, nowhere
from portable_kind import docker_engine

pytestmark = pytest.mark.unit

WRAPPER = Path(docker_engine.__file__).parent / "node" / "runc_without_sys_resource.py"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PORTABLE_CACHE", str(tmp_path / "cache"))
    made = tmp_path / "cache" / "docker"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def stand_in(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like the engine that we started."""
    process = subprocess.Popen(["sh", "-c", "sleep 300 & wait", str(folder / "daemon.json")])
    (folder / "dockerd.pid").write_text(str(process.pid))
    while not Path(f"/proc/{process.pid}/cmdline").read_bytes():  # the kernel fills it a moment after Popen returns
        time.sleep(0.01)
    yield process
    process.kill()
    process.wait()


def test_without_a_process_of_ours_nothing_is_stopped(folder: Path) -> None:
    assert docker_engine.stop() is False


def test_ours_is_stopped_by_its_process_id(stand_in: subprocess.Popen[bytes]) -> None:
    assert docker_engine.stop() is True
    assert stand_in.wait(timeout=30) != 0


def test_a_process_that_got_our_old_id_is_left_alone(folder: Path) -> None:
    (folder / "dockerd.pid").write_text(str(os.getpid()))
    assert docker_engine.stop() is False


@pytest.mark.parametrize("text", ["", "no number", "99999999"])
def test_a_pid_file_that_says_nothing_is_no_engine(folder: Path, text: str) -> None:
    (folder / "dockerd.pid").write_text(text)
    assert docker_engine.stop() is False


def test_without_a_client_there_is_no_engine(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert docker_engine.find() is None
    assert "no `docker` command" in docker_engine.why_not()


def client(folder: Path, answer: dict[str, Any]) -> None:
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
    program.chmod(0o755)


def test_what_the_client_says_of_an_engine(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    client(
        tmp_path, {"ServerVersion": "28.0.1", "CgroupVersion": "2", "MemTotal": 8_000_000_000, "DockerRootDir": "/data"}
    )
    engine = docker_engine.find()
    assert engine is not None
    assert (engine.version, engine.cgroup, engine.memory_bytes) == ("28.0.1", "2", 8_000_000_000)
    assert (engine.data_root, engine.ours) == (Path("/data"), False)


def test_a_client_that_reaches_nothing_is_no_engine(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    client(tmp_path, {"ServerErrors": ["Cannot connect to the Docker daemon"]})
    assert docker_engine.find() is None


def test_who_is_not_root_is_told_what_to_do(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolError, match="no usable Docker engine") as raised:
        docker_engine.start(nowhere)
    assert "root" in raised.value.fix


def test_an_engine_that_the_packages_have_started_is_not_started_twice(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    client(tmp_path, {"ServerErrors": ["Cannot connect to the Docker daemon"]})
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(docker_engine, "_install_packages", lambda _: client(tmp_path, {"ServerVersion": "28.0.1"}))
    engine = docker_engine.start(nowhere)
    assert (engine.version, engine.ours) == ("28.0.1", False)
    assert not (folder / "daemon.json").exists(), "no engine of ours was configured"


@pytest.mark.parametrize("has_client", [True, False])
def test_the_client_is_installed_where_docker_comes_without_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_client: bool
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    installed: list[str] = []

    def install(packages: tuple[str, ...], _step: str, _emit: Emit) -> None:
        installed.extend(packages)
        if has_client:
            client(tmp_path, {})

    monkeypatch.setattr(docker_engine, "install_debian_packages", install)
    docker_engine._install_packages(nowhere)
    assert installed == ["docker.io", "iptables", *([] if has_client else ["docker-cli"])]


@pytest.mark.parametrize("has_it", [True, False])
def test_the_runtime_wrapper_is_used_only_where_the_capability_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, has_it: bool
) -> None:
    monkeypatch.setattr(docker_engine, "_has_capability", lambda _number: has_it)
    configuration = docker_engine._configuration(folder)
    assert ("default-runtime" in configuration) is not has_it
    assert (folder / "runc-without-sys-resource").exists() is not has_it


def test_the_wrapper_drops_that_capability_and_negative_scores_alone(tmp_path: Path) -> None:
    wrapper = runpy.run_path(str(WRAPPER))
    config = tmp_path / "config.json"
    process = {
        "capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "effective": ["CAP_SYS_RESOURCE"]},
        "oomScoreAdj": -500,
        "args": ["sleep"],
    }
    config.write_text(json.dumps({"process": process, "hostname": "x"}))
    wrapper["rewrite"](str(config), lambda document: document["process"])
    assert json.loads(config.read_text()) == {
        "process": {"capabilities": {"bounding": ["CAP_CHOWN"], "effective": []}, "oomScoreAdj": 0, "args": ["sleep"]},
        "hostname": "x",
    }


@pytest.mark.parametrize(
    "arguments", [["create", "--bundle", "/b", "id"], ["create", "--bundle=/b", "id"], ["-b", "/b"]]
)
def test_the_wrapper_finds_the_bundle(arguments: list[str]) -> None:
    assert runpy.run_path(str(WRAPPER))["option"](arguments, "--bundle", "-b") == "/b"
