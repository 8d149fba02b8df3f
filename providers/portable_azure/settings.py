"""Settings of an ARM body by their path ("properties/oidcIssuerProfile/enabled"): one table says what is made, compared and put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def read(body: Mapping[str, Any], path: str) -> Any:
    value: Any = body
    for part in path.split("/"):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def write(body: dict[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """`body` itself, with every setting in it; a wanted None is taken out."""
    for path, value in wanted.items():
        *parents, last = path.split("/")
        place = body
        for part in parents:
            if not isinstance(place.get(part), dict):
                place[part] = {}
            place = place[part]
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return body


def observe(body: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What `body` says of each setting that is asked for."""
    return {path: read(body, path) for path in wanted}


def differing(seen: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths of those that are not as wanted; an empty list, an empty text, False and nothing are the same."""
    return tuple(path for path, value in wanted.items() if (seen.get(path) or None) != (value or None))
