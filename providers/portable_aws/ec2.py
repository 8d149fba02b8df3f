"""What all EC2 objects of a cluster have in common: found by their tags, made once, put right, taken down in order.

EC2 gives most of its creations no client token, so the tags that are written with the creation are what they are found by.
inputs   name (of the resource in its stack), cluster, region, and what the kind asks for
outputs  name, cluster, region, id, and what the kind says of the live object
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from portable.errors import Problem, ProviderError
from portable.events import Emit
from portable.polling import Pending
from portable.provider import Diff, Inputs, Outputs
from portable_aws.session import RESOURCE_TAG, STACK_TAG, Sdk, as_dict, as_list, stack_tag, tags_of
from portable_aws.words import code_of, explained, is_gone, made_once, message_of, when_known

# Removing waits for what lets go in its own time: network interfaces of a load balancer or a node take minutes.
REMOVE_SECONDS = 900.0
_HELD = {
    "DependencyViolation",
    "InvalidIPAddress.InUse",
    "InvalidNetworkInterface.InUse",
    "DeleteConflict",
    "ResourceInUse",
}
# An address that is still mapped is refused with this word, which elsewhere means credentials.
_HELD_ADDRESS = "AuthFailure"

Raw = dict[str, Any]


class Kind(Protocol):
    """One kind of EC2 object. `id` and `id_filter`: the key and the filter of its id; `type`: as tags are specified for it."""

    noun: str
    type: str
    id: str
    id_filter: str

    def list(self, ec2: Any, filters: Sequence[Raw]) -> Sequence[Raw]:
        """Those that exist; what is being deleted does not."""
        ...

    def make(self, ec2: Any, inputs: Inputs, tags: Sequence[Raw]) -> Raw: ...

    def settle(self, sdk: Sdk, inputs: Inputs, found: Raw, emit: Emit) -> None:
        """Puts right what can be changed; does nothing where all is right."""
        ...

    def outputs(self, sdk: Sdk, region: str, found: Raw) -> Outputs: ...

    def wrong(self, inputs: Inputs, outputs: Outputs) -> tuple[str, ...]:
        """Inputs that the live object does not follow and `settle` can mend."""
        ...

    def remove(self, sdk: Sdk, region: str, found: Raw) -> None: ...


class Ec2Object:
    """A `ResourceType` of one kind."""

    secret_outputs: tuple[str, ...] = ()

    def __init__(self, sdk: Sdk, kind: Kind) -> None:
        self._sdk = sdk
        self._kind = kind

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        require_same_place(outputs, new)
        wrong = list(self._kind.wrong(new, outputs))
        if outputs.get("tags") is False:
            wrong.append("tags")
        return Diff(changes=tuple(wrong))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        with explained(self._sdk):
            tags = as_list(_tags(inputs))
            once = self._sdk.client("ec2", inputs["region"], once=True)
            sleep = self._sdk.sleep

            def make() -> Raw:
                return when_known(lambda: self._kind.make(once, inputs, tags), sleep)

            found = made_once(lambda: self._tagged(inputs), make, sleep)
            outputs = when_known(lambda: self._settled(inputs, found[self._kind.id], found, emit), sleep)
            return outputs["id"], outputs

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        with explained(self._sdk):
            found = self._by_id(inputs["region"], outputs.get("id") or object_id)
            return None if found is None else self._outputs(inputs, found)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        with explained(self._sdk):
            found = self._by_id(new["region"], outputs["id"])
            if found is None:
                raise ProviderError(f"the {self._kind.noun} {object_id} is gone", fix="run the same command again")
            return self._settled(new, outputs["id"], found, emit)

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        with explained(self._sdk):
            found = self._by_id(outputs["region"], outputs["id"]) if outputs.get("id") else self._tagged(outputs)
            if found is not None:
                words = f"the {self._kind.noun} {found[self._kind.id]}"
                remove_held(self._sdk, lambda: self._kind.remove(self._sdk, outputs["region"], found), words, emit)

    def _settled(self, inputs: Inputs, object_id: str, found: Raw, emit: Emit) -> Outputs:
        missing = _missing_tags(inputs, found)
        if missing:
            self._sdk.ec2(inputs["region"]).create_tags(Resources=[object_id], Tags=as_list(missing))
        self._kind.settle(self._sdk, inputs, found, emit)
        return self._outputs(inputs, self._by_id(inputs["region"], object_id) or found)

    def _outputs(self, inputs: Inputs, found: Raw) -> Outputs:
        common = {key: inputs[key] for key in ("name", "cluster", "region")}
        live = self._kind.outputs(self._sdk, inputs["region"], found)
        return {**common, "id": found[self._kind.id], "tags": not _missing_tags(inputs, found), **live}

    def _by_id(self, region: str, object_id: str) -> Raw | None:
        return self._first(region, [{"Name": self._kind.id_filter, "Values": [object_id]}])

    def _tagged(self, inputs: Inputs) -> Raw | None:
        return self._first(inputs["region"], tag_filters(inputs["cluster"], inputs["name"]))

    def _first(self, region: str, filters: Sequence[Raw]) -> Raw | None:
        found = self._kind.list(self._sdk.ec2(region), filters)
        return min(found, key=lambda entry: entry[self._kind.id], default=None)


def tag_filters(cluster: str, resource: str = "") -> list[Raw]:
    filters = [{"Name": f"tag:{STACK_TAG}", "Values": [stack_tag(cluster)]}]
    return [*filters, {"Name": f"tag:{RESOURCE_TAG}", "Values": [resource]}] if resource else filters


def specification(kind: str, tags: Sequence[Raw]) -> list[Raw]:
    return [{"ResourceType": kind, "Tags": list(tags)}]


def require_same_place(outputs: Outputs, new: Inputs) -> None:
    """Another region would be another cluster. Raises ProviderError."""
    if outputs.get("region") != new.get("region"):
        cluster = new.get("cluster") or new.get("name")
        raise ProviderError(
            f"the cluster {cluster} is in {outputs.get('region')}, the spec asks for {new.get('region')}: "
            "a cluster cannot move",
            fix="make another cluster under another name (cluster.name) and move the app with `portable migrate`",
        )


def remove_held(
    sdk: Sdk, remove: Callable[[], object], words: str, emit: Emit, *, timeout: float = REMOVE_SECONDS
) -> None:
    """Removes, as often as something else still holds on to it. What is gone is fine."""
    from botocore.exceptions import ClientError

    def attempt() -> bool | Pending:
        try:
            remove()
        except ClientError as error:
            code = code_of(error)
            if is_gone(error):
                return True
            if code in _HELD or (code == _HELD_ADDRESS and "in use" in message_of(error)):
                return Pending(f"still in use ({message_of(error)})")
            raise
        return True

    sdk.wait(attempt, what=f"removing {words}", timeout=timeout, emit=emit)


def _tags(inputs: Inputs) -> dict[str, str]:
    return {**tags_of(inputs["cluster"], inputs["name"]), **inputs.get("tags", {})}


def _missing_tags(inputs: Inputs, found: Raw) -> dict[str, str]:
    live = as_dict(found.get("Tags"))
    return {key: value for key, value in _tags(inputs).items() if live.get(key) != value}
