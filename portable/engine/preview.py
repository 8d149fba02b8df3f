"""An engine run's outcome as the changes that a plan shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from portable.engine.changes import Change, FieldChange
from portable.provider import ClusterResource
from portable_stacks.app.resources import READY, Resource

if TYPE_CHECKING:
    from portable.engine.run import Outcome


def app_creations(resources: Sequence[Resource]) -> tuple[Change, ...]:
    return tuple(
        Change("app", "create", resource.type, resource.name) for resource in resources if _shown(resource.type)
    )


def cluster_creations(resources: Sequence[ClusterResource]) -> tuple[Change, ...]:
    return tuple(Change("cluster", "create", entry.type, entry.name, _literal(entry.inputs)) for entry in resources)


def changes(
    stack: Literal["cluster", "app"], outcome: Outcome, urns: Mapping[str, str], order: Sequence[str]
) -> tuple[Change, ...]:
    """In the program's `order`; what is deleted comes last, by name."""
    place = {name: position for position, name in enumerate(order)}
    found: list[Change] = []
    for operation, token, name in sorted(outcome.steps, key=lambda step: (place.get(step[2], len(place)), step[2])):
        if not _shown(token):
            continue
        diff = outcome.diffs.get(urns.get(name, ""))
        recreated = diff is not None and diff.recreates
        fields = diff.fields if diff is not None and operation != "same" else ()
        found.append(Change(stack, "replace" if recreated else operation, token, name, fields))
    return tuple(found)


def _shown(token: str) -> bool:
    """Gates are our own order of things, no object that a person would look for."""
    return token != READY


def _literal(inputs: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    return tuple(FieldChange(key, None, value) for key, value in inputs.items() if isinstance(value, str | int | float))
