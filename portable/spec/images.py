"""Image references, by the grammar of the distribution project (distribution/reference)."""

from __future__ import annotations

import re

_REFERENCE = re.compile(
    r"(?:(?P<host>(?:[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)*(?::[0-9]+)?)/)?"
    r"(?P<path>[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*:[0-9a-fA-F]{32,}))?"
)
_LONGEST = 500


def image_fault(image: str) -> str | None:
    """Why `image` is no image reference; None when it is one."""
    if len(image) > _LONGEST:
        return "it is too long"
    if _REFERENCE.fullmatch(image):
        return None
    if image != image.strip() or " " in image:
        return "it holds a space"
    if "://" in image:
        return "it begins with a scheme"
    if _REFERENCE.fullmatch(image.lower()):
        return "names of images are in lower case"
    return "it does not have the form [HOST/]PATH[:TAG][@DIGEST]"


def parts(image: str) -> tuple[str, str | None, str | None]:
    """(repository with its host, tag, digest) of an image reference. Raises ValueError for what is none."""
    match = _REFERENCE.fullmatch(image)
    if match is None:
        raise ValueError(f"{image} is no image reference")
    host = f"{match['host']}/" if match["host"] else ""
    return host + match["path"], match["tag"], match["digest"]


def has_version(image: str) -> bool:
    """Whether `image` has a tag or a digest."""
    match = _REFERENCE.fullmatch(image)
    return match is not None and (match["digest"] is not None or match["tag"] is not None)


def is_pinned(image: str) -> bool:
    """Whether `image` has a digest, or a tag other than `latest`."""
    match = _REFERENCE.fullmatch(image)
    return match is not None and (match["digest"] is not None or match["tag"] not in (None, "latest"))
