"""Which image movers run, on one side."""

from __future__ import annotations

import os

from portable.errors import ClusterError, ToolError
from portable.events import Emit, nowhere
from portable.migrate.sides import Side
from portable.provider import LocalImages, Registry

# Built from packages where there is Docker (`portable doctor --fix --cloud kind`).
LOCAL_IMAGE = "portable/mover:bookworm"
ENVIRONMENT = "PORTABLE_MOVER_IMAGE"
_REPOSITORY = "portable/mover"


def mover_image(side: Side, emit: Emit = nowhere) -> str:
    """The image as `side`'s nodes get it: what PORTABLE_MOVER_IMAGE names; this machine's own, where the plugin loads local
    images; pushed to the cloud's registry by digest, where it has one. Raises ClusterError where it cannot get there."""
    named, provider = os.environ.get(ENVIRONMENT), side.app.provider
    if named:
        return named
    if isinstance(provider, LocalImages):
        return LOCAL_IMAGE
    if isinstance(provider, Registry):
        return _pushed(side, provider, emit)
    raise ClusterError(
        f"{side} has no image of the mover",
        detail="movers run in pods at both ends, and this cluster pulls their image from a registry",
        fix=f"push {LOCAL_IMAGE} (`portable doctor --fix --cloud kind` builds it) to a registry that both clusters pull from,"
        f" and name it: export {ENVIRONMENT}=REGISTRY/mover@sha256:...",
    )


def load(side: Side, emit: Emit) -> str:
    """As `mover_image`; where it is of this machine the cluster's nodes have it afterwards."""
    image, provider = mover_image(side, emit), side.app.provider
    if image != LOCAL_IMAGE or not isinstance(provider, LocalImages):
        return image
    if image not in provider.load_images(side.app.app.cluster, [image], emit):
        raise _not_built()
    return image


def _pushed(side: Side, provider: Registry, emit: Emit) -> str:
    """Its tag says what it is made of: what is there already is not sent again."""
    from portable.images import crane, stores

    stored, cluster = stores.find(LOCAL_IMAGE), side.app.app.cluster
    if stored is None:
        raise _not_built()
    where = f"{provider.ensure_repository(cluster, _REPOSITORY, emit)}:{stored.id.rpartition(':')[2][:16]}"
    logins = (provider.registry_login(cluster),)
    found = crane.digest(where, logins)
    if found is not None:
        return f"{where}@{found}"
    with stores.saved(stored) as archive:
        return crane.push(archive, where, logins, emit=emit)


def _not_built() -> ToolError:
    return ToolError(
        f"the image {LOCAL_IMAGE} is not on this machine",
        fix="build it where there is Docker: `portable doctor --fix --cloud kind`",
    )
