"""Autoscaled workloads: the count belongs to the autoscaler, from the first moment and through every later `up`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import pytest

from portable.rollout.handover import AUTOSCALER
from tests.e2e.conftest import HELLO, AppUnderTest, wait

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
PATIENCE = 240.0  # seconds for metrics of new pods and two rounds of the autoscaler
DEPLOYMENT = ("apps/v1", "Deployment")


def web(greeting: str = "Hello", **more: Any) -> dict[str, Any]:
    main = {**HELLO["containers"]["main"], "variables": {"GREETING": greeting}}
    return {**HELLO, "containers": {"main": main}, **more}


# A process of hello takes far more than 1 % of what it requests, so the autoscaler goes to the maximum as soon as it can measure.
BUSY = {"min": 2, "max": 3, "memory": 1}
CALM = {"min": 2, "max": 5, "cpu": 70}


@contextmanager
def counting(under: AppUnderTest) -> Iterator[dict[str, list[int]]]:
    """Deployment -> every value that its `spec.replicas` has while the block runs, as the API server tells its watchers."""
    kube, counts, stop = under.cluster.kube, dict[str, list[int]](), Event()
    _, version = kube.list_page(*DEPLOYMENT, under.namespace)

    def watch() -> None:
        seen = version
        while not stop.is_set():
            for kind, found in kube.watch(*DEPLOYMENT, under.namespace, resource_version=seen, timeout=1):
                seen = found["metadata"]["resourceVersion"]
                if kind in ("ADDED", "MODIFIED"):
                    counts.setdefault(found["metadata"]["name"], []).append(found["spec"]["replicas"])

    thread = Thread(target=watch)
    thread.start()
    try:
        yield counts
    finally:
        stop.set()
        thread.join()


def replicas(under: AppUnderTest, name: str) -> int:
    return under.get(*DEPLOYMENT, name)["spec"]["replicas"]


def scalers(under: AppUnderTest) -> list[str]:
    return [found["metadata"]["name"] for found in under.cluster.kube.list(*AUTOSCALER, under.namespace)]


def test_switching_scaling_on_never_drops_the_count(module_app: AppUnderTest) -> None:
    module_app.write({"web": web(scale={"min": 3, "max": 3})})
    module_app.up()
    pods = module_app.pod_uids("web")
    assert len(pods["web"]) == 3
    module_app.write({"web": web(scale=CALM), "busy": web(scale=BUSY)})
    with counting(module_app) as counts:
        module_app.up()
    assert set(counts.get("web", [3])) == {3}, counts
    assert replicas(module_app, "web") == 3
    assert module_app.pod_uids("web") == pods, "no pod was replaced either"
    scaler = module_app.get(*AUTOSCALER, "web")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 5)
    owners = module_app.get(*DEPLOYMENT, "web")["metadata"]["managedFields"]
    owning = {entry["manager"] for entry in owners if "f:replicas" in entry["fieldsV1"].get("f:spec", {})}
    assert "portable" not in owning, "a count that the autoscaler chooses next is neither ours nor drift"
    # a new one: Kubernetes fills in 1 before anyone can say 2, and nothing is called ready before the minimum is
    assert counts["busy"][0] in (1, 2), counts
    assert 2 in counts["busy"], counts


def test_a_new_autoscaled_workload_is_ready_at_its_minimum(module_app: AppUnderTest) -> None:
    ready = module_app.get(*DEPLOYMENT, "busy")["status"]["readyReplicas"]
    assert ready >= 2


def test_up_does_not_reset_what_the_autoscaler_has_chosen(module_app: AppUnderTest, say: Callable[[str], None]) -> None:
    seconds = wait(lambda: replicas(module_app, "busy") == 3, "the autoscaler takes busy to 3", seconds=PATIENCE)
    say(f"scaling: the autoscaler measured and scaled {seconds:.0f} s after the up")
    assert module_app.up()["changed"] is False, "a count that the autoscaler chose is no drift"
    module_app.write({"web": web("changed", scale=CALM), "busy": web("changed", scale=BUSY)})
    with counting(module_app) as counts:
        module_app.up()
    assert set(counts["busy"]) == {3}, counts
    assert min(counts["web"]) >= 2, "an autoscaler that has calmed down may take one away, an apply would leave 1"
    assert replicas(module_app, "busy") == 3


def test_switching_scaling_off_sets_the_count_of_the_spec(module_app: AppUnderTest) -> None:
    module_app.write(
        {"web": web("changed", scale={"min": 1, "max": 1}), "busy": web("changed", scale={"min": 2, "max": 2})}
    )
    module_app.up()
    assert (replicas(module_app, "web"), replicas(module_app, "busy")) == (1, 2)
    assert scalers(module_app) == []
    assert module_app.up()["changed"] is False


def test_a_bad_version_gives_back_who_decides_the_count(module_app: AppUnderTest) -> None:
    """Of a version that switches scaling on and fails, and of one that switches it off and fails."""
    fixed, missing = {"min": 3, "max": 3}, {**HELLO["containers"]["main"], "command": ["/bin/missing"]}
    module_app.write({"web": web(scale=fixed)})
    module_app.up()
    module_app.write({"web": web(scale=CALM, containers={"main": missing})})
    with counting(module_app) as counts:
        module_app.run("up", "--yes", code=1)
    assert scalers(module_app) == []
    assert replicas(module_app, "web") == 3
    assert set(counts["web"]) <= {2, 3}, counts
    assert module_app.run("drift", "--output", "json").json()["changes"] is False

    module_app.write({"web": web("repaired", scale=CALM)})
    module_app.up()
    assert scalers(module_app) == ["web"], "what went on the way back comes with the next good version"
    module_app.write({"web": web(scale={"min": 4, "max": 4}, containers={"main": missing})})
    with counting(module_app) as counts:
        module_app.run("up", "--yes", code=1)
    assert scalers(module_app) == ["web"]
    assert min(counts["web"]) >= 2, counts
    module_app.write({"web": web("repaired", scale=CALM)})
    module_app.up()
    assert module_app.up()["changed"] is False
