"""Where an app lives: the keys of its stacks."""

from __future__ import annotations

from collections.abc import Iterable
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

    @staticmethod
    def of_app_stack(key: str) -> Home:
        """The home that `app_stack` was made of."""
        app, environment, cloud, cluster = key.split(".", 3)
        return Home(app, None if environment == "default" else environment, cloud, cluster)


def app_homes(stacks: Iterable[str], cluster_stack: str) -> list[Home]:
    """The homes of the apps on a cluster, out of the keys of all stacks."""
    return [Home.of_app_stack(key) for key in stacks if key.count(".") >= 3 and key.endswith(f".{cluster_stack}")]
