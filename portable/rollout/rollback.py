"""What to apply to go back: pure.

The flow applies `Rollback.objects` with the engine (superseded: keep), so that cluster and state agree, and waits for what
is `restored`. What failed gets its objects of the last good revision. What waited for it (`after`) was never
applied, and stays at its own last good version too. What has no good version is left as it is, to be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from portable.compile.objects import CompiledWorkload, Item, Objects, logical_name
from portable.rollout.revisions import Revision


@dataclass(frozen=True)
class Rollback:
    """`restored`: workloads that go back to `revision`. `left`: workloads without a good version. `message` says so in words."""

    revision: int
    objects: Objects
    restored: tuple[str, ...]
    left: tuple[str, ...]
    message: str


def roll_back(objects: Objects, failed: Iterable[str], previous: Revision | None) -> Rollback | None:
    """The objects that put the last good version of `failed` (workload names) back; None where there is none to go back to.

    Only workloads whose `onFailure` is rollback go back. `previous` is `revisions.last_good(...)`.
    """
    causes = [name for name in failed if objects.workloads[name].on_failure == "rollback"]
    if previous is None or not previous.complete or not causes:
        return None
    affected = _with_dependents(causes, objects.workloads)
    restored = tuple(name for name in affected if name in previous.workloads)
    left = tuple(name for name in affected if name not in previous.workloads)
    if not restored:
        return None
    kept = [item for item in objects.items if item.workload not in affected]
    back = [item for item in previous.items if item.workload in restored]
    have = {logical_name(item.manifest) for item in (*kept, *back)}
    config = [
        item
        for item in previous.items
        if item.workload is None and logical_name(item.manifest) in _config_names(back) - have
    ]
    names = have | {logical_name(item.manifest) for item in config}
    names |= {logical_name(secret.manifest) for secret in objects.generated}
    items = tuple(_only_known(item, names) for item in (*_namespaces(kept), *config, *_others(kept), *back))
    workloads = {name: found for name, found in objects.workloads.items() if name not in affected}
    workloads |= {name: previous.workloads[name] for name in restored}
    workloads = {name: _only_after(found, workloads) for name, found in workloads.items()}
    mixed = replace(objects, items=items, workloads=workloads)
    return Rollback(previous.number, mixed, restored, left, _message(previous.number, restored, left))


def left_as_it_is(objects: Objects, failed: Iterable[str], previous: Revision | None) -> str:
    """For the user, where `roll_back` returned None: because the spec says so, or for want of a good revision."""
    failed = tuple(failed)
    stopped = [name for name in failed if objects.workloads[name].on_failure == "stop"]
    if stopped and previous is not None and not set(failed) - set(stopped):
        return f"{', '.join(stopped)} left as it is, as rollout.onFailure: stop says; correct it and run `portable up` again"
    return nothing_to_go_back_to(failed)


def nothing_to_go_back_to(failed: Iterable[str]) -> str:
    """For the user, where there is no good revision."""
    return f"no earlier version of {', '.join(failed)} was ever ready: left as it is, to be looked at"


def _with_dependents(failed: Iterable[str], workloads: Mapping[str, CompiledWorkload]) -> tuple[str, ...]:
    """`failed` and whatever waits for them, directly or not, in the order of `workloads`."""
    affected = set(failed)
    while more := {name for name, found in workloads.items() if name not in affected and affected & found.after.keys()}:
        affected |= more
    return tuple(name for name in workloads if name in affected)


def _config_names(items: Iterable[Item]) -> set[str]:
    """Logical names of the ConfigMaps that the items' pod templates use."""
    return {f"ConfigMap/{name}" for item in items for name in _config_references(item.manifest)}


def _config_references(value: Any) -> Iterator[str]:
    """Names in `configMap`, `configMapRef` and `configMapKeyRef`, wherever they stand."""
    if isinstance(value, dict):
        for key, below in value.items():
            if key in ("configMap", "configMapRef", "configMapKeyRef") and isinstance(below, dict) and "name" in below:
                yield below["name"]
            else:
                yield from _config_references(below)
    elif isinstance(value, list):
        for below in value:
            yield from _config_references(below)


def _namespaces(items: Iterable[Item]) -> list[Item]:
    return [item for item in items if item.manifest["kind"] == "Namespace"]


def _others(items: Iterable[Item]) -> list[Item]:
    return [item for item in items if item.manifest["kind"] != "Namespace"]


def _only_known(item: Item, names: set[str]) -> Item:
    """An edge to an object that is no longer part of it would never be met."""
    return replace(item, depends_on=tuple(name for name in item.depends_on if name in names))


def _only_after(workload: CompiledWorkload, known: Mapping[str, CompiledWorkload]) -> CompiledWorkload:
    return replace(workload, after={name: state for name, state in workload.after.items() if name in known})


def _message(revision: int, restored: tuple[str, ...], left: tuple[str, ...]) -> str:
    back = f"{', '.join(restored)} back at revision {revision}"
    return f"{back}; {nothing_to_go_back_to(left)}" if left else back
