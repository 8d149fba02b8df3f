"""Recorded logs through the real client and our own reading of it; and the stand-in's strictness held against them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from portable.events import nowhere
from portable_gcp import cluster as clusters
from portable_gcp import operations, settings
from portable_gcp.place import Place
from portable_gcp.pools import NodePool
from portable_gcp.session import Google
from tests.clouds.front import Front
from tests.clouds.gcp import discovery, gke, world
from tests.clouds.gcp.recorded import FOLDER, Replay, exchanges

pytestmark = [
    pytest.mark.contract,
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the recordings are not there: {FOLDER} (PORTABLE_CONTRACTS)"),
]
LOGS = sorted(FOLDER.glob("*.log"))
_CLUSTERS = "container.projects.locations.clusters"
# log -> where the cluster is, and what it is called
CLUSTERS = {
    "containercluster-autoscaling-basic._http.log": ("us-central1-a", "containercluster-u1"),
    "containercluster-minimal._http.log": ("us-west2", "containercluster-u1"),
    "containernodepool._http.log": ("us-central1-a", "cluster-sample-u1"),
    "mockcontainer-clusters-crud._http.log": ("us-central1-a", "test-u1"),
}


@contextmanager
def replaying(log: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    with Front(Replay(exchanges(FOLDER / log))).serving() as front:
        for name, value in world.environment(front, folder).items():
            monkeypatch.setenv(name, value)
        yield Google(world.PACE)


@pytest.mark.parametrize("log", CLUSTERS)
def test_a_recorded_life_of_a_cluster_is_understood(log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    region, name = CLUSTERS[log]
    place = Place("acme-shop", region)
    told: list[object] = []
    with replaying(log, tmp_path, monkeypatch) as google:
        if any(exchange.status == 404 for exchange in exchanges(FOLDER / log)):
            assert clusters.find(google, place, name) is None
        operation = google.container(f"{_CLUSTERS}.create", parent=place.parent, cluster={"name": name})
        operations.finish(google, place, operation, what="cluster", emit=told.append)
        live = clusters.find(google, place, name)
        assert live is not None
        state = clusters.state(live)
        assert state.healthy
        assert state.uid
        outputs = settings.outputs({"name": name}, live)
        assert outputs["mode"] == settings.STANDARD
        assert outputs["endpoint"] == "203.0.113.7"
        assert outputs["version"].startswith("1.")
        assert outputs["ca"]
        assert outputs["allow"] == []
        assert not clusters.is_ours(live)
        path = f"{place.parent}/clusters/{name}"
        operations.change(
            google,
            place,
            name,
            lambda: google.container(f"{_CLUSTERS}.delete", name=path),
            what="deleting",
            emit=nowhere,
        )


def test_a_recorded_node_pool_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "project": "acme-shop",
        "region": "us-central1-a",
        "cluster": "cluster-sample-u1",
        "name": "nodepool-sample-u1",
        "min": 1,
    }
    with replaying("containernodepool._http.log", tmp_path, monkeypatch) as google:
        pool = NodePool(google)
        assert pool.read("", known, known) is None, "the first answer is 404"
        found = pool.read("", known, known)
        assert found is not None
        assert (found["name"], found["status"]) == ("nodepool-sample-u1", "RUNNING")
        assert found["machine"].startswith(("e2-", "n1-"))
        assert found["zones"] == ["us-central1-a"]


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name.partition(".")[0])
def test_what_google_took_passes_the_stand_ins_strict_check(log: Path) -> None:
    checked = 0
    for exchange in exchanges(log):
        found = discovery.match(exchange.method, exchange.path)
        if found is None or found.method.document != "container.v1" or not exchange.request:
            continue
        verb = ".".join(found.id.split(".")[-2:])
        discovery.check_body(found.method, gke.normal(verb, exchange.request))
        checked += 1
    assert checked


def test_the_strict_check_refuses_what_google_would(tmp_path: Path) -> None:
    create = discovery.match("POST", "/v1/projects/p/locations/r/clusters")
    assert create is not None
    for wrong in (
        {"cluster": {"nam": "x"}},
        {"cluster": {"releaseChannel": {"channel": "SLOW"}}},
        {"cluster": {"name": 7}},
    ):
        with pytest.raises(discovery.Invalid):
            discovery.check_body(create.method, gke.normal("clusters.create", wrong))
    insert = discovery.match("POST", "/compute/v1/projects/p/global/networks")
    assert insert is not None
    for wrong in ({"nane": "x"}, {"routingConfig": {"routingMode": "LOCAL"}}, {"autoCreateSubnetworks": "no"}):
        with pytest.raises(discovery.Invalid):
            discovery.check_body(insert.method, wrong)
    with pytest.raises(discovery.Invalid):
        discovery.check_query(insert.method, "requestID=1")
