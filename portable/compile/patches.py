"""The spec's last word: patches on single objects, applied before digests are taken."""

from __future__ import annotations

import difflib

from portable.compile.objects import Item, logical_name
from portable.compile.scope import Scope
from portable.errors import PortableError
from portable.provider import KubeObject
from portable.spec.model import Patch


def apply_patches(scope: Scope, items: list[Item]) -> list[Item]:
    """`items` with the patches that are meant for this cloud (or for all). A Job is named without its digest."""
    wanted = [patch for patch in scope.app.patches.values() if patch.cloud in (None, *_clouds(scope))]
    if not wanted:
        return items
    places = {logical_name(item.manifest): index for index, item in enumerate(items)}
    found = list(items)
    for patch in wanted:
        index = places.get(patch.target)
        if index is None:
            close = difflib.get_close_matches(patch.target, places, 1)
            scope.problem(
                f"patches.{patch.name}.target",
                f"the app has no object {patch.target}",
                expected="Kind/name of an object that `portable render` prints",
                hint=f"did you mean {close[0]}?" if close else "",
            )
            continue
        old = found[index]
        patched = _apply(scope, patch, old.manifest)
        found[index] = Item(patched, old.workload, old.kept)
    return found


def _clouds(scope: Scope) -> tuple[str, ...]:
    return (scope.profile.cloud, *scope.profile.aliases)


def _apply(scope: Scope, patch: Patch, manifest: KubeObject) -> KubeObject:
    from portable.spec.patches import apply_json, merge

    try:
        merged = manifest if patch.merge is None else merge(manifest, patch.merge)
        patched = merged if not patch.json else apply_json(merged, patch.json)
    except (PortableError, ValueError, KeyError, IndexError, TypeError) as fault:
        scope.problem(f"patches.{patch.name}", f"cannot be applied to {patch.target}: {fault}")
        return manifest
    if not isinstance(patched, dict) or logical_name(patched) != logical_name(manifest):
        scope.problem(f"patches.{patch.name}", f"a patch must leave kind and name of {patch.target} as they are")
        return manifest
    return patched
