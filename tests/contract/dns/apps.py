"""A small app with routes, as a flow sees it: a target on a provider that has nothing but what a test gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from portable.compile import compile_app
from portable.compile.objects import Objects
from portable.home import Home
from portable.kube import Kube
from portable.provider import Profile
from portable.spec.model import Route
from portable.target import Target
from tests.unit.compile.apps import PROFILE, app, workload


class _Bare:
    """A provider without any optional capability."""

    name = "test"
    title = "Testland"


def target(
    environment: str, routes: Mapping[str, str | None], provider: Any = None, profile: Profile = PROFILE
) -> Target:
    """`routes`: host -> "auto" or None. Each test takes an environment, so a namespace, of its own."""
    made = {f"r{number}": Route(f"r{number}", host, tls=tls) for number, (host, tls) in enumerate(routes.items())}
    shop = replace(app(workload(routes=made)), environment=environment)
    nothing: Any = _Bare()
    home = Home("shop", environment, "test", "main")
    return Target(Path("portable.yaml"), shop, provider or nothing, profile, home, (), {})


def compiled(to: Target, kube: Kube) -> Objects:
    """The app's objects, with its namespace made."""
    objects = compile_app(to.app, to.profile)
    kube.apply(objects.items[0].manifest)
    return objects
