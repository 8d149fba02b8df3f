"""A comparison while a controller writes: what it wrote is no change of ours."""

from __future__ import annotations

from typing import Any

import pytest

from portable.engine.kubernetes import KubernetesObject
from portable.kube import Kube
from portable.provider import KubeObject
from tests.unit.engine import world

pytestmark = pytest.mark.unit


class Busy(Kube):
    """Just before the first dry run, somebody else annotates the object."""

    def __init__(self, kube: Kube) -> None:
        self.__dict__.update(kube.__dict__)
        self.writes = 0

    def apply(self, manifest: KubeObject, **options: Any) -> KubeObject:
        if options.get("dry_run") and not self.writes:
            self.writes += 1
            annotated = {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}}}
            metadata = manifest["metadata"]
            self.merge_patch(
                "v1", "ConfigMap", metadata["name"], annotated, metadata["namespace"], field_manager="a-controller"
            )
        return super().apply(manifest, **options)


def test_what_a_controller_writes_meanwhile_is_no_difference(kube: Kube, space: str) -> None:
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    manifest = world.config("a", space).manifest
    kube.apply(manifest)
    busy = Busy(kube)
    assert KubernetesObject(busy).diff("", {}, manifest, manifest).changes == ()
    assert busy.writes == 1


def test_a_difference_of_ours_is_still_seen(kube: Kube, space: str) -> None:
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
    manifest = world.config("a", space).manifest
    kube.apply(manifest)
    wanted = {**manifest, "data": {**manifest["data"], "key": "another value"}}
    assert KubernetesObject(Busy(kube)).diff("", {}, manifest, wanted).changes == ("data",)
