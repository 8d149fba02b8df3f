"""An app at zero: the compiled objects as they are before anything of the app runs. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace

from portable.compile.objects import Item, Objects, logical_name

# Made again by the `up` that starts the app; a job would run at once, and an autoscaler has nothing to scale.
_LEFT_OUT = ("Job", "HorizontalPodAutoscaler")


def asleep(objects: Objects) -> Objects:
    """`objects` with no pod: controllers at zero, cron jobs suspended, jobs and autoscalers left out. Nothing waits for another."""
    items = [_asleep(item) for item in objects.items if item.manifest["kind"] not in _LEFT_OUT]
    return _consistent(objects, items)


def rehearsing(objects: Objects) -> Objects:
    """`objects` with cron jobs suspended: the app beside its source must do nothing by the clock."""
    items = [_asleep(item) if item.manifest["kind"] == "CronJob" else item for item in objects.items]
    return replace(objects, items=tuple(items))


def _asleep(item: Item) -> Item:
    kind = item.manifest["kind"]
    change: Mapping[str, object] = {}
    if kind in ("Deployment", "StatefulSet"):
        change = {"replicas": 0}
    elif kind == "CronJob":
        change = {"suspend": True}
    if not change:
        return item
    manifest = copy.deepcopy(item.manifest)
    manifest["spec"] |= change
    return replace(item, manifest=manifest)


def _consistent(objects: Objects, items: list[Item]) -> Objects:
    """Without edges to what was left out, and without gates between workloads."""
    names = {logical_name(item.manifest) for item in items}
    names |= {logical_name(secret.manifest) for secret in objects.generated}
    kept = tuple(replace(item, depends_on=tuple(name for name in item.depends_on if name in names)) for item in items)
    present = {item.workload for item in items if item.manifest["kind"] in ("Deployment", "StatefulSet", "CronJob")}
    workloads = {name: replace(found, after={}) for name, found in objects.workloads.items() if name in present}
    return replace(objects, items=kept, workloads=workloads)
