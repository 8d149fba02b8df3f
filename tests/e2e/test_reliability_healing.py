"""The promise of self-healing: what dies comes back, and who asks meanwhile does not notice.

`make test` tries what one node can show; with PORTABLE_SOAK=1 everything happens on a cluster of three nodes that this module makes
and destroys. Two replicas, and a client for whom every request counts.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from portable.kube import Kube
from portable.spec import model
from portable_kind import Kind, docker
from tests import soak
from tests.e2e.conftest import AppUnderTest, Cluster, Portable, wait
from tests.e2e.conftest import app as app_text
from tests.e2e.promises import (
    IMAGE,
    Table,
    build_images,
    full_strength,
    kill_process,
    lives,
    post_to_pod,
    staying,
    subject,
    under_load,
    url_of,
)
from tests.load import failures

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

HEAD = ("what happens", "requests", "failed", "longest gap", "p99", "full strength after")
# docs/reliability.md: how long the control plane takes to call a silent node dead (node-monitor-grace-period), and a look more.
NODE_LOSS_NOTICED = 60.0
on_three_nodes = pytest.mark.skipif(not soak.SOAK, reason="needs a cluster of three nodes: make soak")


@pytest.fixture(scope="module")
def table(say: Callable[[str], None]) -> Iterator[Table]:
    made = Table("tests/e2e/test_reliability_healing.py", HEAD, [])
    yield made
    made.tell(say)


@pytest.fixture(scope="module")
def app(
    request: pytest.FixtureRequest, portable: Portable, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AppUnderTest]:
    """`web` of two replicas and, on three nodes, `store`, which keeps notes on a volume."""
    build_images()
    folder = tmp_path_factory.mktemp("healing")
    name = f"heal-{secrets.token_hex(2)}"
    shared: Cluster | None = None if soak.SOAK else request.getfixturevalue("cluster")
    made = AppUnderTest(name, shared or Cluster(name, None), folder / "healing.yaml", portable)  # type: ignore[arg-type]
    if shared is None:
        made.file.write_text(three_nodes(name))
    else:
        made.write({"web": subject(f"{name}.localhost")})
    try:
        made.up()
        if shared is None:
            kube = Kube.reach(Kind().credentials(model.Cluster(name=name)))
            made = AppUnderTest(name, Cluster(name, kube), made.file, portable)
        yield made
    finally:
        keep = ("--keep-cluster",) if shared else ()
        portable("destroy", "--cloud", "kind", "--yes", "--destroy-data", *keep, made.file)


def three_nodes(name: str) -> str:
    notes = {"notes": {"type": "volume", "size": "1Gi"}}
    workloads = {"web": subject(f"{name}.localhost"), "store": keeper()}
    spec = yaml.safe_load(app_text(name, name, workloads, resources=notes))
    spec["cluster"]["nodes"] = {"min": 3}
    return yaml.safe_dump(spec, sort_keys=False)


def keeper() -> dict[str, Any]:
    main = {
        "image": IMAGE,
        "variables": {"DATA": "/data"},
        "volumes": {"/data": {"source": "notes"}},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    return {
        "kind": "stateful",
        "containers": {"main": main},
        "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
    }


@pytest.fixture(scope="module")
def url(app: AppUnderTest) -> str:
    return url_of(app.up())


# -- what happens ------------------------------------------------------------------------------------------------------


def kill(app: AppUnderTest, pod: dict[str, Any]) -> None:
    kill_process(pod)


def delete_pod(app: AppUnderTest, pod: dict[str, Any]) -> None:
    app.cluster.kube.delete("v1", "Pod", pod["metadata"]["name"], app.namespace)


def hang(app: AppUnderTest, pod: dict[str, Any]) -> None:
    assert post_to_pod(pod, "/hang")


def fill_memory(app: AppUnderTest, pod: dict[str, Any]) -> None:
    assert not post_to_pod(pod, "/fill"), "it dies of it"


def drain_node(app: AppUnderTest, pod: dict[str, Any]) -> None:
    kubectl(app, "drain", pod["spec"]["nodeName"], "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")


def stop_node(app: AppUnderTest, pod: dict[str, Any]) -> None:
    docker.run("stop", "--time", "0", pod["spec"]["nodeName"], timeout=60)


def kubectl(app: AppUnderTest, *arguments: str) -> str:
    """The node's own, with its administrator's rights."""
    command = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", *arguments)
    return docker.execute(f"{app.cluster.name}-control-plane", *command, timeout=180)


# -- and what comes of it ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Healed:
    """`noticed_until`: seconds from the blow to the last request that failed; 0 when none did."""

    failed: int
    noticed_until: float
    said: str


def strike(
    app: AppUnderTest, url: str, table: Table, case: str, blow: Callable[[AppUnderTest, dict[str, Any]], None]
) -> Healed:
    """One pod of web is struck, under load, until as many as before are ready on nodes that are."""
    victim = victim_of(app)
    where = (app.cluster.kube, app.namespace)
    before = lives(*where, "web")
    with under_load(url) as record:
        began = time.monotonic()
        blow(app, victim)
        wait(lambda: lives(*where, "web") != before and full_strength(*where, "Deployment", "web"), case)
        took = time.monotonic() - began
    seen, quick = record.summary(), record.summary("keep-alive", "fresh")
    gap, slowest = f"{quick.longest_gap:.2f} s", f"{quick.p99:.2f} s"
    table.rows.append((case, str(seen.requests), str(seen.failed), gap, slowest, f"{took:.1f} s"))
    late = max((response.due - began for response in record.failed()), default=0.0)
    return Healed(seen.failed, late, failures(record.responses))


def victim_of(app: AppUnderTest) -> dict[str, Any]:
    """A pod of web, on a worker where there are any: the control plane is what makes the healing."""
    pods = staying(app.cluster.kube, app.namespace, "web")
    on_workers = [pod for pod in pods if not pod["spec"]["nodeName"].endswith("-control-plane")]
    return (on_workers or pods)[0]


@pytest.mark.parametrize(
    ("case", "blow"),
    [
        ("a pod is deleted", delete_pod),
        ("the container's process is killed", kill),
        pytest.param("its memory is exhausted", fill_memory, marks=on_three_nodes),
        pytest.param("the process hangs, its port still accepts", hang, marks=on_three_nodes),
    ],
)
def test_a_pod_that_dies_costs_no_request(
    app: AppUnderTest,
    url: str,
    table: Table,
    case: str,
    blow: Callable[[AppUnderTest, dict[str, Any]], None],
) -> None:
    healed = strike(app, url, table, case, blow)
    assert healed.failed == 0, healed.said


@on_three_nodes
def test_a_drained_node_costs_no_request_and_data_follows(app: AppUnderTest, url: str, table: Table) -> None:
    write_note(app, "before the drain")
    victim = victim_of(app)
    try:
        healed = strike(app, url, table, "its node is drained", drain_node)
    finally:
        kubectl(app, "uncordon", victim["spec"]["nodeName"])
    home = store_of(app)["spec"]["nodeName"]
    began = time.monotonic()
    try:
        kubectl(app, "drain", home, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")
        wait(lambda: store_is_back(app, away_from=home), "store is back on another node")
        took = time.monotonic() - began
    finally:
        kubectl(app, "uncordon", home)
    table.rows.append(("a StatefulSet's node is drained: its data on another one", "", "", "", "", f"{took:.1f} s"))
    assert notes(app) == ["before the drain"]
    assert healed.failed == 0, healed.said


def part(app: AppUnderTest) -> None:
    """Kubernetes moves no pod that runs: after a drain the replicas may stand on one node until they are made anew."""
    for _ in range(5):
        pods = staying(app.cluster.kube, app.namespace, "web")
        if len({pod["spec"]["nodeName"] for pod in pods}) == len(pods):
            return
        app.cluster.kube.delete("v1", "Pod", pods[0]["metadata"]["name"], app.namespace)
        wait(lambda: full_strength(app.cluster.kube, app.namespace, "Deployment", "web"), "web is whole again")
    raise AssertionError("the replicas of web do not part")


@on_three_nodes
def test_a_lost_node_costs_no_more_than_its_detection(app: AppUnderTest, url: str, table: Table) -> None:
    part(app)
    victim = victim_of(app)
    node = victim["spec"]["nodeName"]
    try:
        healed = strike(app, url, table, "its node is stopped (`docker stop`)", stop_node)
    finally:
        docker.run("start", node, timeout=60)
        wait(lambda: node_is_ready(app, node), f"{node} is ready again")
    assert healed.noticed_until <= NODE_LOSS_NOTICED, healed.said


@on_three_nodes
def test_a_stateful_workload_of_a_lost_node_comes_back_with_its_data(app: AppUnderTest, url: str, table: Table) -> None:
    """Kubernetes does not start a StatefulSet's pod twice while its node may still run it: someone has to say that the node is
    gone. A cloud does so by removing the Node object when the machine is; here the test does."""
    wait(lambda: store_is_back(app, away_from=""), "store is well again after its node was")
    move_store_to_a_worker(app)
    write_note(app, "before the loss")
    kept = notes(app)
    home = store_of(app)["spec"]["nodeName"]
    docker.run("stop", "--time", "0", home, timeout=60)
    began = time.monotonic()
    app.cluster.kube.delete("v1", "Node", home)
    wait(lambda: store_is_back(app, away_from=home), "store is back on another node")
    took = time.monotonic() - began
    table.rows.append(
        ("a StatefulSet's node is lost and removed: its data on another one", "", "", "", "", f"{took:.1f} s")
    )
    assert notes(app) == kept


# -- the store ---------------------------------------------------------------------------------------------------------


def store_of(app: AppUnderTest) -> dict[str, Any]:
    (pod,) = app.pods("store")
    return pod


def store_is_back(app: AppUnderTest, *, away_from: str) -> bool:
    pods = [pod for pod in app.pods("store") if pod["spec"].get("nodeName") != away_from]
    return bool(pods) and full_strength(app.cluster.kube, app.namespace, "StatefulSet", "store")


def move_store_to_a_worker(app: AppUnderTest) -> None:
    home = store_of(app)["spec"]["nodeName"]
    if home.endswith("-control-plane"):
        kubectl(app, "cordon", home)
        app.cluster.kube.delete("v1", "Pod", "store-0", app.namespace)
        wait(lambda: store_is_back(app, away_from=home), "store is on a worker")
        kubectl(app, "uncordon", home)


def write_note(app: AppUnderTest, line: str) -> None:
    assert post_to_pod(store_of(app), "/notes", line), "acknowledged"


def notes(app: AppUnderTest) -> list[str]:
    """Read from the volume's folder on this machine, which all nodes have: what is on disk, whoever serves it."""
    from portable_kind import folders

    (found,) = (folders.volumes(app.cluster.name) / app.namespace).glob("*/notes")
    return found.read_text().splitlines()


def node_is_ready(app: AppUnderTest, name: str) -> bool:
    node = app.cluster.kube.get("v1", "Node", name)
    conditions = node["status"]["conditions"] if node else ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
