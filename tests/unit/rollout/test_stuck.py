"""A new run gives what failed before a new try, on a real API server with real controllers."""

from __future__ import annotations

import pytest

from portable.kube import Kube
from portable.rollout.stuck import retry_failed
from tests.unit.rollout import kubelet
from tests.unit.rollout.kubelet import controller, pods, until, workload

pytestmark = pytest.mark.unit


def test_pods_that_back_off_are_made_anew_and_others_left_alone(kube: Kube, namespace: str) -> None:
    for name in ("api", "web", "slow"):
        kube.apply(controller(name, namespace))
    found = {pod["metadata"]["name"].split("-")[0]: pod for pod in pods(kube, namespace, "v1", 3)}
    kubelet.wait_in(kube, found["api"], "CrashLoopBackOff", restarts=5, code=1)
    kubelet.run(kube, found["web"])
    kubelet.run(kube, found["slow"], ready=False)
    workloads = [workload(name) for name in found]
    assert retry_failed(kube, namespace, workloads) == ("api",)
    until(lambda: kube.get("v1", "Pod", found["api"]["metadata"]["name"], namespace) is None)
    now = {pod["metadata"]["uid"] for pod in pods(kube, namespace, "v1", 3)}
    assert {found[name]["metadata"]["uid"] for name in ("web", "slow")} <= now
    assert found["api"]["metadata"]["uid"] not in now


def test_a_version_that_is_about_to_go_is_not_retried(kube: Kube, namespace: str) -> None:
    kube.apply(controller("api", namespace, "v1"))
    kubelet.wait_in(kube, pods(kube, namespace, "v1")[0], "ImagePullBackOff", "not found")
    assert retry_failed(kube, namespace, [workload("api", "v2")]) == ()


def test_a_failed_job_runs_anew_and_one_that_succeeded_does_not(kube: Kube, namespace: str) -> None:
    for name, code in (("migrate", 1), ("seed", 0)):
        kube.apply(controller(name, namespace, name, kind="Job"))
        kubelet.end(kube, pods(kube, namespace, name)[0], code)
    ended = {"migrate": "Failed", "seed": "Complete"}

    def over() -> bool:
        jobs = kube.list("batch/v1", "Job", namespace)
        return all(
            any(c["type"] == ended[j["metadata"]["name"]] for c in j.get("status", {}).get("conditions", ()))
            for j in jobs
        )

    until(over)
    before = {job["metadata"]["name"]: job for job in kube.list("batch/v1", "Job", namespace)}
    workloads = [workload(name, name, kind="Job") for name in ended]
    assert retry_failed(kube, namespace, workloads) == ("migrate",)
    after = {job["metadata"]["name"]: job for job in kube.list("batch/v1", "Job", namespace)}
    assert after["seed"]["metadata"]["uid"] == before["seed"]["metadata"]["uid"]
    assert after["migrate"]["metadata"]["uid"] != before["migrate"]["metadata"]["uid"]
    container = after["migrate"]["spec"]["template"]["spec"]["containers"][0]
    assert container == before["migrate"]["spec"]["template"]["spec"]["containers"][0]
    pods(kube, namespace, "migrate")  # and has a pod again
