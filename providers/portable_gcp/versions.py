"""Kubernetes versions as GKE names them: "1.33.5-gke.1080000"; a spec says "1.33", "1.33.5" or all of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from portable.errors import ProviderError
from portable_gcp.place import Place
from portable_gcp.session import Google, word

CHANNEL = "REGULAR"
WORDS = re.compile(r"\d+\.\d+(\.\d+(-gke\.\d+)?)?")


def offered(google: Google, place: Place) -> list[str]:
    """What the regular channel offers there, newest first."""
    config = google.container("container.projects.locations.getServerConfig", name=place.parent)
    channel = next((entry for entry in config.channels if word(entry.channel) == CHANNEL), None)
    return sorted(channel.valid_versions if channel else (), key=key, reverse=True)


def choose(wanted: str, available: Sequence[str], region: str) -> str:
    """The newest that `wanted` means; of all for "". Raises ProviderError where there is none."""
    found = next((version for version in available if means(wanted, version)), None)
    if found is None:
        minors = ", ".join(dict.fromkeys(minor(version) for version in available)) or "nothing"
        raise ProviderError(
            f"GKE does not offer Kubernetes {wanted or 'versions'} in {region}",
            detail=f"its regular channel offers {minors} ({', '.join(available[:6])}{', ...' if len(available) > 6 else ''})",
            fix="set cluster.version to one of these, or leave it out for the newest",
        )
    return found


def means(wanted: str, version: str) -> bool:
    """Whether `version` is what `wanted` asks for, part by part: 1.3 is not 1.33."""
    parts, given = _parts(version), _parts(wanted)
    return parts[: len(given)] == given


def satisfied(wanted: str, live: str) -> bool:
    """Google patches clusters by itself, so a later patch of the same minor will do."""
    return not wanted or means(wanted, live) or (minor(wanted) == minor(live) and key(live) >= key(wanted))


def minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def minors_between(live: str, wanted: str) -> list[str]:
    """The minors to pass through, the last included: one at a time. The live one alone where only the patch differs.

    Raises ProviderError for a way down.
    """
    major, low = _numbers(live)
    wanted_major, high = _numbers(wanted)
    if key(minor(wanted)) < key(minor(live)) or wanted_major != major:
        raise ProviderError(
            f"the cluster runs Kubernetes {live}, and the spec asks for {wanted}: GKE does not go back",
            detail="Google may have upgraded the cluster: its release channel does that before a minor version ends",
            fix=f'set cluster.version to "{minor(live)}", or leave it out',
        )
    return [f"{major}.{number}" for number in range(low + 1, high + 1)] or [minor(live)]


@cache
def key(version: str) -> tuple[int, ...]:
    """For comparing."""
    return tuple(int(number) for number in _parts(version))


def behind(older: str, newer: str) -> int:
    """By how many minors."""
    return _numbers(newer)[1] - _numbers(older)[1]


def _parts(version: str) -> list[str]:
    return re.findall(r"\d+", version)


def _numbers(version: str) -> tuple[int, int]:
    major, number, *_ = _parts(version)
    return int(major), int(number)
