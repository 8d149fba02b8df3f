"""The rollout watcher: follows the workloads of one namespace until each is ready or cannot become ready.

    with Watcher(kube, namespace, objects.workloads, emit) as watcher:
        engine.app.up(..., wait=watcher.wait)     # gates between workloads, from the engine's threads
        watcher.wait_all()

Feeds (one thread and connection per kind) keep a snapshot; one thread judges it whenever it changes: `progress` says how far
a workload is, `diagnose` what is wrong, `Verdicts` keeps the clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal, Self

from portable.compile.objects import CompiledWorkload
from portable.errors import Cause, ClusterError, PortableError, RolloutFailed
from portable.events import Emit, WorkloadEvent
from portable.kube import Kube
from portable.logs import last_lines
from portable.provider import KubeObject
from portable.rollout.feed import follow
from portable.rollout.finding import LogSource
from portable.rollout.handover import start_at_minimum
from portable.rollout.stuck import release_stuck_pods
from portable.rollout.verdict import SOON, Judge, Judgement
from portable.rollout.view import Snapshot, View

_APIS = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
}
_COALESCE = 0.05
_TICK = 0.5
_GATHER = 1.0
_FIRST_LOOK = 10.0


class Watcher:
    """`resources`: Secret name in the cluster -> name of its resource in the spec, for hints. `emit` is called from a thread
    of the watcher's. All methods may be called from any thread.
    """

    def __init__(
        self,
        kube: Kube,
        namespace: str,
        workloads: Mapping[str, CompiledWorkload],
        emit: Emit,
        *,
        resources: Mapping[str, str] | None = None,
        node_autoscaling: bool = False,
    ) -> None:
        self._kube, self._namespace, self._workloads, self._emit = kube, namespace, dict(workloads), emit
        self._snapshot = Snapshot()
        self._changed = threading.Condition()
        self._dirty, self._stopped = threading.Event(), threading.Event()
        self._troubles: dict[str, ClusterError] = {}
        self._broken: Exception | None = None
        self._judge = Judge(self._workloads, self._log, resources or {}, node_autoscaling, self._port_answers)
        self._remedies = _Remedies(kube, namespace)
        self._told: dict[str, WorkloadEvent] = {}
        self._judgements: dict[str, Judgement] = {}
        self._asked: list[tuple[str, KubeObject | None, float]] = []
        self._rounds_begun = self._rounds_done = 0
        self._synced_once = False
        self._kinds = _kinds(self._workloads.values())

    # -- life ------------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Returns once the state before this run is known (what is ready now was so before), or the server does not answer."""
        for kind in self._kinds:
            feed = (self._kube, _APIS.get(kind, "v1"), kind, self._namespace, self, self._stopped)
            threading.Thread(target=follow, args=feed, name=f"watch-{kind}", daemon=True).start()
        threading.Thread(target=self._run, name="rollout-judge", daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: self._synced_once or self._broken is not None, timeout=_FIRST_LOOK)

    def close(self) -> None:
        """Ends the watch. Does not wait for the feeds: each ends with its current request."""
        self._stopped.set()
        self._dirty.set()
        with self._changed:
            self._changed.notify_all()

    # -- questions -------------------------------------------------------------------------------------------------

    def wait(self, workload: str, condition: Literal["ready", "complete"] = "ready") -> None:
        """Blocks until the workload as last applied is rolled out. A job is ready, as it is complete, when it has succeeded.

        Raises RolloutFailed with its cause, ClusterError where the cluster refuses to be watched.
        """
        reference = self._workloads[workload].controller
        live = self._kube.get(reference.api_version, reference.kind, reference.name, self._namespace)
        self._await({workload: live})

    def wait_all(self, names: Collection[str] | None = None) -> None:
        """As `wait`, for all workloads (or `names`); raises RolloutFailed with every cause known shortly after the first."""
        live: dict[tuple[str, str], KubeObject] = {}
        for kind in {workload.controller.kind for workload in self._workloads.values()}:
            for item in self._kube.list(_APIS[kind], kind, self._namespace):
                live[kind, item["metadata"]["name"]] = item
        self._await(
            {
                name: live.get((workload.controller.kind, workload.controller.name))
                for name, workload in self._workloads.items()
                if names is None or name in names
            }
        )

    @property
    def causes(self) -> tuple[Cause, ...]:
        """The causes found so far, also when the engine's own error has swallowed the RolloutFailed of a gate."""
        with self._changed:
            return tuple(found.cause for found in self._judgements.values() if found.cause is not None)

    def images(self) -> dict[str, dict[str, str]]:
        """Workload -> container -> ID (digest) of the image that its current pods really run."""
        with self._changed:
            views = self._snapshot.views(self._workloads)
        return {name: found for name, view in views.items() if (found := _image_ids(view))}

    def _await(self, live: Mapping[str, KubeObject | None]) -> None:
        """What the API server says now is the least that the snapshot must show: it may lag behind an apply."""
        failed_at = None
        with self._changed:
            self._asked += [(name, item, time.monotonic()) for name, item in live.items()]
            needed = self._rounds_begun + 1  # a round under way does not know of the question yet
            self._dirty.set()
            while True:
                if self._broken is not None:
                    raise _shown(self._broken)
                if self._stopped.is_set():
                    raise ClusterError("the rollout is no longer watched: the watcher was closed")
                if self._rounds_done >= needed:
                    found = [self._judgements[name] for name in live]
                    causes = [judged.cause for judged in found if judged.cause is not None]
                    failed_at = failed_at or (time.monotonic() if causes else None)
                    if failed_at is None and all(judged.ready for judged in found):
                        return
                    waited = time.monotonic() - (failed_at or 0.0)
                    enough = SOON if any(judged.suspect for judged in found) else _GATHER
                    if causes and (len(causes) == len(live) or waited >= enough):
                        raise RolloutFailed(causes)
                self._changed.wait(_TICK)

    # -- Sink ------------------------------------------------------------------------------------------------------

    def listed(self, kind: str, items: list[KubeObject]) -> None:
        self._update(lambda: self._snapshot.replace(kind, items), kind)

    def changed(self, kind: str, change: str, item: KubeObject) -> None:
        edit = self._snapshot.drop if change == "DELETED" else self._snapshot.put
        self._update(lambda: edit(kind, item), kind)

    def trouble(self, kind: str, error: ClusterError | None) -> None:
        with self._changed:
            if error is None:
                self._troubles.pop(kind, None)
            else:
                self._troubles[kind] = error

    def broken(self, error: Exception) -> None:
        with self._changed:
            self._broken = self._broken or error
            self._changed.notify_all()

    def _update(self, edit: Callable[[], None], kind: str) -> None:
        with self._changed:
            edit()
            self._troubles.pop(kind, None)
        self._dirty.set()

    # -- judging ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            took = 0.0
            while not self._stopped.is_set():
                self._dirty.wait(_TICK)
                self._stopped.wait(
                    max(_COALESCE, 3 * took)
                )  # a thousand workloads take 0.3 s: leave the engine its share
                self._dirty.clear()
                began = time.monotonic()
                self._evaluate()
                took = time.monotonic() - began
        except Exception as error:  # noqa: BLE001 - else every `wait` would hang
            self.broken(error)

    def _evaluate(self) -> None:
        with self._changed:
            synced = self._kinds <= self._snapshot.objects.keys()
            views = self._snapshot.views(self._workloads) if synced else {}
            trouble = next(iter(self._troubles.values()), None)
            asked, self._asked = self._asked, []
            self._rounds_begun += 1
        for question in asked:
            self._judge.awaited(*question)
        now = time.monotonic()
        for name, workload in self._workloads.items():
            view = views.get(name) or View(workload)
            judged = self._judge.judge(view, now, synced=synced, trouble=trouble)
            self._tell(name, judged)
            with self._changed:
                self._judgements[name] = judged
        if synced:
            for view in views.values():
                self._remedies.apply(view, now)
        with self._changed:
            self._rounds_done = self._rounds_begun
            self._synced_once = self._synced_once or synced
            self._changed.notify_all()

    def _tell(self, name: str, judged: Judgement) -> None:
        if not judged.concerns:
            return
        known = self._told.get(name)
        status = "failed" if judged.cause else "done" if judged.ready else "progress" if known else "started"
        far = judged.progress
        event = WorkloadEvent(name, status, far.ready, far.wanted, "" if judged.ready else far.detail, judged.cause)
        if known is None or (event.status, event.ready, event.wanted, event.detail) != (
            "progress" if known.status == "started" and status == "progress" else known.status,
            known.ready,
            known.wanted,
            known.detail,
        ):
            self._told[name] = event
            self._emit(event)

    def _log(self, source: LogSource) -> tuple[str, ...]:
        return last_lines(self._kube, self._namespace, source)

    def _port_answers(self, pod: str, port: int) -> bool:
        from portable.reach import port_answers

        return port_answers(self._kube, self._namespace, pod, port)


class _Remedies:
    """The two things that the watcher does rather than tells, each at most once per object."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube, self._namespace = kube, namespace
        self._since: dict[str, float] = {}

    def apply(self, view: View, now: float) -> None:
        try:
            start_at_minimum(self._kube, view)
            release_stuck_pods(self._kube, self._namespace, view, self._since, now)
        except ClusterError:
            pass  # tried again at the next change; a lasting refusal ends in the workload's own timeout


def _kinds(workloads: Iterable[CompiledWorkload]) -> set[str]:
    kinds: set[str] = {"Pod", "Event", "PersistentVolumeClaim", *(workload.controller.kind for workload in workloads)}
    return kinds | ({"ReplicaSet"} if "Deployment" in kinds else set())


def _image_ids(view: View) -> dict[str, str]:
    return {
        status["name"]: status["imageID"]
        for pod in view.pods
        for status in pod.get("status", {}).get("containerStatuses") or ()
        if status.get("imageID")
    }


def _shown(error: Exception) -> Exception:
    if isinstance(error, PortableError):
        return error
    wrapped = PortableError(f"the rollout watcher failed: {type(error).__name__}: {error}")
    wrapped.__cause__ = error
    return wrapped
