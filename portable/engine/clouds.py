"""A plugin's resource type, made safe to interrupt: what a broken-off creation left is remembered, carried on with or removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portable.engine.types import ID_OUTPUT, UNKNOWN, FieldDiff
from portable.errors import Problem
from portable.events import Emit
from portable.provider import Diff, Inputs, Outputs, ResourceType

# The plugin's own id is kept beside the outputs, since Pulumi's cannot change once a creation has failed half-way.
ID = "__id"


class Unfinished(Exception):
    """A creation that broke off: `outputs` go into the state, so that the next `up` carries on and `destroy` cleans up."""

    def __init__(self, object_id: str, outputs: Outputs) -> None:
        super().__init__("the creation did not finish")
        self.object_id = object_id
        self.outputs = outputs


class Resumable:
    """Serves `inner`. An unfinished object is created again (plugins go on with what they find), or deleted by its name.

    In a preview, what is not known yet is None for `check` and `diff`.
    """

    interruptible = True

    def __init__(self, inner: ResourceType) -> None:
        self._inner = inner

    def secret_outputs_of(self, inputs: Inputs) -> tuple[str, ...]:
        return tuple(self._inner.secret_outputs)

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return self._inner.check(_known(inputs))

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        if not outputs.get(ID):
            return FieldDiff(changes=(ID,))
        return self._inner.diff(outputs[ID], _plain(outputs), old, _known(new))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        try:
            inner_id, outputs = self._inner.create(inputs, emit)
        except Exception as error:
            raise Unfinished(pulumi_id(inputs), unfinished(inputs)) from error
        return pulumi_id(inputs), _kept(outputs, inner_id)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        if not outputs.get(ID):
            return outputs
        found = self._inner.read(outputs[ID], inputs, _plain(outputs))
        return None if found is None else _kept(found, outputs[ID])

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        if not outputs.get(ID):
            inner_id, made = self._inner.create(new, emit)
            return _kept(made, inner_id)
        return _kept(self._inner.update(outputs[ID], _plain(outputs), old, new, emit), outputs[ID])

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        self._inner.delete(outputs.get(ID) or object_id, _plain(outputs), emit)


def pulumi_id(inputs: Inputs) -> str:
    return str(inputs.get("name") or "unnamed")


def unfinished(inputs: Inputs) -> Outputs:
    """The outputs of an object whose creation began and did not end: its inputs, without an id."""
    return {**inputs, ID: ""}


def _known(value: Any) -> Any:
    """With None for what is not known yet."""
    if isinstance(value, dict):
        return {key: _known(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_known(entry) for entry in value]
    return None if value == UNKNOWN else value


def _kept(outputs: Outputs, inner_id: str) -> Outputs:
    """A plugin's outputs as they stand in the state."""
    named = {ID_OUTPUT: outputs["id"]} if "id" in outputs else {}
    return {**outputs, **named, ID: inner_id}


def _plain(outputs: Outputs) -> Outputs:
    return {key: value for key, value in outputs.items() if not key.startswith("__") and key != ID_OUTPUT}
