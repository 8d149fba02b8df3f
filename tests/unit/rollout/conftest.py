from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from portable.kube import Kube
from tests.control_plane import ControlPlane, control_plane

__all__ = ["control_plane"]

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def kube(control_plane: ControlPlane) -> Iterator[Kube]:
    with Kube.connect(control_plane.kubeconfig) as connected:
        yield connected


@pytest.fixture
def namespace(kube: Kube) -> str:
    name = f"rollout-{next(_numbers)}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
