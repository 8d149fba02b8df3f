"""Images that lie in the target cloud's own registry, copied there from where the source runs them: by digest, with every platform.

Which image the target runs the spec says, as always; one that the target's nodes could not pull is refused when planning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from portable.compile.app import pod_template
from portable.events import Emit
from portable.images.crane import copy
from portable.migrate.sides import Side
from portable.provider import Registry, RegistryLogin


def mirror(source: Side, target: Side, emit: Emit, note: Callable[[str], None]) -> list[str]:
    """The copies' references by digest. What is there already is not sent again. Raises ProviderError of either registry."""
    wanted_images = sorted(set(_to_copy(source, target)))
    if not wanted_images:
        return []  # a cloud may well have no registry yet
    logins: list[RegistryLogin] = []
    for side in (source, target):
        if isinstance(side.app.provider, Registry):
            logins.append(side.app.provider.registry_login(side.app.app.cluster))
    copied: list[str] = []
    for image, wanted in wanted_images:
        note(f"copying {image}")
        copied.append(copy(image, wanted.partition("@")[0], logins, emit=emit))
    return copied


def _to_copy(source: Side, target: Side) -> Iterator[tuple[str, str]]:
    """(source's image, target's image) of containers whose image on the target lies in that cloud's own registry."""
    provider, cluster, there = target.app.provider, target.app.app.cluster, _images(target)
    for place, image in _images(source).items():
        wanted = there.get(place, image)
        if wanted != image and isinstance(provider, Registry) and provider.owns_image(cluster, wanted):
            yield image, wanted


def _images(side: Side) -> dict[tuple[str, str], str]:
    """(workload, container) -> image."""
    found: dict[tuple[str, str], str] = {}
    for item in side.objects.items:
        template = pod_template(item.manifest)
        if template is not None:
            spec = template["spec"]
            for container in chain(spec.get("initContainers", ()), spec["containers"]):
                found[item.workload or "", container["name"]] = container["image"]
    return found
