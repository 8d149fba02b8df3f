"""Built images to where they run: built if their content is new, brought to the nodes or the registry, pinned by digest.

Where they run is also where they are looked for first: an image that is there is not built again, whoever built it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from portable.errors import UsageError
from portable.images import builders, building, crane
from portable.images.wanted import Wanted, wanted
from portable.provider import ImageArchives, LocalImages, Registry
from portable.spec.image_builds import LOCAL
from portable.steps import Progress, step

if TYPE_CHECKING:
    from portable.events import Emit
    from portable.provider import RegistryLogin
    from portable.target import Target

STEP = "images"


@dataclass(frozen=True)
class Built:
    """What became of one image. `built` False: it was there already."""

    name: str
    workloads: tuple[str, ...]
    built: bool


def images_of(target: Target) -> list[Wanted]:
    """The images that the target's spec asks to be built."""
    return wanted(target.app, local=isinstance(target.provider, LocalImages))


def build_images(target: Target, emit: Emit) -> tuple[Built, ...]:
    """Builds what the builder here does not have yet.

    Raises BuildFailed, ToolError where there is no builder, UsageError where it cannot build what is asked for.
    """
    found = images_of(target)
    if not found:
        return ()
    with step(emit, "build", "building images") as progress:
        builder = builders.find()
        made = tuple(Built(image.name, image.workloads, _build(builder, image, progress)) for image in found)
        if not any(image.built for image in made):
            progress.skip("nothing that they are built from has changed")
        return made


def _build(builder: builders.Builder, image: Wanted, progress: Progress) -> bool:
    if building.has(builder, image):
        return False
    progress.note(f"{image.title}: building with {builder.title}")
    building.build(builder, image, progress.emit, step=progress.name)
    return True


def deliver(target: Target, emit: Emit) -> Target:
    """`target` with each built image pinned by its digest, after every image is where the cluster finds it.

    Raises as `build_images`; ProviderError where nodes or registry refuse; UsageError on a cloud without a registry.
    """
    images = images_of(target)
    if not images:
        return target
    with step(emit, STEP, "bringing built images to the cluster") as progress:
        if isinstance(target.provider, ImageArchives):
            references = _into_nodes(target, target.provider, images, emit, progress)
        else:
            references = {image.name: _into_registry(target, image, emit, progress) for image in images}
    return replace(target, built=references)


def _into_nodes(
    target: Target, provider: ImageArchives, images: Sequence[Wanted], emit: Emit, progress: Progress
) -> Mapping[str, str]:
    cluster = target.app.cluster
    held = provider.held_images(cluster, [image.name for image in images])
    lacking = [image for image in images if image.name not in held]
    if not lacking:
        progress.skip("the nodes have them")
        return held
    builder, loaded = builders.find(), dict(held)
    for image in lacking:
        with _archive(builder, image, emit) as archive:
            progress.note(f"loading {image.name}")
            loaded[image.name] = provider.load_archive(cluster, archive, image.name, emit)
    return loaded


def _into_registry(target: Target, image: Wanted, emit: Emit, progress: Progress) -> str:
    where, logins = destination(target, image, emit)
    found = crane.digest(where, logins)
    if found is not None:
        progress.note(f"{where} is there")
        return f"{where}@{found}"
    with _archive(builders.find(), image, emit) as archive:
        return crane.push(archive, where, logins, emit=emit, step=progress.name)


def destination(target: Target, image: Wanted, emit: Emit) -> tuple[str, tuple[RegistryLogin, ...]]:
    """("HOST/PATH:TAG", logins): the repository that the spec names, with the user's own login, or the cloud's registry."""
    if not image.local:
        return image.name, ()
    provider, cluster = target.provider, target.app.cluster
    if not isinstance(provider, Registry):
        raise _no_registry(target, image)
    repository = provider.ensure_repository(cluster, image.repository.removeprefix(f"{LOCAL}/"), emit)
    return f"{repository}:{image.tag}", (provider.registry_login(cluster),)


def require_destination(target: Target) -> None:
    """Before anything is made: that each image has somewhere to go. Raises UsageError."""
    if not isinstance(target.provider, ImageArchives | Registry):
        for image in images_of(target):
            if image.local:
                raise _no_registry(target, image)


def _no_registry(target: Target, image: Wanted) -> UsageError:
    return UsageError(
        f"{target.provider.title} has no registry that portable can push the image of {image.title} to",
        fix="give the container an `image` beside `build`: a repository that you may push to, such as ghcr.io/acme/api",
    )


@contextmanager
def _archive(builder: builders.Builder, image: Wanted, emit: Emit) -> Iterator[Path]:
    """The image out of the builder, built now if the builder does not have it."""
    if not building.has(builder, image):
        with step(emit, "build", "building images") as progress:
            _build(builder, image, progress)
    with building.saved(builder, image) as archive:
        yield archive
