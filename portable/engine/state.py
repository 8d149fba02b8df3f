"""A stack's state as Pulumi keeps it: read, judged, mended after a crash. The document is `pulumi stack export`'s.

Format: https://github.com/pulumi/pulumi/blob/master/sdk/go/common/apitype/core.go (DeploymentV3)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from portable.engine.changes import SECRET
from portable.engine.clouds import pulumi_id, unfinished
from portable.engine.kubernetes import object_id, sent

Deployment: TypeAlias = dict[str, Any]

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"


@dataclass(frozen=True)
class StackState:
    """What is known of a stack without running the engine.

    `serial` changes with every write of the state. `complete`: the last operation ended well. `pending` are the URNs that it
    was working on when it broke off. `resources` maps the logical name of each resource ("Deployment/api") to a digest of
    its inputs; `outputs` to its outputs, secrets hidden.
    """

    stack: str
    serial: str
    complete: bool
    pending: tuple[str, ...] = ()
    resources: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)


def stack_state(stack: str, deployment: Deployment, *, marked: bool) -> StackState:
    """`marked`: an operation of this machine began and has not ended."""
    own = own_resources(deployment)
    pending = tuple(operation["resource"]["urn"] for operation in deployment.get("pending_operations") or ())
    return StackState(
        stack=stack,
        serial=_digest(deployment),
        complete=not marked and not pending and not any(resource.get("initErrors") for resource in own),
        pending=pending,
        resources={name_of(resource["urn"]): _digest(resource.get("inputs", {})) for resource in own},
        outputs={name_of(resource["urn"]): _visible(resource.get("outputs", {})) for resource in own},
    )


def own_resources(deployment: Deployment) -> list[dict[str, Any]]:
    """The resources that are objects: without the stack itself and Pulumi's providers."""
    return [resource for resource in deployment.get("resources") or () if not resource["type"].startswith("pulumi:")]


@dataclass(frozen=True)
class Recorded:
    """A resource as the state has it, secrets hidden. `depends_on` are logical names; `kept`: not deleted with the stack."""

    type: str
    name: str
    id: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    depends_on: tuple[str, ...] = ()
    kept: bool = False


def recorded(deployment: Deployment) -> tuple[Recorded, ...]:
    """In the state's order: each after those that it depends on."""
    return tuple(
        Recorded(
            type=resource["type"],
            name=name_of(resource["urn"]),
            id=resource.get("id", ""),
            inputs=_visible(resource.get("inputs", {})),
            outputs=_visible(resource.get("outputs", {})),
            depends_on=tuple(name_of(urn) for urn in resource.get("dependencies") or ()),
            kept=bool(resource.get("retainOnDelete")),
        )
        for resource in own_resources(deployment)
    )


def stack_outputs(deployment: Deployment) -> dict[str, Any]:
    """What the program exported."""
    stack = (entry for entry in deployment.get("resources") or () if entry["type"] == "pulumi:pulumi:Stack")
    return next(stack, {}).get("outputs") or {}


def name_of(urn: str) -> str:
    return urn.split("::", 3)[3]


def type_of(urn: str) -> str:
    return urn.split("::", 3)[2].rpartition("$")[2]


def mended(deployment: Deployment, named: Collection[str]) -> Deployment | None:
    """The document without pending operations, or None where there are none.

    A creation that broke off may or may not have made its object. What the coming operation names (`named` URNs) it will
    create again, which finds the object; the rest is taken into the state as if made, so that it is deleted. Broken-off
    updates and deletions leave the old record, which the next comparison or deletion corrects.
    """
    pending = deployment.get("pending_operations") or []
    if not pending:
        return None
    resources: list[dict[str, Any]] = list(deployment.get("resources") or ())
    known = {resource["urn"] for resource in resources}
    for operation in pending:
        resource = operation["resource"]
        if operation["type"] == "creating" and resource["urn"] not in known | set(named):
            resources.append(_as_made(resource))
            known.add(resource["urn"])
    return {**deployment, "resources": resources, "pending_operations": []}


def without(deployment: Deployment, gone: Callable[[dict[str, Any]], bool]) -> Deployment:
    """The document without the resources for which `gone` is true, and without references to them."""
    resources = [resource for resource in deployment.get("resources") or () if not gone(resource)]
    left = {resource["urn"] for resource in resources}
    return {**deployment, "resources": [_detached(entry, left) for entry in resources], "pending_operations": []}


def _as_made(resource: dict[str, Any]) -> dict[str, Any]:
    inputs = resource.get("inputs", {})
    if resource["type"].startswith("kubernetes:"):
        return {**resource, "id": object_id(sent(inputs)), "outputs": inputs}
    return {**resource, "id": pulumi_id(inputs), "outputs": unfinished(inputs)}


def _detached(resource: dict[str, Any], left: Collection[str]) -> dict[str, Any]:
    kept = dict(resource)
    if "dependencies" in kept:
        kept["dependencies"] = [urn for urn in kept["dependencies"] if urn in left]
    if "propertyDependencies" in kept:
        dependencies: Mapping[str, Sequence[str] | None] = kept["propertyDependencies"]
        kept["propertyDependencies"] = {
            key: [urn for urn in urns or () if urn in left] for key, urns in dependencies.items()
        }
    return kept


def _visible(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET_SIGNATURE:
            return SECRET
        return {key: _visible(entry) for key, entry in value.items() if not key.startswith("__")}
    return [_visible(entry) for entry in value] if isinstance(value, list) else value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
