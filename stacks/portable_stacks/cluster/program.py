"""The cluster stack: a Pulumi program with one resource for each cloud object of a cluster. Run inline by `portable.engine`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pulumi

from portable.engine.types import ID_OUTPUT
from portable.provider import ClusterResource, Ref


def program(resources: Sequence[ClusterResource], exports: Mapping[str, str]) -> Callable[[], None]:
    """The program that holds `resources`; each comes after those that it refers to or depends on. `exports` stay in the state
    once all are there."""

    def run() -> None:
        made: dict[str, pulumi.CustomResource] = {}
        read = _outputs_read(resources)
        for resource in resources:
            outputs = dict.fromkeys(read.get(resource.name, ()))
            inputs = {key: _resolved(value, made) for key, value in resource.inputs.items()}
            options = pulumi.ResourceOptions(depends_on=[made[name] for name in resource.depends_on])
            made[resource.name] = pulumi.CustomResource(resource.type, resource.name, {**outputs, **inputs}, options)
        for name, value in exports.items():
            pulumi.export(name, value)

    return run


def _outputs_read(resources: Sequence[ClusterResource]) -> dict[str, list[str]]:
    """resource -> those of its outputs that others take as inputs (the SDK hands out only outputs that were declared)."""
    found: dict[str, list[str]] = {}

    def search(value: Any) -> None:
        if isinstance(value, Ref):
            found.setdefault(value.resource, []).append(_name(value))
        elif isinstance(value, Mapping):
            for entry in value.values():
                search(entry)
        elif isinstance(value, (list, tuple)):
            for entry in value:
                search(entry)

    for resource in resources:
        search(resource.inputs)
    return found


def _name(ref: Ref) -> str:
    return ID_OUTPUT if ref.output == "id" else ref.output


def _resolved(value: Any, made: Mapping[str, pulumi.CustomResource]) -> Any:
    if isinstance(value, Ref):
        return made[value.resource].__dict__[_name(value)]
    if isinstance(value, Mapping):
        return {key: _resolved(entry, made) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_resolved(entry, made) for entry in value]
    return value
