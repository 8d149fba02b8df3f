"""The objects that a cluster stack holds, the types that make them, and their names in Pulumi's official plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from portable.errors import Problem
from portable.events import Emit

Inputs: TypeAlias = dict[str, Any]
Outputs: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Diff:
    """`changes`: properties that differ. `replaces`: those of them that need a new object (made before or after deletion)."""

    changes: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    delete_before_replace: bool = False


@runtime_checkable
class ResourceType(Protocol):
    """One kind of cloud object. Never imports Pulumi; `portable.engine.host` serves it. All calls may block.

    Every method is idempotent: `create` that finds what an earlier, interrupted `create` made goes on with it.
    `read` returns None when the object is gone. Inputs and outputs are JSON values; names of secret outputs are listed.
    What a `create` left that did not finish is created again, or deleted: `delete` then gets the input `name` as the id and
    the inputs as outputs.
    """

    secret_outputs: tuple[str, ...]

    def check(self, inputs: Inputs) -> Sequence[Problem]: ...
    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff: ...
    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]: ...
    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None: ...
    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs: ...
    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None: ...


@dataclass(frozen=True)
class ClusterResource:
    """One resource of the cluster stack. `type` is "portable:CLOUD:Name"; a value may be a `Ref` to another's output.

    `note` is what `plan` says of it: a choice that costs money, with its price and the date of that price.
    """

    type: str
    name: str
    inputs: Mapping[str, Any]
    depends_on: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Ref:
    """An output of another resource of the same cluster stack, used as an input."""

    resource: str
    output: str


def references(value: Any) -> tuple[str, ...]:
    """The names of the resources that inputs, or a part of them, refer to."""
    if isinstance(value, Ref):
        return (value.resource,)
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, list | tuple):
        return tuple(dict.fromkeys(name for entry in value for name in references(entry)))
    return ()


def resolved(value: Any, outputs: Mapping[str, Mapping[str, Any]]) -> Any:
    """Inputs, or a part of them, with the outputs of the resources that they refer to; None for one that is not there."""
    if isinstance(value, Ref):
        return outputs.get(value.resource, {}).get(value.output)
    if isinstance(value, Mapping):
        return {key: resolved(entry, outputs) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [resolved(entry, outputs) for entry in value]
    return value


@dataclass(frozen=True)
class NativeResource:
    """A cloud object as Pulumi's official plugin of that cloud names it: what `pulumi import` takes."""

    type: str
    name: str
    id: str


@runtime_checkable
class NativeResources(Protocol):
    """Optional: the cluster's resources are known to the cloud's official Pulumi plugin, by types and ids of its own."""

    def native_resources(self, type: str, name: str, inputs: Inputs, outputs: Outputs) -> Sequence[NativeResource]:
        """The official objects that one resource of the cluster stack stands for; none: what it is no plugin keeps. Pure."""
        ...
