"""The spec's last word: patches on single objects, applied before digests are taken."""

from __future__ import annotations

from portable.compile.objects import Item, logical_name
from portable.compile.scope import Scope
from portable.errors import SpecError
from portable.spec.model import Patch
from portable.spec.patches import apply_patch, missing_target


def apply_patches(scope: Scope, items: list[Item]) -> list[Item]:
    """`items` with the patches that are meant for this cloud or for all. A Job is named without its digest."""
    clouds = (None, scope.profile.cloud, *scope.profile.aliases)
    places = {logical_name(item.manifest): index for index, item in enumerate(items)}
    found = list(items)
    for patch in scope.app.patches.values():
        if patch.cloud in clouds:
            try:
                _apply(scope, patch, found, places)
            except SpecError as error:
                scope.problems.extend(error.problems)
    return found


def _apply(scope: Scope, patch: Patch, items: list[Item], places: dict[str, int]) -> None:
    if patch.target not in places:
        raise missing_target(scope.app, patch, list(places))
    index = places[patch.target]
    old = items[index]
    items[index] = Item(apply_patch(scope.app, patch, old.manifest), old.workload, old.kept)
