"""What is copied between registries, and what is not even asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from portable.compile.objects import Item
from portable.errors import ProviderError
from portable.events import nowhere
from portable.migrate.images import mirror
from portable.migrate.sides import Side

pytestmark = pytest.mark.unit


class NoRegistryYet:
    """A cloud in which nothing was ever built."""

    def ensure_repository(self, *_: Any) -> str:
        raise AssertionError("nothing is pushed")

    def registry_login(self, _cluster: Any) -> Any:
        raise ProviderError("there is no registry yet")

    def owns_image(self, _cluster: Any, image: str) -> bool:
        return image.startswith("private.example/")


def side(image: str) -> Side:
    pod = {"spec": {"containers": [{"name": "main", "image": image}]}}
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": pod}}
    app = SimpleNamespace(provider=NoRegistryYet(), app=SimpleNamespace(cluster=None))
    return cast("Side", SimpleNamespace(app=app, objects=SimpleNamespace(items=[Item(manifest, "web")])))


def test_where_nothing_is_to_be_copied_a_cloud_needs_no_registry() -> None:
    same = side("docker.io/library/web:1")
    assert mirror(same, same, nowhere, lambda _: None) == []
    with pytest.raises(ProviderError, match="no registry yet"):
        mirror(same, side("private.example/web:1"), nowhere, lambda _: None)
