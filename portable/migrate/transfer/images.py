"""Which image movers run, on one side."""

from __future__ import annotations

import os

from portable.errors import ClusterError
from portable.events import Emit
from portable.migrate.sides import Side
from portable.provider import LocalImages

# Built by the plugins that run clusters on the user's machine (`portable doctor --fix`).
LOCAL_IMAGE = "portable/mover:bookworm"
ENVIRONMENT = "PORTABLE_MOVER_IMAGE"


def mover_image(side: Side) -> str:
    """The image's name as `side`'s nodes know it: what PORTABLE_MOVER_IMAGE names, else the one of this machine where its
    plugin loads local images. Raises ClusterError where the cluster could not pull it."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return named
    if isinstance(side.app.provider, LocalImages):
        return LOCAL_IMAGE
    raise ClusterError(
        f"{side} has no image of the mover",
        detail="movers run in pods at both ends, and this cluster pulls their image from a registry",
        fix=f"push {LOCAL_IMAGE} (`portable doctor --fix --cloud kind` builds it) to a registry that both clusters pull from,"
        f" and name it: export {ENVIRONMENT}=REGISTRY/mover@sha256:...",
    )


def load(side: Side, emit: Emit) -> str:
    """As `mover_image`; where it is of this machine the cluster's nodes have it afterwards."""
    image = mover_image(side)
    provider = side.app.provider
    if image != LOCAL_IMAGE or not isinstance(provider, LocalImages):
        return image
    if image not in provider.load_images(side.app.app.cluster, [image], emit):
        raise ClusterError(
            f"the image {image} is not on this machine",
            fix=f"build it: `portable doctor --fix --cloud {provider.name}`",
        )
    return image
