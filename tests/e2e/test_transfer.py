"""A volume from one namespace to another with everything that is between them on a real cluster. The tests stand in order."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from portable.errors import ClusterError, UsageError
from portable.events import Event, Notice, Transferred
from portable.migrate.sides import Side
from portable.migrate.transfer import Transfer, objects
from tests.e2e.conftest import HELLO, Cluster, wait
from tests.e2e.volumes_moving import USER, Moving, fill, fill_awkwardly, listing, moving
from tests.soak import SOAK

pytestmark = pytest.mark.e2e

CLAIM = "files-web-0"
_LEVEL = "pod-security.kubernetes.io/enforce"


@pytest.fixture(scope="module")
def moved(cluster: Cluster, movers_image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moving]:
    names = (cluster.name, cluster.name)
    with moving("transfer", names, tmp_path_factory.mktemp("transfer")) as made:
        yield made


def assert_equal(moved: Moving, transfer: Transfer) -> None:
    """By the transfer's own proof, and by a listing of ours that knows nothing of it."""
    proof = transfer.verify(CLAIM)
    assert proof.equal, proof.differences
    here, there = listing(moved.sources[CLAIM]), listing(moved.targets[CLAIM])
    assert here.keys() == there.keys()
    assert [name for name in here if here[name] != there[name]] == []


def test_a_copy_needs_movers(moved: Moving) -> None:
    with pytest.raises(UsageError) as refused:
        moved.transfer.seed(CLAIM)
    assert "prepare" in refused.value.fix


def test_directly_as_the_workloads_own_user(moved: Moving) -> None:
    fill_awkwardly(moved.sources[CLAIM])
    path = moved.transfer.prepare()
    assert path.name == "direct"
    assert path.bytes_per_second > 1e6
    moved.transfer.seed(CLAIM)
    final = moved.transfer.final(CLAIM)
    assert final.files == len([name for name in listing(moved.sources[CLAIM]).values() if int(str(name[0])) >> 12 != 4])
    assert_equal(moved, moved.transfer)
    told = [event for event in moved.events if isinstance(event, Transferred)]
    assert told[-1].done
    assert _level(moved.sides.target) == "restricted", "nothing here needs more"


def test_any_machine_can_go_on(moved: Moving) -> None:
    fill(moved.sources[CLAIM], 50, 1000)
    elsewhere = moved.again()
    assert elsewhere.seed(CLAIM).changed_files >= 50
    assert elsewhere.read_ahead(CLAIM) == 0, "what has changed within two minutes is read again"
    assert elsewhere.prepare().name == "direct"
    assert elsewhere.final(CLAIM).sent_bytes < 200_000


def test_volumes_in_use_are_refused(moved: Moving) -> None:
    for side, copy in ((moved.sides.target, moved.transfer.seed), (moved.sides.source, moved.transfer.final)):
        side.kube.apply(_using(side))
        wait(lambda side=side: _phase(side) in ("Pending", "Running"), "the pod is there", seconds=60)
        with pytest.raises(ClusterError) as refused:
            copy(CLAIM)
        assert "user-of-it" in refused.value.message
        assert side.role in refused.value.message
        side.kube.delete("v1", "Pod", "user-of-it", side.namespace)
        assert side.kube.wait_gone("v1", "Pod", "user-of-it", side.namespace, timeout=60)


@pytest.mark.parametrize("role", ["source", "target"] if SOAK else ["source"])
def test_a_mover_that_is_deleted_comes_back_and_goes_on(role: str, moved: Moving) -> None:
    big = moved.sources[CLAIM] / f"big-{role}"
    with big.open("wb") as file:
        for number in range(192):
            file.write(number.to_bytes(8, "big") * (1 << 17))
    os.chown(big, USER, USER)
    began = threading.Event()

    def emit(event: Event) -> None:
        moved.events.append(event)
        if isinstance(event, Transferred) and not event.done:
            began.set()

    side = moved.sides.source if role == "source" else moved.sides.target
    _slow(side)
    done: list[object] = []
    transfer = moved.again(emit)
    copying = threading.Thread(target=lambda: done.append(transfer.seed(CLAIM)))
    copying.start()
    assert began.wait(60)
    for pod in _movers(side):
        side.kube.delete("v1", "Pod", pod["metadata"]["name"], side.namespace)
    copying.join(timeout=180)
    assert done, [event for event in moved.events if isinstance(event, Notice)]
    time.sleep(0.1)
    moved.transfer.final(CLAIM)
    assert_equal(moved, moved.transfer)
    big.unlink()


def test_a_forwarded_port_comes_out_at_the_source(moved: Moving) -> None:
    source, target = moved.sides.source, moved.sides.target
    labels = {"answers": "here"}
    spec = {"containers": [{"name": "main", "image": HELLO["containers"]["main"]["image"], **_restricted()}]}
    source.kube.apply(_pod(source, "answering", spec, labels))
    service = {"selector": labels, "ports": [{"port": 8080, "targetPort": 8080}]}
    metadata = {"name": "answering", "namespace": source.namespace}
    source.kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})
    name, port = moved.transfer.forward("source-web", "answering", 8080)
    assert moved.transfer.forward("source-web", "answering", 8080) == (name, port), "it is there already"
    path = f"/api/v1/namespaces/{target.namespace}/services/{name}:{port}/proxy/"

    def answers() -> bool:
        return "answering" in target.kube._wire.http.get(path).text

    wait(answers, "the forwarded port answers", seconds=60)


@pytest.mark.parametrize("name", ["reverse", "relayed"] if SOAK else ["relayed"])
def test_other_paths_carry_the_same(name: Any, moved: Moving) -> None:
    assert moved.transfer.prepare((name,)).name == name
    fill(moved.sources[CLAIM] / "empty folder" if name == "reverse" else moved.sources[CLAIM] / "group", 300, 5000)
    moved.transfer.seed(CLAIM)
    moved.transfer.final(CLAIM)
    assert_equal(moved, moved.transfer)


def test_root_only_where_the_data_needs_it_and_the_level_is_put_back(moved: Moving) -> None:
    (moved.sources[CLAIM] / "of another").write_text("x")  # who tests is root
    moved.transfer.prepare()
    assert any(isinstance(event, Notice) and "of another" in event.message for event in moved.events)
    for side in (moved.sides.source, moved.sides.target):
        assert _level(side) == "baseline"
    moved.transfer.final(CLAIM)
    assert_equal(moved, moved.transfer)


def test_nothing_is_left_of_it(moved: Moving) -> None:
    moved.transfer.remove()
    moved.transfer.remove()
    for side in (moved.sides.source, moved.sides.target):
        assert _level(side) == "restricted"
        for kind, api_version in (*objects.KINDS.items(), ("Pod", "v1")):
            selected = side.kube.list(api_version, kind, side.namespace, label_selector=objects.selector("transfer"))
            assert [live for live in selected if "deletionTimestamp" not in live["metadata"]] == []


def _movers(side: Side) -> Sequence[dict[str, Any]]:
    return side.kube.list("v1", "Pod", side.namespace, label_selector=objects.selector("transfer", "volumes-0"))


def _slow(side: Side) -> None:
    """Its mover, not the one that comes after it: a quiet machine copies all before the first word of progress is said."""
    for pod in _movers(side):
        name, (container,) = pod["metadata"]["name"], pod["spec"]["containers"]
        container["resources"]["limits"]["cpu"] = "100m"
        change = {"spec": {"containers": [container]}}
        side.kube.merge_patch("v1", "Pod", name, change, side.namespace, subresource="resize")

    def slow() -> bool:
        given = [pod["status"]["containerStatuses"][0].get("resources", {}).get("limits", {}) for pod in _movers(side)]
        return [limit.get("cpu") for limit in given] == ["100m"]

    wait(slow, "the mover has so little CPU", seconds=60)


def _level(side: Side) -> str:
    live = side.kube.get("v1", "Namespace", side.namespace)
    assert live is not None
    return live["metadata"]["labels"][_LEVEL]


def _using(side: Side) -> dict[str, Any]:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": CLAIM}}]
    container = {"name": "main", "image": HELLO["containers"]["main"]["image"], **_restricted()}
    return _pod(side, "user-of-it", {"containers": [container], "volumes": volumes}, {})


def _restricted() -> dict[str, Any]:
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {"imagePullPolicy": "IfNotPresent", "securityContext": security}


def _pod(side: Side, name: str, spec: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    user = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    metadata = {"name": name, "namespace": side.namespace, "labels": labels}
    made = spec | {"securityContext": user, "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": made}


def _phase(side: Side) -> str:
    return (side.kube.get("v1", "Pod", "user-of-it", side.namespace) or {}).get("status", {}).get("phase", "")
