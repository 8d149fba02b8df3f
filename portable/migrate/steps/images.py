"""Images: what the target's nodes will pull must be there before the source stops."""

from __future__ import annotations

from collections.abc import Iterator

from portable.compile.app import pod_template
from portable.migrate.move import Move
from portable.migrate.sides import Side
from portable.migrate.steps.step import Facts, MigrationStep
from portable.provider import LocalImages, Registry, RegistryLogin
from portable.situation import app_images
from portable.steps import Progress


def _bring(move: Move, progress: Progress) -> Facts:
    from portable.images.delivery import deliver

    deliver(
        move.target, move.emit
    )  # those that the spec has built: while the source serves, and not when the app starts
    provider = move.target.provider
    if isinstance(provider, LocalImages):
        images = app_images(move.target_side.objects)
        return {"loaded": sorted(provider.load_images(move.target.app.cluster, images, move.emit))}
    return {"mirrored": [_mirror(move, progress, *pair) for pair in sorted(set(_to_mirror(move)))]}


def _to_mirror(move: Move) -> Iterator[tuple[str, str]]:
    """(source's image, target's image) of containers whose image on the target lies in that cloud's own registry."""
    there = _images(move.target_side)
    for place, image in _images(move.source_side).items():
        wanted = there.get(place, image)
        provider = move.target.provider
        if wanted != image and isinstance(provider, Registry) and provider.owns_image(move.target.app.cluster, wanted):
            yield image, wanted


def _mirror(move: Move, progress: Progress, image: str, wanted: str) -> str:
    """By digest, with all its platforms; what is there already is not sent again."""
    from portable.images import copy

    progress.note(f"copying {image}")
    logins: list[RegistryLogin] = []
    for target in (move.source, move.target):
        if isinstance(target.provider, Registry):
            logins.append(target.provider.registry_login(target.app.cluster))
    return copy(image, wanted.partition("@")[0], logins, emit=move.emit)


def _images(side: Side) -> dict[tuple[str, str], str]:
    """(workload, container) -> image."""
    found = {}
    for item in side.objects.items:
        template = pod_template(item.manifest)
        for container in (
            ()
            if template is None
            else (
                *template["spec"].get("initContainers", ()),
                *template["spec"]["containers"],
            )
        ):
            found[item.workload or "", container["name"]] = container["image"]
    return found


IMAGES = MigrationStep("images", "images where the target finds them", _bring)
