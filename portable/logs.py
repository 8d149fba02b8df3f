"""`logs`: what workloads' containers say, from all of their pods; while following, also from pods and runs that come later."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from portable.compile.names import WORKLOAD_LABEL
from portable.errors import ClusterError, UsageError
from portable.kube import Kube
from portable.provider import KubeObject
from portable.rollout.finding import LogSource

LAST_LINES = 10
_POLL_SECONDS = 1.0
# What a kubelet answers, as if it were a line of the log, once the container has been taken away.
_NOT_KEPT = "unable to retrieve container logs"
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class LogLine:
    """`time`: the kubelet's RFC 3339 timestamp. Without one it is a remark of ours about the container."""

    pod: str
    container: str
    time: str
    text: str


@dataclass(frozen=True)
class Selection:
    """`since`: seconds back. `tail`: last lines of each container. `previous`: the run before the present one."""

    container: str | None = None
    since: int | None = None
    tail: int | None = None
    previous: bool = False


@dataclass(frozen=True)
class _Run:
    """One run of one container: a restart makes a new one."""

    pod: str
    container: str
    id: str


def read_logs(kube: Kube, namespace: str, workloads: Sequence[str], chosen: Selection) -> Iterator[LogLine]:
    """Every line that there is now, container by container. Raises UsageError for a container that no pod has."""
    pods = _pods(kube, namespace, workloads)
    _require_container(pods, chosen.container)
    for pod in pods:
        for container in _containers(pod, chosen.container):
            name = pod["metadata"]["name"]
            try:
                for raw in kube.logs(
                    namespace,
                    name,
                    container,
                    previous=chosen.previous,
                    tail=chosen.tail,
                    since_seconds=chosen.since,
                    timestamps=True,
                ):
                    yield _line(name, container, raw)
            except ClusterError as error:
                if error.status not in (400, 404):  # 400: the container has not started; 404: the pod has just gone
                    raise
                yield LogLine(name, container, "", error.message)


def last_lines(kube: Kube, namespace: str, source: LogSource) -> tuple[str, ...]:
    """The last lines of the run that tells more, else of the container's other run; () where they cannot be had."""
    for previous in (source.previous, not source.previous):
        try:
            lines = tuple(kube.logs(namespace, source.pod, source.container, previous=previous, tail=LAST_LINES))
        except ClusterError:
            continue
        if lines and not lines[0].startswith(_NOT_KEPT):
            return lines
    return ()


def follow_logs(
    kube: Kube, namespace: str, workloads: Sequence[str], chosen: Selection, *, ends: bool = False
) -> Iterator[LogLine]:
    """Lines as they come, until the caller stops; with `ends` (jobs) until their pods have ended."""
    lines: queue.SimpleQueue[LogLine] = queue.SimpleQueue()
    started: dict[_Run, threading.Thread] = {}
    first = True
    while True:
        pods = _pods(kube, namespace, workloads)
        _require_container(pods, chosen.container)
        for run in _runs(pods, chosen.container):
            if run not in started:
                # What begins while we watch is shown from its beginning.
                tail, since = (chosen.tail, chosen.since) if first else (None, None)
                thread = threading.Thread(
                    target=_follow, args=(kube, namespace, run, tail, since, lines.put), daemon=True
                )
                started[run] = thread
                thread.start()
        first = False
        yield from _drain(lines, _POLL_SECONDS)
        ended = ends and bool(pods) and all(pod.get("status", {}).get("phase") in _ENDED for pod in pods)
        if ended and not any(thread.is_alive() for thread in started.values()):
            yield from _drain(lines, 0)
            return


def _follow(
    kube: Kube, namespace: str, run: _Run, tail: int | None, since: int | None, put: Callable[[LogLine], None]
) -> None:
    """Streams one run to its end. A stream that breaks is taken up again where it was: timestamps tell what was seen."""
    last, seen_at = "", time.monotonic()
    for attempt in range(1_000):
        if attempt:
            time.sleep(min(0.5 * attempt, 5.0))
            since, tail = int(time.monotonic() - seen_at) + 2, None
        try:
            for raw in kube.logs(
                namespace, run.pod, run.container, follow=True, tail=tail, since_seconds=since, timestamps=True
            ):
                line = _line(run.pod, run.container, raw)
                if line.time > last:
                    put(line)
                    last, seen_at = line.time, time.monotonic()
        except ClusterError as error:
            if error.status == 0:
                continue
            if error.status not in (400, 404):
                put(LogLine(run.pod, run.container, "", error.message))
        except RuntimeError:
            pass  # httpx: the client has been closed. Nobody follows any more.
        return


def _drain(lines: queue.SimpleQueue[LogLine], seconds: float) -> Iterator[LogLine]:
    """What arrives within `seconds`, at least what is there already."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            yield lines.get(timeout=max(deadline - time.monotonic(), 0.001))
        except queue.Empty:
            return
        if time.monotonic() >= deadline and lines.empty():
            return


def _pods(kube: Kube, namespace: str, workloads: Sequence[str]) -> list[KubeObject]:
    """Oldest first."""
    chosen = f"={workloads[0]}" if len(workloads) == 1 else f" in ({','.join(workloads)})"
    pods = kube.list("v1", "Pod", namespace, label_selector=f"{WORKLOAD_LABEL}{chosen}")
    return sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))


def _containers(pod: KubeObject, wanted: str | None) -> list[str]:
    """The pod's containers, or the one that is wanted, which may be an init container; none where it has no such."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    if wanted is None:
        return names
    return [wanted] if wanted in _every_container(pod) else []


def _every_container(pod: KubeObject) -> list[str]:
    return [each["name"] for each in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ()))]


def _require_container(pods: list[KubeObject], wanted: str | None) -> None:
    """Of several workloads not every one has to have it."""
    known = list(dict.fromkeys(name for pod in pods for name in _every_container(pod)))
    if wanted is not None and pods and wanted not in known:
        raise UsageError(f"no container is called {wanted!r}", fix=f"there are: {', '.join(known)}")


def _runs(pods: list[KubeObject], wanted: str | None) -> Iterator[_Run]:
    """Runs that have begun, and so have a log."""
    for pod in pods:
        names, status = _containers(pod, wanted), pod.get("status", {})
        for entry in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            if entry["name"] in names and entry.get("containerID") and "waiting" not in entry.get("state", {}):
                yield _Run(pod["metadata"]["name"], entry["name"], entry["containerID"])


def _line(pod: str, container: str, raw: str) -> LogLine:
    if raw.startswith(_NOT_KEPT):
        return LogLine(pod, container, "", "the node has not kept the log of this run")
    stamp, _, text = raw.partition(" ")
    return LogLine(pod, container, stamp, text)
