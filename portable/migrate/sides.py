"""The two ends of a migration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from portable.compile.objects import Objects
    from portable.kube import Kube
    from portable.target import Target


# On everything that a migration makes in either cluster: its id.
MIGRATION_LABEL = "portable.dev/migration"
# Who changes the app's own objects while it moves, for `managedFields`.
FIELD_MANAGER = "portable-migrate"


@dataclass(frozen=True)
class Side:
    """The app on one cluster. `app` is what a command works on there (spec, provider, home); `objects` what it compiles to."""

    role: Literal["source", "target"]
    app: Target
    kube: Kube
    objects: Objects

    @property
    def namespace(self) -> str:
        return self.objects.namespace

    def __str__(self) -> str:
        return f"{self.app.provider.title}, cluster {self.app.home.cluster}"


@dataclass(frozen=True)
class Sides:
    """`migration` names this migration in both clusters: a few lower-case letters and digits, the same from stage to finalize."""

    migration: str
    source: Side
    target: Side
