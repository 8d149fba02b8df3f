"""What every part of the compiler is handed: the app, the cloud's profile, and a place for problems and notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from portable.errors import Problem
from portable.provider import Profile
from portable.spec.model import App


@dataclass(frozen=True)
class Scope:
    """`problems` and `notes` are collected, so that all of them reach the user in one run.

    `secret_digests` maps a resource's name to the keyed digest of its values. `links` maps a workload to the workloads and
    databases that it connects to (see `portable.compile.connections`), `mounters` a resource to the workloads that mount it.
    """

    app: App
    profile: Profile
    secret_digests: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, frozenset[str]] = field(default_factory=dict)
    mounters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, path: str, message: str, *, expected: str = "", hint: str = "") -> None:
        """Records a fault at `path` ("workloads.api.scale"); its position is the nearest known one above it."""
        place = path
        while place and place not in self.app.positions:
            place = place.rpartition(".")[0]
        at = self.app.positions.get(place)
        self.problems.append(
            Problem(
                message,
                file=at.file if at else "",
                line=at.line if at else 0,
                column=at.column if at else 0,
                path=path,
                expected=expected,
                hint=hint,
            )
        )

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
