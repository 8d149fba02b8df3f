"""Filestore: instances by name, as its driver makes them; deleted by operations."""

from __future__ import annotations

from typing import Any

from tests.clouds.gcp.answers import not_found
from tests.clouds.gcp.discovery import Match


class Files:
    """`instances`: name ("projects/P/locations/L/instances/I") -> instance."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.instances: dict[str, dict[str, Any]] = {}
        self._operations: dict[str, str] = {}
        self._looked: set[str] = set()

    def answer(self, match: Match, query: dict[str, str]) -> dict[str, Any]:
        verb = ".".join(match.id.split(".")[-2:])
        where = f"projects/{self.project}/locations/{match.path['locationsId']}"
        if verb == "instances.list":
            label, _, value = query["filter"].removeprefix("labels.").partition("=")
            found = self.instances.values()
            return {"instances": [live for live in found if live["labels"].get(label) == value.strip('"')]}
        if verb == "instances.delete":
            name = f"{where}/instances/{match.path['instancesId']}"
            if name not in self.instances:
                raise not_found(name)
            operation = f"{where}/operations/operation-{len(self._operations)}"
            self._operations[operation] = name
            return {"name": operation, "done": False}
        assert verb == "operations.get", match.id
        operation = f"{where}/operations/{match.path['operationsId']}"
        # the first look comes too early
        done = operation in self._looked
        self._looked.add(operation)
        if done:
            self.instances.pop(self._operations[operation], None)
        return {"name": operation, "done": done}
