"""A plugin and what it is tried on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from portable.events import Emit, nowhere
from portable.provider import ClusterResource, Provider
from portable.spec.model import Cluster
from portable.testing.stack import Stack


@dataclass(frozen=True)
class Case:
    """A plugin and what it is tried on. `state`: an empty folder.

    `cluster` is what a spec asks for, `changed` the same cluster asked for differently, in a way that an update can bring
    about. The plugin reaches a stand-in for its cloud in which there is nothing: `leftovers` says what is there of ours, in
    words, and `foreign` makes a cluster of that name as somebody else would. For `PLUGIN` alone these three are not needed.
    """

    provider: Provider
    cluster: Cluster
    state: Path
    changed: Cluster | None = None
    leftovers: Callable[[], Sequence[str]] = tuple
    foreign: Callable[[], None] = lambda: None

    def stack(self, name: str = "state", emit: Emit = nowhere) -> Stack:
        """The driver with the plugin's own classes; another `name` is another state: of someone who lost the first."""
        return Stack(self.provider.resource_types(), self.state / f"{name}.json", emit)

    def resources(self, cluster: Cluster | None = None) -> Sequence[ClusterResource]:
        return self.provider.cluster(cluster or self.cluster)


Promise: TypeAlias = Callable[[Case], None]


def check_provider(case: Case, promises: Sequence[Promise]) -> None:
    """Holds a plugin to `promises` outside of pytest; the cloud must be left as empty as each finds it."""
    for number, promise in enumerate(promises):
        folder = case.state / str(number)
        folder.mkdir()
        promise(replace(case, state=folder))
