"""How far a rollout is: pure, from one view."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from portable.provider import KubeObject
from portable.rollout.view import View, condition, containers, is_ready


@dataclass(frozen=True)
class Progress:
    """`done`: the version is rolled out (a Job: succeeded; a CronJob: there). `detail`: what is being waited for, "" when done."""

    ready: int
    wanted: int
    done: bool
    detail: str = ""


def progress(view: View) -> Progress:
    """Only this version counts, by the rules of `kubectl rollout status` (kubectl/pkg/polymorphichelpers/rollout_status.go):
    the controller has seen its newest generation, every replica is of this version and available, the old ones are gone.
    """
    controller = view.controller
    if controller is None or not view.applied:
        return Progress(0, _wanted(view), False, "waiting to be applied")
    kind = controller["kind"]
    if kind == "CronJob":
        return Progress(1, 1, True)
    if kind == "Job":
        return _job(view, controller)
    status: dict[str, Any] = controller.get("status", {})
    if status.get("observedGeneration", 0) < controller["metadata"].get("generation", 0):
        return Progress(0, _wanted(view), False, "waiting for the cluster to take it up")
    wanted = _wanted(view)
    updated = status.get("updatedReplicas", 0)
    # Of both counts the smaller: `availableReplicas` includes pods of the old version.
    ready = min(updated, status.get("availableReplicas", 0), sum(map(is_ready, view.pods)))
    if updated < wanted or ready < wanted:
        return Progress(min(ready, wanted), wanted, False, _pods_detail(view) or _uncounted(view, wanted))
    old = status.get("replicas", 0) - updated
    if old > 0 or (kind == "StatefulSet" and status.get("currentRevision") != status.get("updateRevision")):
        detail = f"waiting for {max(old, 1)} old {'pod' if old <= 1 else 'pods'} to end"
        return Progress(wanted, wanted, False, detail)
    return Progress(wanted, wanted, True)


def _uncounted(view: View, wanted: int) -> str:
    """Pods that are ready become available when the controller has seen them so for `minReadySeconds`."""
    return "creating pods" if len(view.pods) < wanted else "ready, not yet counted as available"


def _wanted(view: View) -> int:
    if view.workload.controller.kind in ("Job", "CronJob"):
        return 1
    replicas = (view.controller or {}).get("spec", {}).get("replicas", 1)
    return max(replicas, view.workload.scale_min or 0) if view.workload.autoscaled else replicas


def _job(view: View, job: KubeObject) -> Progress:
    wanted = job.get("spec", {}).get("completions", 1)
    succeeded = job.get("status", {}).get("succeeded", 0)
    complete = condition(job, "Complete")
    if complete and complete["status"] == "True":
        return Progress(wanted, wanted, True)
    detail = _pods_detail(view) or ("running" if view.pods else "creating pods")
    failed, tries = job.get("status", {}).get("failed", 0), job.get("spec", {}).get("backoffLimit", 6) + 1
    return Progress(succeeded, wanted, False, f"try {failed + 1} of {tries}, {detail}" if failed else detail)


def _pods_detail(view: View) -> str:
    """What the first pod that is not ready is at, the earliest stage first."""
    stages = sorted(stage for pod in view.pods if not is_ready(pod) for stage in [_stage(view, pod)] if stage)
    return stages[0][1] if stages else ""


def _stage(view: View, pod: KubeObject) -> tuple[int, str] | None:
    scheduled = condition(pod, "PodScheduled")
    if scheduled is None or scheduled["status"] != "True":
        return 0, "waiting for a node"
    for _spec, status in containers(pod):
        waiting = status.get("state", {}).get("waiting")
        if waiting is not None:
            return 1, _waiting(view, pod, status["name"], waiting.get("reason", ""))
        ended = status.get("state", {}).get("terminated")
        if ended is not None and not (ended.get("exitCode") == 0 and status.get("restartCount", 0) == 0):
            return 2, f"container {status['name']} ended with exit code {ended.get('exitCode')}"
        if "running" in status.get("state", {}) and not status.get("ready", False):
            failed = view.events_of(pod, "Unhealthy")
            return 3, "running, not ready yet" + (f": {probe_words(failed[-1]['message'])}" if failed else "")
    return None if pod.get("status", {}).get("containerStatuses") else (1, "starting")


def _waiting(view: View, pod: KubeObject, container: str, reason: str) -> str:
    if reason not in ("ContainerCreating", "PodInitializing", ""):
        return f"container {container}: {reason}"
    pulls = view.events_of(pod, "Pulling", "Pulled")
    if pulls and pulls[-1]["reason"] == "Pulling":
        return shorten(pulls[-1]["message"].replace('Pulling image "', "pulling image ").rstrip('"'))
    trouble = view.events_of(pod, "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox")
    return shorten(trouble[-1]["message"]) if trouble else "starting containers"


def probe_words(message: str) -> str:
    """ "Readiness probe failed: dial tcp ...": an Unhealthy event's words on one line, without what changes from try to try."""
    text = message.removeprefix("(combined from similar events): ")
    command = re.search(r'exec: ".*$', " ".join(text.split()))
    which = re.match(r"(\w+ probe) errored", text)
    return shorten(f"{which[1]} failed: {command[0]}" if which and command else text)


def shorten(text: str, limit: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
