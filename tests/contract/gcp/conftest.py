"""A stand-in cloud for each test; no test may leave it with a request that Google would not have taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from portable.provider import ClusterResource
from portable.spec.model import Cluster, Nodes
from portable.testing import Stack
from portable_gcp import Gcp
from tests.clouds.front import Front
from tests.clouds.gcp import world
from tests.clouds.gcp.cloud import GoogleCloud

STANDARD = {"default": Nodes(min=3), "big": Nodes(min=1, max=6, cpu="4", memory="30Gi")}


@dataclass(frozen=True)
class World:
    cloud: GoogleCloud
    front: Front
    folder: Path

    @property
    def plugin(self) -> Gcp:
        return Gcp(world.PACE)

    @property
    def stack(self) -> Stack:
        return world.stack(self.folder)

    def up(self, cluster: Cluster, *, refresh: bool = True) -> list[str]:
        return self.stack.up(self.resources(cluster), refresh=refresh)

    def preview(self, cluster: Cluster) -> dict[str, tuple[str, ...]]:
        found = self.stack.preview(self.resources(cluster))
        return {name: difference.changes if difference else ("new",) for name, difference in found.items()}

    def resources(self, cluster: Cluster) -> list[ClusterResource]:
        return list(self.plugin.cluster(cluster))

    def calls(self) -> list[str]:
        """Those made since the last time."""
        made = list(self.front.calls)
        self.front.calls.clear()
        return made

    def writes(self) -> list[str]:
        """Those of them that change something."""
        return [
            call
            for call in self.calls()
            if not call.endswith((".get", ".list", "List", "getIamPolicy", "Config", "token"))
        ]


def disk(
    google: World, claim: str, namespace: str = "shop-prod", cluster: str = "shop", zone: str = "b", **fields: Any
) -> str:
    """As the disks' driver makes them from our class: https://github.com/kubernetes-sigs/gcp-compute-persistent-disk-csi-driver"""
    noted = {
        "kubernetes.io/created-for/pv/name": f"pvc-{namespace}-{claim}",
        "kubernetes.io/created-for/pvc/name": claim,
        "kubernetes.io/created-for/pvc/namespace": namespace,
        "storage.gke.io/created-by": "pd.csi.storage.gke.io",
    }
    return google.cloud.compute.put(
        f"zones/europe-west1-{zone}",
        "disks",
        f"pvc-{namespace}-{claim}",
        sizeGb="20",
        labels={"portable-stack": f"gcp-{cluster}"},
        description=json.dumps(noted),
        **fields,
    )


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    cloud = GoogleCloud()
    with Front(cloud).serving() as front:
        for name, value in world.environment(front, tmp_path).items():
            monkeypatch.setenv(name, value)
        yield World(cloud, front, tmp_path)
    assert cloud.violations == []
