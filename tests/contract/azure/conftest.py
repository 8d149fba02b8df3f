"""A stand-in for each test, and the plugin pointed at it by the SDK's own environment variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from portable.events import Event
from portable.spec.model import Cluster, Nodes
from portable.testing import Stack
from portable_azure import Azure
from portable_azure.session import Session
from tests.clouds.azure import schema
from tests.clouds.azure.service import AzureService
from tests.clouds.azure.world import World, serving

AUTOMATIC = Cluster("shop")
STANDARD = Cluster("shop", pools={"default": Nodes(2)})


def fast() -> Session:
    """The SDK as it is, but for how long it waits."""
    return Session(interval=0.001, options={"retry_backoff_factor": 0.001})


@dataclass
class Bench:
    """`plugin()` and `stack()` are fresh each time, as in a new process, over the same state."""

    world: World
    state: Path
    events: list[Event] = field(default_factory=list)

    @property
    def service(self) -> AzureService:
        return self.world.service

    @property
    def calls(self) -> list[str]:
        return self.world.front.calls

    def plugin(self) -> Azure:
        return Azure(fast())

    def stack(self) -> Stack:
        return Stack(self.plugin().resource_types(), self.state, self.events.append)

    def up(self, cluster: Cluster) -> list[str]:
        return self.stack().up(self.plugin().cluster(cluster))

    def calling(self, operation: Callable[[], object]) -> list[str]:
        """The calls of the operation, without polls and what Entra is asked."""
        self.calls.clear()
        operation()
        quiet = ("Entra_", "Operations_Get", "OperationResults_Get", "Kubernetes_")
        return [call for call in self.calls if not call.startswith(quiet)]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    if not schema.FILE.exists():
        pytest.skip(f"Microsoft's ARM schema is not there: {schema.FILE} (PORTABLE_CONTRACTS)")
    with serving(AzureService()) as world:
        for name, value in world.environment.items():
            monkeypatch.setenv(name, value)
        yield Bench(world, tmp_path / "state.json")
