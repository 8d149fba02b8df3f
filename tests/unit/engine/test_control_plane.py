"""The test world's own promise: a real API server that applies, defaults, refuses and finalizes."""

from __future__ import annotations

import pytest

from portable.errors import ClusterError
from portable.kube import Kube

pytestmark = pytest.mark.unit


def test_it_defaults_refuses_and_deletes_in_the_foreground(kube: Kube) -> None:
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "world"}})
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "world"}}
    applied = kube.apply({**service, "spec": {"ports": [{"port": 80}]}})
    assert applied["spec"]["type"] == "ClusterIP"
    with pytest.raises(ClusterError, match="Invalid value"):
        kube.apply({**service, "spec": {"ports": [{"port": 80000}]}})
    assert kube.delete("v1", "Namespace", "world")
    assert kube.wait_gone("v1", "Namespace", "world", timeout=60)
    assert kube.get("v1", "Service", "web", "world") is None
