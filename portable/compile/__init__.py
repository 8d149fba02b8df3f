"""The compiler: an app and a cloud's profile in, Kubernetes objects out. Pure functions, one module per concern."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portable.compile.objects import Objects
    from portable.provider import Profile
    from portable.spec.model import App


def compile_app(
    app: App,
    profile: Profile,
    *,
    secret_digests: Mapping[str, str] | None = None,
    image_digests: Mapping[str, str] | None = None,
) -> Objects:
    """See `portable.compile.app.compile_app`, which this imports when it is called."""
    from portable.compile.app import compile_app

    return compile_app(app, profile, secret_digests=secret_digests, image_digests=image_digests)
