"""The two resources of the cluster stack, and the plugin as the core sees it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from portable.provider import KeptData, LocalImages, Provider, Ref, ResourceType, Routes, load_provider
from portable.spec.model import Cluster, Nodes
from portable_kind import ADDONS, CLUSTER, Kind, addons
from portable_kind.cluster import ClusterResource

pytestmark = pytest.mark.unit

INPUTS: dict[str, Any] = {"name": "dev", "version": "", "nodes": 1}


def test_the_plugin_has_every_capability() -> None:
    plugin = load_provider("kind")
    for capability in (Provider, LocalImages, Routes, KeptData):
        assert isinstance(plugin, capability)
    for resource in plugin.resource_types().values():
        assert isinstance(resource, ResourceType)


def test_importing_the_plugin_is_light() -> None:
    code = "import portable_kind, sys; print([m for m in ('cryptography', 'lightkube', 'pulumi', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_add_ons_follow_their_cluster() -> None:
    cluster, extras = Kind().cluster(Cluster(name="dev", version="1.36", nodes=Nodes(min=2)))
    assert (cluster.type, dict(cluster.inputs)) == (CLUSTER, {"name": "dev", "version": "1.36", "nodes": 2})
    assert extras.type == ADDONS
    assert extras.inputs["uid"] == Ref("cluster", "uid")
    assert extras.depends_on == ("cluster",)


@pytest.mark.parametrize(
    ("change", "path"),
    [({"name": "Dev"}, "cluster.name"), ({"name": "x" * 51}, "cluster.name"), ({"nodes": 0}, "cluster.nodes.min")],
)
def test_what_kind_cannot_make_is_a_problem(change: dict[str, Any], path: str) -> None:
    assert [problem.path for problem in ClusterResource().check(INPUTS | change)] == [path]
    assert not ClusterResource().check(INPUTS)


def diff(**new: Any) -> tuple[str, ...]:
    return ClusterResource().diff("dev", {"version": "1.36.3"}, INPUTS, INPUTS | new).replaces


def test_only_what_is_really_another_cluster_replaces_it() -> None:
    assert diff() == ()
    assert diff(version="1.36") == ()
    assert diff(version="1.36.3") == ()
    assert diff(version="1.37") == ("version",)
    assert diff(nodes=2) == ("nodes",)


def test_add_ons_of_a_new_release_are_an_update() -> None:
    old = {"cluster": "dev", "uid": "1", "digest": "a"}
    resource = addons.AddonsResource()
    found = resource.diff("dev", old, old, old | {"digest": "b"})
    assert (found.changes, found.replaces) == (("digest",), ())
    assert resource.diff("dev", old, old, old | {"uid": "2"}).changes == ("uid",)
    assert resource.diff("dev", old, old, old).changes == ()


@pytest.mark.parametrize("self_built", [True, False])
def test_add_ons_are_whole_and_labelled(self_built: bool) -> None:
    objects = addons.manifests(self_built=self_built)
    kinds = {manifest["kind"] for manifest in objects}
    assert {"IngressClass", "APIService"} <= kinds
    assert all(manifest["metadata"]["labels"][addons.LABEL] == "true" for manifest in objects)
    ingress = next(manifest for manifest in objects if manifest["kind"] == "IngressClass")
    assert ingress["metadata"]["name"] == Kind().profile(Cluster(name="none-such")).ingress.class_name


def test_the_self_built_set_pulls_nothing_and_the_official_one_everything() -> None:
    ours = addons.manifests(self_built=True)
    controllers = [manifest for manifest in ours if manifest["kind"] in ("Deployment", "DaemonSet")]
    assert len(list(addons.preloaded(ours))) == len(controllers) > 0
    assert not list(addons.preloaded(addons.manifests(self_built=False)))


def deployment(**status: int) -> dict[str, Any]:
    return {"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": status}


def test_an_add_on_is_available_when_its_newest_pods_are() -> None:
    ready = {"availableReplicas": 1, "updatedReplicas": 1}
    assert addons.available(deployment(observedGeneration=2, **ready))
    assert not addons.available(deployment(observedGeneration=1, **ready))
    assert not addons.available(deployment(observedGeneration=2, availableReplicas=1))
    daemon: dict[str, Any] = {"kind": "DaemonSet", "metadata": {"generation": 1}, "spec": {}}
    counts = {"observedGeneration": 1, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2}
    assert addons.available(daemon | {"status": counts | {"numberAvailable": 2}})
    assert not addons.available(daemon | {"status": counts | {"numberAvailable": 1}})


def test_recipes_are_valid_shell() -> None:
    scripts = sorted((Path(addons.__file__).parent / "databases").glob("*.sh"))
    assert [script.name for script in scripts] == ["customize.sh", "postgres.sh", "redis.sh"]
    for script in scripts:
        subprocess.run(["bash", "-n", str(script)], check=True)
