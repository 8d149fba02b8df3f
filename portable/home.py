"""Where an app lives: the keys of its stacks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Home:
    """App, environment and cluster: the app stack's key. The cluster alone is the cluster stack's key."""

    app: str
    environment: str | None
    cloud: str
    cluster: str

    @property
    def cluster_stack(self) -> str:
        return f"{self.cloud}.{self.cluster}"

    @property
    def app_stack(self) -> str:
        return f"{self.app}.{self.environment or 'default'}.{self.cloud}.{self.cluster}"
