"""portable:azure:ResourceGroup.

inputs   name, location, subscription, owner (value of the stack tag), data (True: it is kept while something is in it)
outputs  these and id
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portable.errors import Problem
from portable.events import Emit, Notice
from portable.provider import Diff, Inputs, Outputs
from portable_azure import names, operations, scope
from portable_azure.failures import told
from portable_azure.session import Session


class ResourceGroup:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, session: Session) -> None:
        self._session = session

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        scope.stay(outputs, new)
        return Diff(changes=("owner",) if outputs.get("owner") != new["owner"] else ())

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        name = inputs["name"]
        with told(f"making the resource group {name}"):
            live = self._live(name)
            if live is not None:
                scope.refuse_foreign(live, inputs["owner"], f"a resource group {name}")
                scope.stay({"location": live["location"]}, inputs)
            live = self._put(inputs)
        return live["id"], _outputs(inputs, live)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        scope.at_home(self._session.subscription, outputs)
        with told(f"looking at the resource group {outputs['name']}"):
            live = self._live(outputs["name"])
        return None if live is None else _outputs(outputs, live)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        with told(f"changing the resource group {new['name']}"):
            return _outputs(new, self._put(new))

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        """What is not ours to delete keeps its group: kept disks, and what a user has put into it."""
        scope.at_home(self._session.subscription, outputs)
        name = outputs["name"]
        with told(f"deleting the resource group {name}"):
            live = self._live(name)
            if live is None or not scope.ours(live, outputs["owner"]):
                return
            inside = [] if _going(live) else self._inside(name)
            if inside:
                what = ", ".join(sorted(inside))
                emit(Notice(f"the resource group {name} stays, since these are in it: {what}"))
                return
            delete_group(self._session, name, emit)

    def _live(self, name: str) -> dict[str, Any] | None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return self._session.resources.resource_groups.get(name).as_dict()
        except ResourceNotFoundError:
            return None

    def _put(self, inputs: Inputs) -> dict[str, Any]:
        wanted = {"location": inputs["location"], "tags": {names.STACK_TAG: inputs["owner"]}}
        return self._session.resources.resource_groups.create_or_update(inputs["name"], wanted).as_dict()

    def _inside(self, name: str) -> list[str]:
        found = self._session.resources.resources.list_by_resource_group(name)
        return [f"{str(entry.type).rpartition('/')[2]} {entry.name}" for entry in found]


def delete_group(session: Session, name: str, emit: Emit) -> None:
    """Deletes it with all that is in it; fine where it is gone. Raises the SDK's errors."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        operations.finish(
            session,
            lambda **resumed: session.resources.resource_groups.begin_delete(name, **resumed),
            what=f"deleting the resource group {name}",
            emit=emit,
            usual="1-3 min",
        )
    except ResourceNotFoundError:
        return


def _going(live: dict[str, Any]) -> bool:
    return (live.get("properties") or {}).get("provisioningState") == "Deleting"


def _outputs(inputs: Inputs, live: dict[str, Any]) -> Outputs:
    owner = (live.get("tags") or {}).get(names.STACK_TAG, "")
    return {**inputs, "id": live["id"], "location": names.location(live["location"]), "owner": owner}
