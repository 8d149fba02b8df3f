"""Which node image a cluster is made from: kind's own where Docker has it, else the one that `doctor` built."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from portable.errors import PortableError, ProviderError
from portable_kind import docker, node_image

OFFICIAL = "kindest/node"
# What kind 0.33 itself would take: pkg/apis/config/defaults/image.go of its module.
DEFAULT = f"{OFFICIAL}:v1.37.0"
_VERSION = re.compile(r":v(?P<version>\d+\.\d+\.\d+)")


def version_of(image: str) -> str:
    """The Kubernetes version in a node image's tag: "kindest/node:v1.36.3" -> "1.36.3"; "" without one."""
    found = _VERSION.search(image)
    return found["version"] if found else ""


def fits(version: str, asked: str) -> bool:
    """Whether `version` ("1.36.3") is what was `asked` for ("", "1.36" or "1.36.3", a leading v allowed)."""
    asked = asked.removeprefix("v")
    return not asked or version == asked or version.startswith(asked + ".")


def available() -> tuple[str, ...]:
    """Node images to choose from, the best first: kind's own in Docker by falling version, then the self-built one.

    `$PORTABLE_KIND_NODE_IMAGE` names one instead, for those who make their own.
    """
    chosen = os.environ.get("PORTABLE_KIND_NODE_IMAGE")
    if chosen:
        return (chosen,)
    tags = docker.run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", OFFICIAL).split()
    official = sorted((tag for tag in tags if version_of(tag)), key=_order, reverse=True)
    built = node_image.find()
    return (*official, *([built] if built else []))


def _order(image: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version_of(image).split("."))


def choose(asked: str, images: Sequence[str]) -> str:
    """The first of `images` that has the version asked for ("": any). Raises ProviderError where none has."""
    for image in images:
        if fits(version_of(image), asked):
            return image
    if not images:
        raise ProviderError("there is no node image for kind", fix=docker.ENGINE_FIX)
    known = ", ".join(dict.fromkeys(version_of(image) for image in images))
    raise ProviderError(
        f"no node image of Kubernetes {asked} is in Docker",
        detail=f"there is: {known}",
        fix=f"`docker pull {OFFICIAL}:v{asked.removeprefix('v')}` where a registry answers, or change cluster.version",
    )


def is_self_built(cluster_name: str, asked: str) -> bool:
    """Whether the cluster runs on our own node image, or would if it were made now; False where Docker does not answer."""
    try:
        nodes = docker.nodes(cluster_name)
        if nodes:
            return nodes[0].self_built
        return docker.is_self_built(choose(asked, available()))
    except PortableError:
        return False
