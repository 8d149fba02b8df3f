"""What a command works on: the spec, validated for one environment, on one provider, at one home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from portable.errors import ClusterGone, Problem, UsageError
from portable.home import Home
from portable.provider import LocalImages, Profile, Provider, load_provider

if TYPE_CHECKING:
    from portable.compile.objects import Objects
    from portable.kube import Kube
    from portable.spec.model import App

DEFAULT_FILES = ("portable.yaml", "portable.yml", "score.yaml", "score.yml")


@dataclass(frozen=True)
class Request:
    """What the command line asks for. None: found (file), none (environment), from the environment (cloud), local (state).

    `context`: a context of the user's kubeconfig, whose cluster is used as it is. `cluster`: in place of the spec's name for it.
    `migration`: the migration on whose behalf this is asked, which its own fence lets pass.
    """

    file: Path | None = None
    environment: str | None = None
    cloud: str | None = None
    state: str | None = None
    kubernetes_provider: Literal["auto", "official", "builtin"] = "auto"
    context: str | None = None
    cluster: str | None = None
    migration: str | None = None


@dataclass(frozen=True)
class Target:
    """`built`: name -> reference by digest, of the images that were built and delivered for it (`portable.images`)."""

    file: Path
    app: App
    provider: Provider
    profile: Profile
    home: Home
    warnings: tuple[Problem, ...]
    environments: Mapping[str, str | None]
    built: Mapping[str, str] = field(default_factory=dict)


def find_file(file: Path | None) -> Path:
    """The spec to read; None: one that is here, a folder: one that is there. Raises UsageError where there is none."""
    if file is not None and not file.is_dir():
        return file
    folder = file or Path()
    for name in DEFAULT_FILES:
        if (folder / name).exists():
            return folder / name
    raise UsageError(
        f"there is no {DEFAULT_FILES[0]} in {folder.absolute()}",
        fix="write one with `portable init`, or name the spec's file",
    )


def open_target(request: Request, *, images: bool = True) -> Target:
    """Loads, validates and resolves. Raises SpecError (with every problem) or UsageError; touches no cloud.

    `images` False, for who looks at no image: those that are built keep their bare names, and what they are built from is not read.
    """
    from portable.spec import load_app

    path = find_file(request.file)
    chosen: list[tuple[Provider, Profile]] = []

    def check_profile(app: App) -> list[Problem]:
        from portable.spec.profile import check_profile as check

        provider = load_provider(_cloud(request, app))
        profile = provider.profile(_renamed(app, request).cluster)
        chosen.append((provider, profile))
        return check(app, profile)

    loaded = load_app(path, environment=request.environment, profile_check=check_profile)
    provider, profile = chosen[-1]
    app = _renamed(replace(loaded.app, cloud=provider.name), request)
    if images:
        app = _images_named(app, provider)
    if request.context is not None:
        provider, app = _at_context(provider, app, request.context)
    home = Home(app.name, app.environment, provider.name, app.cluster.name)
    return Target(path, app, provider, profile, home, tuple(loaded.warnings), loaded.environments)


def _renamed(app: App, request: Request) -> App:
    return app if request.cluster is None else replace(app, cluster=replace(app.cluster, name=request.cluster))


def _images_named(app: App, provider: Provider) -> App:
    """Images that are built here get the name of what they are built from: only then are their objects the right ones."""
    if not app.builds:
        return app
    from portable.images.wanted import tagged

    return tagged(app, local=isinstance(provider, LocalImages))


def _at_context(provider: Provider, app: App, context: str) -> tuple[Provider, App]:
    from portable.context import AtContext, cluster_name

    return AtContext(provider, context), replace(
        app, cluster=replace(app.cluster, name=cluster_name(context), existing=True)
    )


def _cloud(request: Request, app: App) -> str:
    cloud = request.cloud or app.cloud
    if cloud is None:
        raise UsageError(
            "which cloud?",
            detail="neither --cloud nor the environment names one",
            fix="add `--cloud kind`, or a `cloud:` to the environment in the spec and `-e ENVIRONMENT`",
        )
    return cloud


def compile_target(
    target: Target,
    secret_digests: Mapping[str, str] | None = None,
    image_digests: Mapping[str, str] | None = None,
) -> Objects:
    """`secret_digests`: keyed digests by resource; `image_digests`: of images that are on this machine. Both roll what uses them."""
    from portable.compile import compile_app

    return compile_app(
        target.app, target.profile, secret_digests=secret_digests or {}, image_digests=image_digests or {}
    )


def connect(target: Target) -> Kube:
    """The app's cluster, reached. Raises ClusterGone where the provider says that there is no such cluster."""
    from portable.kube import Kube

    if target.provider.find(target.app.cluster) is None:
        raise ClusterGone(
            f"there is no cluster {target.home.cluster!r} on {target.provider.title}",
            fix=f"make it with `portable up --cloud {target.provider.name}`",
        )
    return Kube.reach(target.provider.credentials(target.app.cluster))
