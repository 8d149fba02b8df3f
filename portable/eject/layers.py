"""The objects of several clouds as layers: what is equal on all of them, and what each cloud changes and adds. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portable.compile.objects import Reference, reference
from portable.provider import KubeObject

_DIFFERENT = object()


@dataclass(frozen=True)
class Patch:
    """An RFC 6902 patch that makes the object called `target` in the base what it is on one cloud."""

    target: Reference
    operations: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Overlay:
    """What one cloud adds to the base: patches of what is there, and objects of its own."""

    patches: tuple[Patch, ...]
    objects: tuple[KubeObject, ...]


@dataclass(frozen=True)
class Layers:
    base: tuple[KubeObject, ...]
    overlays: Mapping[str, Overlay]


def layered(objects: Mapping[str, Sequence[KubeObject]]) -> Layers:
    """`objects`: cloud -> its objects. Each overlay on the base gives exactly that cloud's objects.

    An object that all clouds have is in the base, without the fields in which they differ.
    """
    by_cloud = {cloud: {reference(each): each for each in found} for cloud, found in objects.items()}
    first = next(iter(by_cloud.values()))
    everywhere = [name for name in first if all(name in found for found in by_cloud.values())]
    base = {name: common([found[name] for found in by_cloud.values()]) for name in everywhere}
    return Layers(tuple(base.values()), {cloud: _overlay(base, found) for cloud, found in by_cloud.items()})


def common(values: Sequence[Any]) -> Any:
    """What all of `values` hold: maps without the keys in which they differ, lists of maps by place."""
    first = values[0]
    if all(value == first for value in values):
        return first
    if all(isinstance(value, dict) for value in values):
        shared = [key for key in first if all(key in value for value in values)]
        found = {key: common([value[key] for value in values]) for key in shared}
        return {key: value for key, value in found.items() if value is not _DIFFERENT}
    if all(isinstance(value, list) and len(value) == len(first) for value in values):
        entries = [common(list(entry)) for entry in zip(*values, strict=True)]
        return entries if all(entry is not _DIFFERENT for entry in entries) else _DIFFERENT
    return _DIFFERENT


def _overlay(base: Mapping[Reference, KubeObject], objects: Mapping[Reference, KubeObject]) -> Overlay:
    import jsonpatch

    changed = [name for name, shared in base.items() if objects[name] != shared]
    patches = tuple(Patch(name, tuple(jsonpatch.make_patch(base[name], objects[name]).patch)) for name in changed)
    return Overlay(patches, tuple(each for name, each in objects.items() if name not in base))
