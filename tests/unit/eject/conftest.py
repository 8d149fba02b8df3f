"""A real kubectl, and specs ejected into a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from portable.eject.flow import Ejected, eject, write
from portable.events import nowhere
from portable.target import Request
from tests.control_plane import binary

Objects = dict[tuple[str, str], Any]


@pytest.fixture(autouse=True)
def state_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads the state of whoever runs it."""
    monkeypatch.setenv("PORTABLE_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def ejected(tmp_path: Path) -> Callable[..., tuple[Ejected, Path]]:
    def make(file: Path, *clouds: str, environment: str | None = None) -> tuple[Ejected, Path]:
        found = eject(Request(file=file, environment=environment), clouds, nowhere)
        write(found, tmp_path / "out")
        return found, tmp_path / "out"

    return make


@pytest.fixture(scope="session")
def kustomize(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Objects]:
    """`kubectl kustomize FOLDER`: (kind, name) -> object."""
    kubectl = tmp_path_factory.mktemp("kubectl") / "kubectl"
    kubectl.symlink_to(binary())

    def run(folder: Path) -> Objects:
        done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return by_name(yaml.load_all(done.stdout, yaml.CSafeLoader))

    return run


def by_name(manifests: Any) -> Objects:
    return {(each["kind"], each["metadata"]["name"]): each for each in manifests}
