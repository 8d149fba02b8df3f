"""Images that only the source's clusters can pull, into the target's registry: by digest, with every platform.

What anybody can pull stays where it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from portable.errors import ProviderError
from portable.images import copy
from portable.provider import Registry
from portable.spec.image_builds import LOCAL
from portable.spec.images import parts
from portable.steps import step

if TYPE_CHECKING:
    from portable.events import Emit
    from portable.migrate.sides import Side

STEP = "images"


def private(images: Sequence[str], source: Side) -> list[str]:
    """Those of `images` that the target's nodes could not pull: of the source's own registry, or only in its nodes."""
    provider, cluster = source.app.provider, source.app.app.cluster
    owned = [image for image in images if isinstance(provider, Registry) and provider.owns_image(cluster, image)]
    return sorted({*owned, *(image for image in images if image.startswith(f"{LOCAL}/"))})


def mirror(images: Sequence[str], source: Side, target: Side, emit: Emit) -> Mapping[str, str]:
    """image -> where the target's nodes pull it from, for those of `images` that they could not pull as they are.

    May be repeated: what has arrived is not sent again. Images that are built from the spec and lie in the source's nodes
    alone are built or pushed for the target. Raises ProviderError where the target has no registry, or one of them refuses.
    """
    wanted = private(images, source)
    if not wanted:
        return {}
    with step(emit, STEP, "copying images to the target's registry"):
        local = [image for image in wanted if image.startswith(f"{LOCAL}/")]
        found = _built(local, target, emit) if local else {}
        return found | {image: _copied(image, source, target, emit) for image in wanted if image not in local}


def _copied(image: str, source: Side, target: Side, emit: Emit) -> str:
    ours, theirs = source.app.provider, target.app.provider
    if not isinstance(theirs, Registry):
        raise ProviderError(
            f"{theirs.title} has no registry to copy {image} to",
            detail=f"clusters of {theirs.title} cannot pull from a registry that is private to {ours.title}",
            fix="put the image into a registry that both can pull from, name it in the spec, and run `portable up` first",
        )
    assert isinstance(ours, Registry), "only a registry's own images are copied"
    repository, tag, _ = parts(image)
    name = "/".join(repository.split("/")[1:][-2:])
    there = theirs.ensure_repository(target.app.app.cluster, name, emit)
    logins = (ours.registry_login(source.app.app.cluster), theirs.registry_login(target.app.app.cluster))
    copied = copy(image, f"{there}:{tag}" if tag else there, logins, emit=emit, step=STEP)
    # With its tag, as `up` writes it there: else the next `up` would roll the very same image out again.
    return f"{there}:{tag}@{parts(copied)[2]}" if tag else copied


def _built(images: Sequence[str], target: Side, emit: Emit) -> dict[str, str]:
    from portable.images.delivery import deliver

    references = deliver(target.app, emit).built
    by_tag = {name.rpartition(":")[2]: reference for name, reference in references.items()}
    found = {image: by_tag.get(parts(image)[1] or "") for image in images}
    if lost := sorted(image for image, reference in found.items() if reference is None):
        raise ProviderError(
            f"{', '.join(lost)}: in the source's nodes only, and built from something else than what is here",
            fix="run `portable up` on the source with what is here now, then migrate",
        )
    return {image: reference for image, reference in found.items() if reference is not None}
