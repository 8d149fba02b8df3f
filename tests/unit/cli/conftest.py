from __future__ import annotations

import io
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from portable.provider import ClusterState, Credentials
from portable_gcp import Gcp
from tests.control_plane import ControlPlane
from tests.unit.cli.programs import HELLO

_numbers = itertools.count(1)


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """`HELLO` in the current folder."""
    (tmp_path / "portable.yaml").write_text(HELLO)
    monkeypatch.chdir(tmp_path)
    return HELLO


@pytest.fixture
def app(tmp_path: Path, control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> str:
    """The spec of `HELLO` under a name of its own in the current folder, its cluster the test's control plane. The namespace."""
    name = f"hello{next(_numbers)}"
    (tmp_path / "portable.yaml").write_text(HELLO.replace("{name: hello}", f"{{name: {name}}}"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Gcp, "find", lambda _gcp, cluster: ClusterState(cluster.name, healthy=True))
    monkeypatch.setattr(Gcp, "credentials", lambda _gcp, _cluster: Credentials(control_plane.kubeconfig))
    return name


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def give(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return give
