"""A driver of resource classes: what the engine does to them, without an engine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from portable.events import Emit, nowhere
from portable.provider import ClusterResource, Diff, Inputs, Outputs, ResourceType, references, resolved


class Stack:
    """One cluster's resources. `state` is a file: name -> {type, id, inputs, outputs, depends_on}; an id "" is unfinished."""

    def __init__(self, types: Mapping[str, ResourceType], state: Path, emit: Emit = nowhere) -> None:
        self._types = types
        self._path = state
        self._emit = emit

    @property
    def state(self) -> dict[str, Any]:
        return json.loads(self._path.read_text()) if self._path.exists() else {}

    def up(self, resources: Sequence[ClusterResource], *, refresh: bool = True) -> list[str]:
        """Makes what is asked for and removes what no longer is; returns "create NAME", "update NAME", "delete NAME", in order."""
        if refresh:
            self.refresh()
        done: list[str] = []
        for resource in ordered(resources):
            inputs = self._resolved(resource)
            kept = self.state.get(resource.name)
            operation = self._operation(resource, inputs, kept)
            if operation is not None:
                done.append(f"{operation} {resource.name}")
        wanted = {resource.name for resource in resources}
        return done + self._delete([name for name in self.state if name not in wanted])

    def preview(self, resources: Sequence[ClusterResource], *, refresh: bool = True) -> dict[str, Diff | None]:
        """name -> what would change (None: it would be created), of everything that would. Outputs that are unknown yet are left out."""
        if refresh:
            self.refresh()
        found: dict[str, Diff | None] = {}
        for resource in ordered(resources):
            kept = self.state.get(resource.name)
            if kept is None or not kept["id"]:
                found[resource.name] = None
                continue
            difference = self._types[resource.type].diff(
                kept["id"], kept["outputs"], kept["inputs"], self._resolved(resource)
            )
            if difference.changes or difference.replaces:
                found[resource.name] = difference
        return found

    def refresh(self) -> None:
        """Reads every object; those that are gone leave the state."""
        for name, kept in self.state.items():
            if kept["id"]:
                outputs = self._types[kept["type"]].read(kept["id"], kept["inputs"], kept["outputs"])
                self._keep(name, None if outputs is None else {**kept, "outputs": outputs})

    def destroy(self) -> list[str]:
        return self._delete(list(self.state))

    def outputs(self, name: str) -> Outputs:
        return self.state[name]["outputs"]

    def _operation(self, resource: ClusterResource, inputs: Inputs, kept: dict[str, Any] | None) -> str | None:
        served = self._types[resource.type]
        if kept is not None and kept["id"]:
            difference = served.diff(kept["id"], kept["outputs"], kept["inputs"], inputs)
            if not difference.changes and not difference.replaces:
                self._keep(resource.name, {**kept, "inputs": inputs, "depends_on": dependencies(resource)})
                return None
            if not difference.replaces:
                outputs = served.update(kept["id"], kept["outputs"], kept["inputs"], inputs, self._emit)
                self._keep(resource.name, _entry(resource, kept["id"], inputs, outputs))
                return "update"
            served.delete(kept["id"], kept["outputs"], self._emit)
        problems = served.check(inputs)
        assert not problems, f"{resource.name}: {[problem.message for problem in problems]}"
        self._keep(resource.name, _entry(resource, "", inputs, inputs))
        object_id, outputs = served.create(inputs, self._emit)
        self._keep(resource.name, _entry(resource, object_id, inputs, outputs))
        return "create"

    def _delete(self, names: Sequence[str]) -> list[str]:
        done: list[str] = []
        going = {name: self.state[name] for name in names}
        while going:
            # those that nothing else stands on come first
            free = [name for name in going if not any(name in entry["depends_on"] for entry in going.values())]
            assert free, f"a cycle among {sorted(going)}"
            for name in sorted(free):
                kept = going.pop(name)
                self._types[kept["type"]].delete(
                    kept["id"] or str(kept["inputs"].get("name") or "unnamed"), kept["outputs"], self._emit
                )
                self._keep(name, None)
                done.append(f"delete {name}")
        return done

    def _resolved(self, resource: ClusterResource) -> Inputs:
        return resolved(resource.inputs, {name: kept["outputs"] for name, kept in self.state.items()})

    def _keep(self, name: str, entry: dict[str, Any] | None) -> None:
        state = self.state
        if entry is None:
            state.pop(name, None)
        else:
            state[name] = entry
        # through JSON and in one move, as an engine's state would be
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(state, indent=1))
        beside.replace(self._path)


def _entry(resource: ClusterResource, object_id: str, inputs: Inputs, outputs: Outputs) -> dict[str, Any]:
    return {
        "type": resource.type,
        "id": object_id,
        "inputs": inputs,
        "outputs": outputs,
        "depends_on": dependencies(resource),
    }


def ordered(resources: Sequence[ClusterResource]) -> list[ClusterResource]:
    """Each after those that it refers to or depends on."""
    left = {resource.name: resource for resource in resources}
    ordered: list[ClusterResource] = []
    while left:
        free = [entry for entry in left.values() if not any(name in left for name in dependencies(entry))]
        assert free, f"a cycle among {sorted(left)}"
        ordered += free
        for entry in free:
            del left[entry.name]
    return ordered


def dependencies(resource: ClusterResource) -> list[str]:
    return list(dict.fromkeys((*resource.depends_on, *references(resource.inputs))))
