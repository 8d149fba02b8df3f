"""What a step of a migration is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from portable.migrate.move import Move
from portable.steps import Progress

Facts: TypeAlias = Mapping[str, Any]


def _holds(_move: Move) -> str:
    return ""


def _always(_move: Move) -> bool:
    return True


@dataclass(frozen=True)
class MigrationStep:
    """`do` may be repeated after any interruption, and returns what the journal keeps. `check` says what is missing of what `do`
    brought about; empty: nothing is. `undo` takes it back, also half of it. `when`: whether this migration has the step at all.

    `repeats`: done again by every run while the source serves, since the source goes on changing.
    """

    name: str
    title: str
    do: Callable[[Move, Progress], Facts]
    check: Callable[[Move], str] = _holds
    undo: Callable[[Move, Progress], None] | None = None
    when: Callable[[Move], bool] = _always
    repeats: bool = False
