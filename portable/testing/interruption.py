"""What a plugin promises where the engine dies in the midst of making a cluster."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from portable.events import Emit
from portable.provider import Inputs, Outputs, ResourceType
from portable.testing.case import Case
from portable.testing.stack import Stack


def a_creation_that_broke_off_is_carried_on(case: Case) -> None:
    """Each object in turn is made, and the engine dies before it hears of it."""
    resources = case.resources()
    died: set[str] = set()
    for number in range(len(resources)):
        stack = Stack(_dying(case, died), case.state / "state.json")
        with contextlib.suppress(_EngineDied):
            stack.up(resources, refresh=False)
        unfinished = [name for name, entry in stack.state.items() if not entry["id"]]
        assert len(unfinished) == 1, f"{number} objects are made, {unfinished} is begun"
        case.provider.find(case.cluster)  # bears what is half made
    case.stack().up(resources)
    there = sorted(case.leftovers())
    case.stack("another").up(resources)
    assert sorted(case.leftovers()) == there, "something was made twice"
    case.stack().destroy()
    assert list(case.leftovers()) == []


def a_creation_that_broke_off_is_destroyed(case: Case) -> None:
    """Whatever the state knows only as begun is found and deleted."""
    resources, died = case.resources(), set[str]()
    for _ in resources:
        with contextlib.suppress(_EngineDied):
            Stack(_dying(case, died), case.state / "state.json").up(resources, refresh=False)
    case.stack().destroy()
    assert list(case.leftovers()) == []


class _EngineDied(Exception):
    pass


def _dying(case: Case, died: set[str]) -> dict[str, ResourceType]:
    """The plugin's types, whose first creation of what is not in `died` is never heard of."""

    class Dying:
        def __init__(self, inner: ResourceType) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
            made = self._inner.create(inputs, emit)
            asked = json.dumps([type(self._inner).__name__, inputs], sort_keys=True)
            if asked in died:
                return made
            died.add(asked)
            raise _EngineDied

    types: dict[str, Any] = {token: Dying(served) for token, served in case.provider.resource_types().items()}
    return types
