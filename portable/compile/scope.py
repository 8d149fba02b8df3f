"""What every part of the compiler is handed: the app, the cloud's profile, and a place for problems and notes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from portable.errors import Problem
from portable.provider import Profile
from portable.spec.document import Positions, spell
from portable.spec.model import App


@dataclass(frozen=True)
class Scope:
    """`problems` and `notes` are collected, so that all of them reach the user in one run.

    `secret_digests` maps a resource's name to the keyed digest of its values, `image_digests` an image to its own. `links` maps a workload to the workloads and
    databases that it connects to (see `portable.compile.connections`), `mounters` a resource to the workloads that mount it.
    """

    app: App
    profile: Profile
    secret_digests: Mapping[str, str] = field(default_factory=dict)
    image_digests: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, frozenset[str]] = field(default_factory=dict)
    mounters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, path: tuple[str | int, ...], message: str, *, expected: str = "", hint: str = "") -> None:
        """Records a fault at `path` (("workloads", "api", "scale")), or at the nearest thing above it that the spec has."""
        positions = self.app.positions
        if isinstance(positions, Positions):
            problem = positions.document.problem(path, message, expected=expected, hint=hint)
        else:
            problem = Problem(message, path=spell(path), expected=expected, hint=hint)
        self.problems.append(problem)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
