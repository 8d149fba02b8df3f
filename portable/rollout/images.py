"""Why an image cannot be had: what kubelet, containerd and CRI-O say, sorted.

Reasons: kubernetes/pkg/kubelet/images/types.go. The registry's answers: containerd's resolver, distribution's error codes.
"""

from __future__ import annotations

import re

REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)

_ANSWERS: tuple[tuple[str, str], ...] = (
    ("platform", r"no match for platform|no matching manifest|exec format"),
    ("limited", r"toomanyrequests|too many requests|\b429\b"),
    ("denied", r"unauthorized|authoriz|authentication|access denied|denied:|forbidden|\b401\b|\b403\b"),
    ("missing", r"not found|manifest unknown|name unknown|no such image|\b404\b"),
)


def pull_failure(image: str, reason: str, message: str, container: str) -> tuple[str, str, float]:
    """(summary, hint, patience in seconds) for a waiting container whose image cannot be had.

    An answer "not found" does not change by waiting. A refusal gets a second try (a pull secret may be on its way), a
    registry that is not there too (the kubelet tries again after 10 s), one that does not answer some more.
    """
    place = f"{container}.image"
    if reason == "InvalidImageName":
        return f'"{image}" is no valid image name', f"correct {place}", 0.0
    if reason == "ErrImageNeverPull":
        return f'image "{image}" is not on the node and may not be pulled', "load the image onto the nodes", 0.0
    answer = next((name for name, words in _ANSWERS if re.search(words, message, re.IGNORECASE)), "unreachable")
    nobody_there = re.search(r"no such host|connection refused|no route to host", message)
    # "pull access denied, repository does not exist or may require authorization" can mean either.
    if answer == "denied" and "does not exist" in message:
        return (
            f'image "{image}" does not exist, or its registry wants credentials',
            f"check the name in {place}; for a private registry add a resource of type registry and set its credentials",
            12.0,
        )
    return {
        "platform": (
            f'image "{image}" is not built for the nodes\' CPU',
            f"build {place} for the nodes' platform",
            0.0,
        ),
        "limited": (
            f'the registry of "{image}" refuses more pulls for now',
            "wait, or add a resource of type registry with credentials of your own",
            60.0,
        ),
        "denied": (
            f'the registry refuses to give out image "{image}"',
            "add a resource of type registry for it and set its credentials with `portable secret set`",
            12.0,
        ),
        "missing": (
            f'image "{image}" does not exist in its registry',
            f"check name and tag in {place}, or push the image first",
            2.0,
        ),
        "unreachable": (
            f'the registry of image "{image}" cannot be reached from the nodes',
            f"check the registry's name in {place} and the nodes' way to it; a local image has to be built before `up`",
            12.0 if nobody_there else 30.0,
        ),
    }[answer]
