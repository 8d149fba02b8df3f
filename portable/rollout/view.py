"""What the cluster knows of one workload, cut out of the watched objects.

`Snapshot` holds the live objects of one namespace; `views` cuts one `View` per workload out of it. A view holds only what
belongs to the version being rolled out: the Deployment's ReplicaSet with our digest, its pods, the events on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from portable.compile.objects import CompiledWorkload
from portable.provider import KubeObject

DIGEST_ANNOTATION = "portable.dev/digest"

Uid: TypeAlias = str


@dataclass(frozen=True)
class View:
    """One workload's objects. `maker` is what makes its current pods (ReplicaSet, StatefulSet or Job), None before it exists.

    `pods` are those of the current version, `leaving` the ones being deleted or of an older version. `events` are keyed by
    the uid of the object they tell of, oldest first. `claims` are keyed by name.
    """

    workload: CompiledWorkload
    controller: KubeObject | None = None
    maker: KubeObject | None = None
    pods: tuple[KubeObject, ...] = ()
    leaving: tuple[KubeObject, ...] = ()
    events: Mapping[Uid, tuple[KubeObject, ...]] = field(default_factory=dict)
    claims: Mapping[str, KubeObject] = field(default_factory=dict)

    @property
    def applied(self) -> bool:
        """The controller carries this version's digest."""
        return self.controller is not None and digest_of(self.controller) == self.workload.digest

    def events_of(self, item: KubeObject, *reasons: str) -> list[KubeObject]:
        found = self.events.get(item["metadata"]["uid"], ())
        return [event for event in found if not reasons or event.get("reason") in reasons]


class Snapshot:
    """Live objects by kind and uid. Not thread-safe: its owner locks."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[Uid, KubeObject]] = {}

    def replace(self, kind: str, items: list[KubeObject]) -> None:
        self.objects[kind] = {item["metadata"]["uid"]: item for item in items}

    def put(self, kind: str, item: KubeObject) -> None:
        self.objects.setdefault(kind, {})[item["metadata"]["uid"]] = item

    def drop(self, kind: str, item: KubeObject) -> None:
        self.objects.get(kind, {}).pop(item["metadata"]["uid"], None)

    def kind(self, kind: str) -> Iterator[KubeObject]:
        return iter(self.objects.get(kind, {}).values())

    def views(self, workloads: Mapping[str, CompiledWorkload]) -> dict[str, View]:
        controllers = {
            (kind, item["metadata"]["name"]): item
            for kind in ("Deployment", "StatefulSet", "Job", "CronJob")
            for item in self.kind(kind)
        }
        sets, pods = self._by_owner("ReplicaSet"), self._by_owner("Pod")
        events: dict[Uid, list[KubeObject]] = {}
        for event in self.kind("Event"):
            events.setdefault(event.get("involvedObject", {}).get("uid", ""), []).append(event)
        ordered = {uid: tuple(sorted(found, key=event_time)) for uid, found in events.items()}
        claims = {item["metadata"]["name"]: item for item in self.kind("PersistentVolumeClaim")}
        result = {}
        for name, workload in workloads.items():
            controller = controllers.get((workload.controller.kind, workload.controller.name))
            result[name] = _view(workload, controller, sets, pods, ordered, claims)
        return result

    def _by_owner(self, kind: str) -> dict[Uid, list[KubeObject]]:
        found: dict[Uid, list[KubeObject]] = {}
        for item in self.kind(kind):
            for owner in item["metadata"].get("ownerReferences", ()):
                if owner.get("controller"):
                    found.setdefault(owner["uid"], []).append(item)
        return found


def _view(
    workload: CompiledWorkload,
    controller: KubeObject | None,
    sets: Mapping[Uid, list[KubeObject]],
    pods: Mapping[Uid, list[KubeObject]],
    events: Mapping[Uid, tuple[KubeObject, ...]],
    claims: Mapping[str, KubeObject],
) -> View:
    if controller is None or digest_of(controller) != workload.digest:
        return View(workload, controller, events=events, claims=claims)
    uid = controller["metadata"]["uid"]
    if controller["kind"] == "Deployment":
        own = sets.get(uid, [])
        maker = max((item for item in own if digest_of(item) == workload.digest), key=_revision, default=None)
        made = [pod for item in own for pod in pods.get(item["metadata"]["uid"], ())]
        newest = set() if maker is None else {pod["metadata"]["uid"] for pod in pods.get(maker["metadata"]["uid"], ())}
    else:
        maker, made = controller, list(pods.get(uid, ()))
        newest = {pod["metadata"]["uid"] for pod in made if pod_digest(pod) == workload.digest}
    made.sort(key=lambda pod: pod["metadata"]["name"])
    current = tuple(pod for pod in made if pod["metadata"]["uid"] in newest and not is_leaving(pod))
    leaving = tuple(pod for pod in made if pod["metadata"]["uid"] not in newest or is_leaving(pod))
    return View(workload, controller, maker, current, leaving, events, claims)


def _revision(replica_set: KubeObject) -> int:
    """A restart by hand makes a second ReplicaSet with our digest: the newest counts."""
    return int((replica_set["metadata"].get("annotations") or {}).get("deployment.kubernetes.io/revision", 0))


def digest_of(controller: KubeObject) -> str:
    """The digest on the pod template of a Deployment, ReplicaSet, StatefulSet, Job or CronJob; "" where there is none."""
    spec = controller.get("spec", {})
    if controller.get("kind") == "CronJob":
        spec = spec.get("jobTemplate", {}).get("spec", {})
    return str((spec.get("template", {}).get("metadata", {}).get("annotations") or {}).get(DIGEST_ANNOTATION, ""))


def pod_digest(pod: KubeObject) -> str:
    return str((pod["metadata"].get("annotations") or {}).get(DIGEST_ANNOTATION, ""))


def is_leaving(pod: KubeObject) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def is_ready(pod: KubeObject) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions(pod))


def conditions(item: KubeObject) -> list[dict[str, Any]]:
    return item.get("status", {}).get("conditions") or []


def condition(item: KubeObject, kind: str) -> dict[str, Any] | None:
    return next((found for found in conditions(item) if found["type"] == kind), None)


def event_time(event: KubeObject) -> str:
    """The last time that an event was seen, as RFC 3339 text, which sorts by time."""
    series = event.get("series") or {}
    times = (
        event.get("lastTimestamp"),
        series.get("lastObservedTime"),
        event.get("eventTime"),
        event.get("firstTimestamp"),
    )
    return max((str(time)[:19] for time in times if time), default="")


def containers(pod: KubeObject) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(spec, status) of each container that the kubelet has told of, init containers first."""
    for specs, statuses in (("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")):
        by_name = {status["name"]: status for status in pod.get("status", {}).get(statuses) or ()}
        for spec in pod.get("spec", {}).get(specs) or ():
            if spec["name"] in by_name:
                yield spec, by_name[spec["name"]]
