"""What tests of several folders share: one control plane for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portable.kube import Kube
from tests.control_plane import ControlPlane, start


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server with all controllers but no nodes: give each test a namespace of its own."""
    with start(tmp_path_factory.mktemp("control-plane"), controllers=("*",)) as plane:
        yield plane


@pytest.fixture(scope="session")
def kube(control_plane: ControlPlane) -> Iterator[Kube]:
    with Kube.connect(control_plane.kubeconfig) as connected:
        yield connected
