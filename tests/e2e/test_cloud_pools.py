"""A cluster with node pools on EKS, GKE and AKS, through its whole life, by the commands that a user types.

As in test_clouds.py the clouds are stand-ins and a real cluster is behind them; there clusters choose their nodes themselves.
The tests stand in order. One of the three clouds has its turn each day, in `make soak` all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clouds.cluster_behind import ClusterBehind, cluster_behind, load_images
from tests.clouds.standing import CLOUDS, CLUSTER, StandIn
from tests.e2e.conftest import HELLO, Portable, Run, app
from tests.e2e.test_clouds import environment
from tests.soak import share

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
TODAY = share(CLOUDS, of=3)
POOLS = {"default": {"min": 2, "max": 3, "cpu": 2, "memory": "4Gi"}, "big": {"min": 1, "cpu": 4, "memory": "16Gi"}}


def eks_version(service: Any) -> str:
    return service.eks.clusters[CLUSTER].thing["version"]


def gke_version(service: Any) -> str:
    return service.gke.clusters[CLUSTER]["currentMasterVersion"]


def aks_version(service: Any) -> str:
    return service.cluster(CLUSTER)["properties"]["currentKubernetesVersion"]


def eks_pool(service: Any) -> int:
    groups = service.eks.groups.items()
    return next(entry.thing["scalingConfig"]["minSize"] for (_, name), entry in groups if name.startswith("big-"))


def gke_pool(service: Any) -> int:
    (found,) = [each for each in service.gke.clusters[CLUSTER]["nodePools"] if each["name"] == "big"]
    return sum(service.compute.objects[link]["targetSize"] for link in found["instanceGroupUrls"])


def aks_pool(service: Any) -> int:
    pools = service.cluster(CLUSTER)["properties"]["agentPoolProfiles"]
    return next(each["count"] for each in pools if each["name"] == "big")


def eks_meddling(service: Any) -> Callable[[], bool]:
    cluster = service.eks.clusters[CLUSTER].thing
    cluster["deletionProtection"] = False
    return lambda: cluster["deletionProtection"]


def gke_meddling(service: Any) -> Callable[[], bool]:
    cluster = service.gke.clusters[CLUSTER]
    cluster["shieldedNodes"] = {}
    return lambda: cluster["shieldedNodes"] == {"enabled": True}


def aks_meddling(service: Any) -> Callable[[], bool]:
    service.cluster(CLUSTER)["properties"]["disableLocalAccounts"] = False
    return lambda: service.cluster(CLUSTER)["properties"]["disableLocalAccounts"]


@dataclass(frozen=True)
class Look:
    """What the stand-in says of its cluster. `meddle` changes it behind portable's back and returns how to see it put back."""

    version: Callable[[Any], str]
    big_nodes: Callable[[Any], int]
    meddle: Callable[[Any], Callable[[], bool]]


LOOKS = {
    "eks": Look(eks_version, eks_pool, eks_meddling),
    "gke": Look(gke_version, gke_pool, gke_meddling),
    "aks": Look(aks_version, aks_pool, aks_meddling),
}


@dataclass(frozen=True)
class PoolCloud:
    cloud: str
    folder: Path
    stand_in: StandIn
    portable: Portable

    @property
    def look(self) -> Look:
        return LOOKS[self.cloud]

    @property
    def service(self) -> Any:
        return self.stand_in.front.service

    @property
    def file(self) -> Path:
        return self.folder / "portable.yaml"

    def write(self, **cluster: Any) -> None:
        """The spec, with `cluster` in its section for the cluster."""
        spec = yaml.safe_load(app(f"pools-{self.cloud}", CLUSTER, {"web": {**HELLO, "scale": {"min": 1}}}))
        spec["cluster"] |= {"pools": POOLS} | cluster
        self.file.write_text(yaml.safe_dump(spec, sort_keys=False))

    def run(self, *command: str, code: int | None = 0) -> Run:
        named = ("--file", self.file) if command[0] == "clusters" else (self.file,)
        return self.portable(*command, "--cloud", self.cloud, *named, code=code)


@pytest.fixture(scope="module")
def behind(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterBehind]:
    with cluster_behind(tmp_path_factory.mktemp("behind")) as cluster:
        load_images(cluster, ["hello:1.0"], {})
        yield cluster


@pytest.fixture(scope="module")
def clouds(behind: ClusterBehind, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, PoolCloud]]:
    made: dict[str, PoolCloud] = {}
    with ExitStack() as stack:
        for cloud in TODAY:
            folder = tmp_path_factory.mktemp(cloud)
            standing = stack.enter_context(CLOUDS[cloud](folder, behind))
            made[cloud] = PoolCloud(cloud, folder, standing, Portable(folder, environment(folder, standing)))
            made[cloud].write(version="1.32")
        yield made


@pytest.fixture(params=TODAY)
def cloud(request: pytest.FixtureRequest, clouds: Mapping[str, PoolCloud]) -> PoolCloud:
    return clouds[request.param]


def test_plan_shows_pools_and_makes_nothing(cloud: PoolCloud) -> None:
    plan = cloud.run("plan", "--output", "json").json()
    assert {"pool-default", "pool-big"} <= {change["name"] for change in plan["cluster"]}
    assert {change["operation"] for change in plan["cluster"]} == {"create"}
    assert cloud.service.leftovers() == []


def test_up_then_nothing_to_do(cloud: PoolCloud) -> None:
    cloud.run("up", "--yes")
    assert cloud.stand_in.clusters() == [CLUSTER]
    assert cloud.look.version(cloud.service).startswith("1.32")
    assert cloud.look.big_nodes(cloud.service) == 1
    assert cloud.run("up", "--yes", "--output", "json").events()[-1]["changed"] is False
    assert cloud.run("plan", "--detailed-exitcode").code == 0


def test_a_pool_is_scaled_and_the_line_to_keep_named(cloud: PoolCloud) -> None:
    said = cloud.run("clusters", "scale", "big", "--nodes", "2", "--yes").out
    assert cloud.look.big_nodes(cloud.service) == 2
    assert "cluster.pools.big.min" in said
    assert str(cloud.file.name) in said


def test_a_pinned_version_is_not_overruled(cloud: PoolCloud) -> None:
    refused = cloud.run("clusters", "upgrade", "1.33", "--yes", code=2)
    assert "pins Kubernetes 1.32" in refused.err
    assert cloud.look.version(cloud.service).startswith("1.32")


def test_an_upgrade_takes_the_cluster_along(cloud: PoolCloud) -> None:
    scaled = {**POOLS, "big": {**POOLS["big"], "min": 2}}
    cloud.write(pools=scaled)
    cloud.run("clusters", "upgrade", "1.33", "--yes")
    assert cloud.look.version(cloud.service).startswith("1.33")
    cloud.write(pools=scaled, version="1.33")
    plan = cloud.run("plan", "--output", "json").json()
    assert {change["operation"] for change in plan["cluster"]} <= {"same"}, "it is as the spec now says"
    cloud.run("up", "--yes")
    assert cloud.look.big_nodes(cloud.service) == 2, "the pool was scaled by hand, and the spec follows"


def test_what_was_changed_behind_our_back_is_drift(cloud: PoolCloud) -> None:
    assert cloud.run("drift", "--detailed-exitcode").code == 0
    put_back = cloud.look.meddle(cloud.service)
    found = cloud.run("drift", "--detailed-exitcode", code=3)
    assert "cluster" in found.out
    cloud.run("drift", "--fix", "--yes")
    assert put_back()
    assert cloud.run("drift", "--detailed-exitcode").code == 0


def test_destroy_leaves_nothing(cloud: PoolCloud) -> None:
    cloud.run("destroy", "--destroy-data", "--yes")
    assert cloud.service.leftovers() == []
    assert cloud.stand_in.clusters() == []
