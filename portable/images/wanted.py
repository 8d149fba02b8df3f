"""The images that a spec asks to be built, and the names that they get."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from portable.images.content import content_digest
from portable.spec.image_builds import LOCAL
from portable.spec.model import App, Build, Container

TAG_LENGTH = 16  # hexadecimal digits: 64 bits of the content's digest
_TAGGED = re.compile(rf"(?P<repository>.+):(?P<tag>[0-9a-f]{{{TAG_LENGTH}}})@sha256:[0-9a-f]{{64}}")
CLOUD_PLATFORM = "linux/amd64"


@dataclass(frozen=True)
class Wanted:
    """One image: containers that are built alike share it. `name` is "REPOSITORY:TAG", the tag the content's digest."""

    name: str
    build: Build
    platforms: tuple[str, ...]
    containers: tuple[tuple[str, str], ...]

    @property
    def repository(self) -> str:
        return self.name.rpartition(":")[0]

    @property
    def tag(self) -> str:
        return self.name.rpartition(":")[2]

    @property
    def local(self) -> bool:
        """Whether the spec names no repository for it."""
        return self.repository.startswith(f"{LOCAL}/")

    @property
    def workloads(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(workload for workload, _ in self.containers))

    @property
    def title(self) -> str:
        return ", ".join(self.workloads)


def tagged(app: App, *, local: bool) -> App:
    """`app` with the name that each built image gets for what its context holds now. `local`: the nodes are this machine's.

    Raises UsageError where a context cannot be read.
    """
    names: dict[tuple[str, str], str] = {}
    known: dict[tuple[object, ...], str] = {}
    for workload, container, build in _builds(app):
        platforms = _platforms(build, local)
        same = (
            build.context,
            build.dockerfile,
            build.target,
            *sorted(build.args.items()),
            *sorted(build.secrets.items()),
            platforms,
        )
        given = "" if container.image.startswith(f"{LOCAL}/") else container.image
        if (*same, given) not in known:
            tag = content_digest(build, platforms)[:TAG_LENGTH]
            known[*same, given] = f"{container.image}:{tag}"
        names[workload, container.name] = known[*same, given]
    return with_images(app, names) if names else app


def wanted(app: App, *, local: bool) -> list[Wanted]:
    """The images to build for `app`, as `tagged` has named them."""
    found: dict[str, Wanted] = {}
    for workload, container, build in _builds(app):
        platforms = _platforms(build, local)
        users = found[container.image].containers if container.image in found else ()
        users = (*users, (workload, container.name))
        found[container.image] = Wanted(container.image, build, platforms, users)
    return list(found.values())


def pinned(app: App, references: Mapping[str, str]) -> App:
    """`app` with each built image by the reference that it is known under. `references`: name as tagged -> reference."""
    return with_images(
        app,
        {
            (workload, container.name): references[container.image]
            for workload, container, _ in _builds(app)
            if container.image in references
        },
    )


def known_from(app: App, images: Iterable[str]) -> dict[str, str]:
    """name as tagged -> reference, for those among `images` (of an earlier revision) that were made of the same content."""
    references = {match["tag"]: image for image in images if (match := _TAGGED.fullmatch(image))}
    return {
        container.image: references[tag]
        for _, container, _ in _builds(app)
        if (tag := container.image.rpartition(":")[2]) in references
    }


def _platforms(build: Build, local: bool) -> tuple[str, ...]:
    return build.platforms or (host_platform() if local else CLOUD_PLATFORM,)


def host_platform() -> str:
    """This machine's, in a platform's words: "linux/amd64". Nodes on it are Linux wherever it runs."""
    machine = platform.machine().lower()
    return "linux/" + {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def with_images(app: App, images: Mapping[tuple[str, str], str]) -> App:
    """`images`: (workload, container) -> image."""
    return replace(
        app,
        workloads={
            name: replace(
                workload,
                containers={
                    key: replace(container, image=images.get((name, key), container.image))
                    for key, container in workload.containers.items()
                },
            )
            for name, workload in app.workloads.items()
        },
    )


def _builds(app: App) -> list[tuple[str, Container, Build]]:
    return [
        (workload.name, container, container.build)
        for workload in app.workloads.values()
        for container in workload.containers.values()
        if container.build is not None
    ]
