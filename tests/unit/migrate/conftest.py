from __future__ import annotations

import itertools

import pytest

from portable.kube import Kube

_numbers = itertools.count(1)


@pytest.fixture
def namespace(kube: Kube) -> str:
    name = f"migrate-{next(_numbers)}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name
