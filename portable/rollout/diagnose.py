"""Why a workload does not become ready: pure, from one view.

Each sign comes with the seconds for which it must hold before it is called fatal, because the same sign may pass by itself
(an app that starts slowly, a quota that an ending pod frees). The watcher keeps the clock. The closed list of signs is
`portable.rollout.finding.SIGNS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from portable.errors import Cause
from portable.rollout.containers import container_findings
from portable.rollout.finding import NEVER, Finding, LogSource
from portable.rollout.hints import exit_words, in_its_words
from portable.rollout.placement import pod_findings, refused_findings
from portable.rollout.progress import Progress, shorten
from portable.rollout.view import View, condition, containers, is_ready


def diagnose(
    view: View, *, resources: Mapping[str, str] | None = None, node_autoscaling: bool = False
) -> tuple[Finding, ...]:
    """All signs of trouble, the surest first; () when all is well or too early to tell.

    `resources` maps the name of a Secret in the cluster to its resource's name in the spec. `node_autoscaling`: nodes may
    still be added for a pod that finds none.
    """
    names = resources or {}
    found = [*_job(view), *refused_findings(view)]
    for pod in view.pods:
        if not is_ready(pod):
            found += container_findings(view, pod, names)
            found += pod_findings(view, pod, names, node_autoscaling)
    told = (replace(finding, cause=in_its_words(finding.cause, view.workload)) for finding in found)
    return tuple(sorted(told, key=lambda finding: finding.patience))


def _job(view: View) -> Iterator[Finding]:
    job = view.controller
    if job is None or job["kind"] != "Job" or not view.applied:
        return
    failed = condition(job, "Failed") or condition(job, "FailureTarget")
    if failed is None or failed["status"] != "True":
        return
    reason, message = failed.get("reason", ""), failed.get("message", "")
    what = {
        "BackoffLimitExceeded": "has failed and used up its tries",
        "DeadlineExceeded": "did not end in the time it has",
        "PodFailurePolicy": "has failed in a way that allows no further try",
    }.get(reason, f"has failed ({reason})")
    cause = Cause(view.workload.name, "JobFailed", f"job {view.workload.name} {what}", event=shorten(message, 400))
    yield _with_last_pod(view, cause)


def _with_last_pod(view: View, cause: Cause) -> Finding:
    """A job's own words are few: what its last failed pod ended with says more."""
    pods = sorted(
        (*view.pods, *view.leaving), key=lambda pod: pod["metadata"].get("creationTimestamp", ""), reverse=True
    )
    for pod in pods:
        for spec, status in containers(pod):
            ended = status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
            code = ended.get("exitCode")
            if code:
                name = pod["metadata"]["name"]
                summary = f"{cause.summary}: container {spec['name']} ended with {exit_words(code)}"
                hint = "correct the job and run `portable up` again: a changed job runs anew"
                found = replace(cause, summary=summary, pod=name, container=spec["name"], exit_code=code, hint=hint)
                return Finding(found, 0.0, LogSource(name, spec["name"], "terminated" not in status.get("state", {})))
    return Finding(cause, 0.0)


def timed_out(view: View, known: Finding | None, progress: Progress, seconds: float) -> Cause:
    """The best known cause after the time is up; where there is no sign, an honest list of what is still missing."""
    gave_up = f"not ready after {seconds:.0f} s"
    if known is not None:
        return replace(known.cause, summary=f"{known.cause.summary} ({gave_up})")
    missing = (
        f"{progress.ready} of {progress.wanted} ready, {progress.detail}" if progress.wanted > 1 else progress.detail
    )
    pod = next((pod["metadata"]["name"] for pod in view.pods if not is_ready(pod)), "")
    hint = f"give it more time with workloads.{view.workload.name}.rollout.timeout, if that is all it needs"
    return Cause(view.workload.name, "Timeout", f"{gave_up}: {missing}", pod=pod, hint=hint)


__all__ = ["NEVER", "diagnose", "timed_out"]
