"""What every `Registry` of a plugin promises, for its author's tests, against a cloud or its stand-in.

@pytest.mark.parametrize("promise", REGISTRY, ids=lambda promise: promise.__name__)
def test_registry(promise, empty_cloud):
    promise(Acme(), Cluster(name="shop"))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from portable.events import Event, Notice, nowhere
from portable.provider import Registry, RegistryLogin
from portable.spec.images import image_fault
from portable.spec.model import Cluster

Promise: TypeAlias = Callable[[Registry, Cluster], None]
NAME = "shop/web-main"
# Whoever serves these, no cloud's nodes need its credentials for them.
PUBLIC = ("redis:7", "docker.io/library/redis:7", "ghcr.io/acme/api:1.0", "public.ecr.aws/docker/library/redis:7")


def has_the_capability(registry: Registry, cluster: Cluster) -> None:
    assert isinstance(registry, Registry), "a method of the protocol is missing"


def makes_a_repository_once_and_says_what_it_costs(registry: Registry, cluster: Cluster) -> None:
    said: list[Event] = []
    made = registry.ensure_repository(cluster, NAME, said.append)
    assert made.endswith(f"/{NAME}")
    assert "." in made.partition("/")[0] or ":" in made.partition("/")[0], "it begins with a host"
    assert image_fault(f"{made}:1.0") is None
    assert any(isinstance(event, Notice) and "cost" in event.message for event in said)
    said.clear()
    assert registry.ensure_repository(cluster, NAME, said.append) == made, "may be repeated"
    assert not [event for event in said if isinstance(event, Notice)], "it was there"


def logs_in_without_showing_the_password(registry: Registry, cluster: Cluster) -> None:
    registry.ensure_repository(cluster, NAME, nowhere)
    login = registry.registry_login(cluster)
    assert isinstance(login, RegistryLogin)
    assert login.server
    assert login.username
    assert login.password
    assert "/" not in login.server, "a host"
    assert login.password not in repr(login)


def owns_what_it_made_and_nothing_public(registry: Registry, cluster: Cluster) -> None:
    assert not [image for image in PUBLIC if registry.owns_image(cluster, image)]


REGISTRY: tuple[Promise, ...] = (
    has_the_capability,
    makes_a_repository_once_and_says_what_it_costs,
    logs_in_without_showing_the_password,
    owns_what_it_made_and_nothing_public,
)
