"""`history`: every revision that was applied, and in words what each changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from portable.compile.app import containers, pod_template
from portable.compile.names import IMAGE_ANNOTATION, SECRET_ANNOTATION
from portable.compile.objects import logical_name
from portable.provider import KubeObject
from portable.rollout import revisions
from portable.rollout.revisions import Operation, Revision, RevisionStatus
from portable.target import Request, compile_target, connect, open_target

# What is said of a workload's own words, not as an object that changed.
_TOLD = ("Deployment", "StatefulSet", "Job", "CronJob", "HorizontalPodAutoscaler", "ConfigMap")


@dataclass(frozen=True)
class Entry:
    """One revision. `changes`: against the one before it that is kept. `images`: workload -> images. `at` RFC 3339.

    `running`: it is what runs: the last one, or where that failed the last good one before it.
    """

    number: int
    at: str
    by: str
    action: str
    status: RevisionStatus
    outcome: str
    digest: str
    changes: tuple[str, ...]
    images: Mapping[str, tuple[str, ...]]
    operations: tuple[Operation, ...]
    running: bool


def history(request: Request) -> list[Entry]:
    """Oldest first. Raises ClusterGone where there is no cluster."""
    target = open_target(request, images=False)
    with connect(target) as kube:
        return entries(revisions.revisions(kube, compile_target(target).namespace))


def entries(kept: list[Revision]) -> list[Entry]:
    running = max((revision.number for revision in kept if revision.status == "good"), default=0)
    first = [_entry(kept[0], ("the first that is kept",), running)] if kept else []
    return first + [_entry(after, tuple(changes(before, after)), running) for before, after in pairwise(kept)]


def changes(before: Revision, after: Revision) -> Iterator[str]:
    """What differs, in words; the values of variables stay out of it."""
    old, new = before.workloads, after.workloads
    yield from (f"{name} added" for name in new if name not in old)
    yield from (f"{name} removed" for name in old if name not in new)
    was, now = _by_workload(before), _by_workload(after)
    for name in new:
        if name in old:
            yield from (f"{name}: {words}" for words in _workload(was.get(name, {}), now.get(name, {})))
    yield from _others(before, after)
    if before.cluster_digest != after.cluster_digest:
        yield "the cluster"
    if before.cluster_uid != after.cluster_uid:
        yield "on another cluster"


def _entry(revision: Revision, words: tuple[str, ...], running: int) -> Entry:
    return Entry(
        number=revision.number,
        at=revision.at,
        by=revision.by,
        action=revision.action,
        status=revision.status,
        outcome=revision.outcome,
        digest=(revision.objects_digest or revision.spec_digest)[:12],
        changes=words if revision.complete else ("too large to be kept whole",),
        images={name: workload.images for name, workload in revision.workloads.items()},
        operations=revision.operations,
        running=revision.number == running,
    )


def _by_workload(revision: Revision) -> dict[str, dict[str, KubeObject]]:
    """workload -> kind -> manifest, of the kinds that there is one of."""
    found: dict[str, dict[str, KubeObject]] = {}
    for item in revision.items:
        if item.workload is not None and item.manifest["kind"] in _TOLD:
            found.setdefault(item.workload, {})[item.manifest["kind"]] = item.manifest
    return found


def _workload(old: Mapping[str, KubeObject], new: Mapping[str, KubeObject]) -> Iterator[str]:
    before, after = _controller(old), _controller(new)
    if before is None or after is None:
        return
    if before["kind"] != after["kind"]:
        yield f"{before['kind']} => {after['kind']}"
    counts = _count(old, before), _count(new, after)
    if counts[0] != counts[1]:
        yield f"replicas {counts[0]} => {counts[1]}"
    was, now = pod_template(before), pod_template(after)
    if was is None or now is None or was == now:
        return
    told = list(_containers(was, now))
    told += [f"new value of {name}" for name in _annotated(was, now, SECRET_ANNOTATION)]
    yield from told or ["pod settings"]


def _containers(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    old = {container["name"]: container for container in containers(was["spec"])}
    rebuilt = _annotated(was, now, IMAGE_ANNOTATION)
    for container in containers(now["spec"]):
        name, before = container["name"], old.pop(container["name"], None)
        if before is None:
            yield f"container {name} added"
            continue
        if before["image"] != container["image"]:
            yield f"image {before['image']} => {container['image']}"
        elif name in rebuilt:
            yield f"image {container['image']} built anew"
        yield from _variables(before, container)
        rest = ("args", "command", "resources", "livenessProbe", "readinessProbe", "startupProbe")
        yield from (f"{key} of {name}" for key in rest if before.get(key) != container.get(key))
    yield from (f"container {name} removed" for name in old)
    if _files(was) != _files(now):
        yield "files"


def _variables(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = ({entry["name"]: entry for entry in each.get("env", ())} for each in (before, after))
    changed = [name for name in new if name in old and old[name] != new[name]]
    for word, names in (
        ("", changed),
        (" added", [n for n in new if n not in old]),
        (" removed", [n for n in old if n not in new]),
    ):
        if names:
            yield f"{'variable' if len(names) == 1 else 'variables'} {', '.join(names)}{word}"


def _annotated(was: Mapping[str, Any], now: Mapping[str, Any], prefix: str) -> list[str]:
    """Names under `prefix` whose annotation is there on both sides and differs."""
    old, new = (template["metadata"].get("annotations", {}) for template in (was, now))
    return [key.removeprefix(prefix) for key in new if key.startswith(prefix) and old.get(key, new[key]) != new[key]]


def _files(template: Mapping[str, Any]) -> list[Any]:
    return [each for each in template["spec"].get("volumes", ()) if "configMap" in each or "secret" in each]


def _controller(found: Mapping[str, KubeObject]) -> KubeObject | None:
    return next((found[kind] for kind in ("Deployment", "StatefulSet", "Job", "CronJob") if kind in found), None)


def _count(found: Mapping[str, KubeObject], controller: KubeObject) -> str:
    if (scaler := found.get("HorizontalPodAutoscaler")) is not None:
        return f"{scaler['spec'].get('minReplicas', 1)} to {scaler['spec']['maxReplicas']}"
    return str(controller["spec"].get("replicas", 1)) if controller["kind"] in ("Deployment", "StatefulSet") else ""


def _others(before: Revision, after: Revision) -> Iterator[str]:
    """Objects that no workload's words have told of: Services, routes, volumes, policies."""
    shared = set(before.workloads) & set(after.workloads)

    def others(revision: Revision) -> dict[str, KubeObject]:
        return {
            logical_name(item.manifest): item.manifest
            for item in revision.items
            if item.manifest["kind"] not in _TOLD and (item.workload is None or item.workload in shared)
        }

    old, new = others(before), others(after)
    yield from (f"{name} added" for name in new if name not in old)
    yield from (f"{name} removed" for name in old if name not in new)
    yield from (f"{name} changed" for name in new if name in old and old[name] != new[name])
