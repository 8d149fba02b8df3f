"""The watcher on a real API server with real controllers; only the kubelet is played."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from portable.errors import Cause, RolloutFailed
from portable.events import Event, WorkloadEvent
from portable.kube import Kube
from portable.rollout.watch import Watcher
from tests.control_plane import ControlPlane
from tests.unit.rollout import kubelet
from tests.unit.rollout.kubelet import controller, pods, until, workload
from tests.unit.rollout.wire import wire

pytestmark = pytest.mark.unit


class Waiting(threading.Thread):
    """A wait in another thread: what came of it, and that it has not come back yet."""

    def __init__(self, call: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._call()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            self.error = error

    def still(self, seconds: float = 1.5) -> bool:
        self.join(seconds)
        return self.is_alive()

    def result(self, seconds: float = 60.0) -> None:
        self.join(seconds)
        assert not self.is_alive(), "still waiting"
        if self.error is not None:
            raise self.error

    def cause(self, seconds: float = 60.0) -> Cause:
        with pytest.raises(RolloutFailed) as caught:
            self.result(seconds)
        return caught.value.causes[0]


def test_ready_when_the_new_version_runs_and_the_old_is_gone(kube: Kube, namespace: str) -> None:
    kube.apply(controller("web", namespace, "v1"))
    kubelet.run(kube, old := pods(kube, namespace, "v1")[0])
    seen: list[Event] = []
    with Watcher(kube, namespace, {"web": workload("web", "v2")}, seen.append) as watcher:
        waiting = Waiting(watcher.wait_all)
        assert waiting.still(), "the old version's readiness does not count"
        kube.apply(controller("web", namespace, "v2"))
        new = pods(kube, namespace, "v2")[0]
        assert waiting.still(), "a pod that does not run is not ready"
        kubelet.run(kube, new)
        waiting.result()
        gone = kube.get("v1", "Pod", old["metadata"]["name"], namespace)
        assert gone is None or "deletionTimestamp" in gone["metadata"]
    events = [event for event in seen if isinstance(event, WorkloadEvent)]
    assert (events[0].status, events[-1].status) == ("started", "done")
    assert (events[-1].ready, events[-1].wanted) == (1, 1)
    assert len(events) == len({(e.status, e.ready, e.detail) for e in events}), "nothing is told twice"


def test_ready_and_unchanged_is_ready_at_once(kube: Kube, namespace: str) -> None:
    kube.apply(controller("web", namespace, probed=False))
    kubelet.run(kube, pods(kube, namespace, "v1")[0])
    until(lambda: kube.get("apps/v1", "Deployment", "web", namespace)["status"].get("availableReplicas"))  # type: ignore[index]
    with Watcher(kube, namespace, {"web": workload("web")}, lambda _: None) as watcher:
        started = time.monotonic()
        watcher.wait("web")
        assert time.monotonic() - started < 2.5, "no settling for what ran before"


def test_without_a_probe_a_container_that_dies_at_once_is_not_ready(kube: Kube, namespace: str) -> None:
    with Watcher(kube, namespace, {"worker": workload("worker")}, lambda _: None) as watcher:
        kube.apply(controller("worker", namespace, probed=False))
        waiting = Waiting(lambda: watcher.wait("worker"))
        pod = pods(kube, namespace, "v1")[0]
        kubelet.run(kube, pod)
        assert waiting.still(1.0)
        kubelet.wait_in(kube, pod, "CrashLoopBackOff", restarts=1, code=3)
        cause = waiting.cause()
    assert (cause.sign, cause.exit_code) == ("CrashLoop", 3)


def test_a_higher_count_is_waited_for_though_the_digest_is_the_same(kube: Kube, namespace: str) -> None:
    kube.apply(controller("web", namespace))
    kubelet.run(kube, pods(kube, namespace, "v1")[0])
    with Watcher(kube, namespace, {"web": workload("web")}, lambda _: None) as watcher:
        watcher.wait("web")
        kube.apply(controller("web", namespace, replicas=2))
        waiting = Waiting(lambda: watcher.wait("web"))  # at once: the snapshot may not know of the change yet
        assert waiting.still()
        for pod in pods(kube, namespace, "v1", 2):
            kubelet.run(kube, pod)
        waiting.result()


def test_a_fatal_sign_ends_the_wait_of_every_thread(kube: Kube, namespace: str) -> None:
    workloads = {name: workload(name) for name in ("api", "web")}
    with Watcher(kube, namespace, workloads, lambda _: None) as watcher:
        for name in workloads:
            kube.apply(controller(name, namespace))
        waits = [Waiting(watcher.wait_all), Waiting(lambda: watcher.wait("api"))]
        api = next(pod for pod in pods(kube, namespace, "v1", 2) if pod["metadata"]["name"].startswith("api"))
        message = 'failed to pull and unpack image "docker.io/shop/api:1": docker.io/shop/api:1: not found'
        kubelet.wait_in(kube, api, "ErrImagePull", message)
        causes = [waiting.cause() for waiting in waits]
        assert watcher.causes == (causes[0],)
    assert causes[0] == causes[1]
    assert (causes[0].workload, causes[0].sign, causes[0].container) == ("api", "ImagePull", "main")
    assert "does not exist" in causes[0].summary
    assert causes[0].seconds < 20


def test_a_sign_that_passes_is_not_fatal(kube: Kube, namespace: str) -> None:
    with Watcher(kube, namespace, {"web": workload("web")}, lambda _: None) as watcher:
        kube.apply(controller("web", namespace))
        waiting = Waiting(watcher.wait_all)
        pod = pods(kube, namespace, "v1")[0]
        kubelet.wait_in(kube, pod, "ErrImagePull", "dial tcp: lookup registry.example: i/o timeout")
        assert waiting.still(3.0)
        kubelet.run(kube, pod)
        waiting.result()


def test_a_timeout_names_what_is_known(kube: Kube, namespace: str) -> None:
    with Watcher(kube, namespace, {"web": workload("web", timeout=4)}, lambda _: None) as watcher:
        kube.apply(controller("web", namespace, replicas=2))
        waiting = Waiting(watcher.wait_all)
        one, two = pods(kube, namespace, "v1", 2)
        kubelet.run(kube, one)
        kubelet.unschedulable(kube, two, "0/1 nodes are available: 1 Insufficient cpu. preemption: none.")
        cause = waiting.cause()
    assert cause.sign == "Unschedulable"
    assert "Insufficient cpu (not ready after" in cause.summary
    assert "resources.requests.cpu" in cause.hint
    assert 4 <= cause.seconds < 10


def test_a_timeout_without_a_sign_says_what_is_missing(kube: Kube, namespace: str) -> None:
    with Watcher(kube, namespace, {"web": workload("web", timeout=2)}, lambda _: None) as watcher:
        kube.apply(controller("web", namespace, replicas=2))
        waiting = Waiting(watcher.wait_all)
        kubelet.run(kube, pods(kube, namespace, "v1", 2)[0])
        cause = waiting.cause()
    assert cause.sign == "Timeout"
    assert "1 of 2 ready, waiting for a node" in cause.summary


def test_never_applied_times_out_from_the_wait_on(kube: Kube, namespace: str) -> None:
    with Watcher(kube, namespace, {"web": workload("web", timeout=2)}, lambda _: None) as watcher:
        cause = Waiting(watcher.wait_all).cause()
    assert "waiting to be applied" in cause.summary


def test_stateful_set(kube: Kube, namespace: str) -> None:
    db = workload("db", kind="StatefulSet")
    with Watcher(kube, namespace, {"db": db}, lambda _: None) as watcher:
        kube.apply(controller("db", namespace, kind="StatefulSet"))
        waiting = Waiting(lambda: watcher.wait("db"))
        pod = pods(kube, namespace, "v1")[0]
        assert waiting.still()
        kubelet.run(kube, pod)
        waiting.result()
        assert watcher.images() == {"db": {"main": f"sha256:{'ab' * 32}"}}


@pytest.mark.parametrize("first_version_ran", [True, False])
def test_a_stateful_set_stuck_on_a_broken_pod_is_freed(kube: Kube, namespace: str, first_version_ran: bool) -> None:
    """Kubernetes itself waits for ever for the broken pod, whether or not an earlier version ever ran."""
    kube.apply(controller("db", namespace, "v0", kind="StatefulSet"))
    if first_version_ran:
        kubelet.run(kube, pods(kube, namespace, "v0")[0])
        until(lambda: kube.get("apps/v1", "StatefulSet", "db", namespace)["status"].get("readyReplicas"))  # type: ignore[index]
        kube.apply(controller("db", namespace, "v1", kind="StatefulSet"))
    broken = pods(kube, namespace, "v1" if first_version_ran else "v0")[0]
    kubelet.wait_in(kube, broken, "ImagePullBackOff", "not found")
    with Watcher(kube, namespace, {"db": workload("db", "v2", kind="StatefulSet")}, lambda _: None) as watcher:
        kube.apply(controller("db", namespace, "v2", kind="StatefulSet"))
        waiting = Waiting(lambda: watcher.wait("db"))
        name, uid = broken["metadata"]["name"], broken["metadata"]["uid"]

        assert waiting.still(2.0)
        live = kube.get("v1", "Pod", name, namespace)
        assert live is not None
        assert live["metadata"]["uid"] == uid, "so Kubernetes does not replace it by itself"
        kubelet.run(kube, pods(kube, namespace, "v2")[0])
        waiting.result()


def test_job_succeeds(kube: Kube, namespace: str) -> None:
    with Watcher(kube, namespace, {"migrate": workload("migrate", kind="Job")}, lambda _: None) as watcher:
        kube.apply(controller("migrate", namespace, kind="Job"))
        waiting = Waiting(lambda: watcher.wait("migrate", "complete"))
        pod = pods(kube, namespace, "v1")[0]
        kubelet.run(kube, pod)
        assert waiting.still(), "a job that runs is not complete"
        kubelet.end(kube, pod, 0)
        waiting.result()


def test_job_fails_with_its_containers_exit_code(kube: Kube, namespace: str) -> None:
    with Watcher(kube, namespace, {"migrate": workload("migrate", kind="Job")}, lambda _: None) as watcher:
        kube.apply(controller("migrate", namespace, kind="Job"))
        waiting = Waiting(watcher.wait_all)
        kubelet.end(kube, pods(kube, namespace, "v1")[0], 137)
        cause = waiting.cause()
    assert (cause.sign, cause.exit_code) == ("JobFailed", 137)
    assert "SIGKILL" in cause.summary


def test_quota_is_named_for_deployments_and_stateful_sets(kube: Kube, namespace: str) -> None:
    hard = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small", "namespace": namespace}}
    kube.apply(hard | {"spec": {"hard": {"pods": "0"}}})
    until(lambda: kube.get("v1", "ResourceQuota", "small", namespace).get("status", {}).get("hard"))  # type: ignore[union-attr]
    workloads = {"web": workload("web"), "db": workload("db", kind="StatefulSet")}
    with Watcher(kube, namespace, workloads, lambda _: None) as watcher:
        kube.apply(controller("web", namespace))
        kube.apply(controller("db", namespace, kind="StatefulSet"))
        causes = [Waiting(lambda name=name: watcher.wait(name)).cause() for name in workloads]
    assert [cause.sign for cause in causes] == ["Quota", "Quota"]
    assert all("requested: pods=1, used: pods=0, limited: pods=0" in cause.summary for cause in causes)


def test_pod_security_is_named_with_the_lines_to_add(kube: Kube, namespace: str) -> None:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    kube.merge_patch("v1", "Namespace", namespace, label)
    with Watcher(kube, namespace, {"web": workload("web")}, lambda _: None) as watcher:
        kube.apply(controller("web", namespace))
        cause = Waiting(watcher.wait_all).cause()
    assert cause.sign == "Admission"
    assert "runAsNonRoot" in cause.summary
    assert "security: {level: baseline}" in cause.hint


def test_a_crash_is_excused_while_a_database_is_starting(kube: Kube, namespace: str) -> None:
    workloads = {"api": workload("api"), "db": workload("db", kind="StatefulSet")}
    with Watcher(kube, namespace, workloads, lambda _: None) as watcher:
        kube.apply(controller("db", namespace, "v1", kind="StatefulSet"))
        db = pods(kube, namespace, "v1")[0]
        kube.apply(controller("api", namespace, "v1"))
        api = next(p for p in pods(kube, namespace, "v1", 2) if p["metadata"]["name"] != db["metadata"]["name"])
        waiting = Waiting(watcher.wait_all)
        kubelet.wait_in(kube, api, "CrashLoopBackOff", restarts=1, code=1)
        assert waiting.still(3.0)
        kubelet.run(kube, db)
        assert waiting.still(2.0)
        kubelet.run(kube, api)
        waiting.result()


def test_the_watch_survives_a_history_that_is_gone(kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """410 Gone, dropped connections and refusals for a while: each watch answers one of them first."""
    from portable.errors import ClusterError

    real, answers = kube.watch, {"Pod": 410, "Deployment": 0, "ReplicaSet": 503, "Event": 403}

    def watch(api_version: str, kind: str, *args: object, **options: object) -> object:
        if (status := answers.pop(kind, None)) is not None:
            raise ClusterError("for the test", status=status)
        return real(api_version, kind, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(kube, "watch", watch)
    with Watcher(kube, namespace, {"web": workload("web")}, lambda _: None) as watcher:
        waiting = Waiting(watcher.wait_all)
        kube.apply(controller("web", namespace))
        kubelet.run(kube, pods(kube, namespace, "v1")[0])
        waiting.result()
    assert not answers


def test_the_watch_survives_a_cut_wire(control_plane: ControlPlane, kube: Kube, namespace: str) -> None:
    """Connections that break in the middle and a server that cannot be reached for seconds, as when it restarts."""
    host, port = control_plane.server.removeprefix("https://").split(":")
    with wire((host, int(port))) as line:
        shaky = control_plane.kubeconfig.replace(control_plane.server, f"https://127.0.0.1:{line.port}")
        with (
            Kube.connect(shaky) as over_wire,
            Watcher(over_wire, namespace, {"web": workload("web")}, lambda _: None) as watcher,
        ):
            waiting = Waiting(watcher.wait_all)
            assert waiting.still(0.5)
            before = line.accepted
            line.cut()
            kube.apply(controller("web", namespace))
            kubelet.run(kube, pods(kube, namespace, "v1")[0])
            assert waiting.still(3.0), "it cannot know yet"
            line.mend()
            waiting.result()
            assert line.accepted > before


def test_a_lasting_refusal_is_an_error_not_a_hang(kube: Kube, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from portable.errors import ClusterError
    from portable.rollout import feed

    def refused(*_: object, **__: object) -> object:
        raise ClusterError("pods is forbidden", status=403)

    monkeypatch.setattr(kube, "list_page", refused)
    monkeypatch.setattr(feed, "REFUSALS", 2)
    with Watcher(kube, namespace, {"web": workload("web")}, lambda _: None) as watcher:
        waiting = Waiting(lambda: watcher._await({"web": None}))
        with pytest.raises(ClusterError, match="pods is forbidden"):
            waiting.result(20)
