"""The types of package `portable` that the engine itself serves, and what a type may offer beyond the plugin protocol."""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from portable.engine.changes import FieldChange, field_changes
from portable.errors import Problem
from portable.events import Emit
from portable.kube import Kube
from portable.provider import Diff, Inputs, Outputs

# How Pulumi writes a value that is not known before an operation: sdk/go/common/resource/plugin/rpc.go
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# Pulumi keeps the name `id` for its own: an output that a plugin calls so is handed to other resources under this one.
ID_OUTPUT = "idOutput"

PASSWORD_LENGTH = 32
# URL-safe without escaping, and no character that a shell or a connection string reads in its own way
_ALPHABET = string.ascii_letters + string.digits + "-_"

Values: TypeAlias = Mapping[str, Mapping[str, str]]
Wait: TypeAlias = Callable[[str, Literal["ready", "complete"]], None]


@dataclass(frozen=True)
class FieldDiff(Diff):
    """A diff that knows its fields. `recreates`: the object is deleted and made anew inside the update."""

    fields: tuple[FieldChange, ...] = ()
    recreates: bool = False


class Served(Protocol):
    """`portable.provider.ResourceType`, but for its list of secret outputs: what the host serves."""

    def check(self, inputs: Inputs) -> Sequence[Problem]: ...
    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff: ...
    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]: ...
    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None: ...
    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs: ...
    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None: ...


class Credential:
    """Values made once: `keys` of inputs -> 32 random characters each, the secret output `values`.

    A key that comes later gets a value of its own, the others stay. Where the state was lost but the Secret is still in the
    cluster, its values are taken over: a database may have been initialised with them.

    `rotated`: the name of a Secret -> key -> the value that takes the place of what was made.
    """

    secret_outputs = ("values",)

    def __init__(self, kube: Kube | None, rotated: Values | None = None) -> None:
        self._kube = kube
        self._rotated = rotated or {}

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        known = outputs.get("values", {})
        if any(known.get(key) != value for key, value in self._rotated.get(new["secret"], {}).items()):
            return FieldDiff(changes=("values",))
        missing = [key for key in new["keys"] if key not in known]
        return FieldDiff(changes=("keys",), fields=field_changes(old, new)) if missing or old != new else Diff()

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        return f"{inputs['namespace']}/{inputs['secret']}", self._outputs(inputs, self._live(inputs))

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        return outputs

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        return self._outputs(new, {**outputs.get("values", {}), **self._rotated.get(new["secret"], {})})

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        pass

    def _outputs(self, inputs: Inputs, known: dict[str, str]) -> Outputs:
        return {**inputs, "values": {**known, **{key: known.get(key) or new_password() for key in inputs["keys"]}}}

    def _live(self, inputs: Inputs) -> dict[str, str]:
        secret = self._kube and self._kube.get("v1", "Secret", inputs["secret"], inputs["namespace"])
        data = (secret or {}).get("data") or {}
        return {key: base64.b64decode(data[key]).decode() for key in inputs["keys"] if key in data}


class Ready:
    """A gate: made once the workload of its inputs is `ready` or `complete` at that digest."""

    interruptible = True
    secret_outputs = ()

    def __init__(self, wait: Wait | None) -> None:
        self._wait = wait

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        return FieldDiff(changes=("digest",), fields=field_changes(old, new)) if old != new else Diff()

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        if self._wait is not None:
            self._wait(inputs["workload"], inputs["condition"])
        return inputs["workload"], dict(inputs)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        return outputs

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        return self.create(new, emit)[1]

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        pass


def secret_outputs(served: Any, inputs: Inputs) -> tuple[str, ...]:
    """Names of the outputs that must be encrypted in state."""
    by_inputs = getattr(served, "secret_outputs_of", None)
    return by_inputs(inputs) if by_inputs is not None else tuple(served.secret_outputs)


def new_password() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(PASSWORD_LENGTH))
