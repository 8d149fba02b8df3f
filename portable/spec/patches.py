"""Patches of compiled objects: RFC 7386 (merge) first, then RFC 6902 (json)."""

from __future__ import annotations

import copy
from typing import Any

from portable.errors import Problem, SpecError
from portable.spec.document import Positions, did_you_mean, listed
from portable.spec.model import App, Patch


def merge_patch(target: Any, patch: Any) -> Any:
    """`patch` applied to `target` as RFC 7386, section 2 has it. Neither is changed; `null` removes a key."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def apply_patch(app: App, patch: Patch, manifest: dict[str, Any]) -> dict[str, Any]:
    """`manifest` with `patch` applied; the argument stays as it is. Raises SpecError where the JSON patch does not apply."""
    result = merge_patch(manifest, patch.merge) if patch.merge is not None else copy.deepcopy(manifest)
    if patch.json:
        result = _json_patch(app, patch, result)
    if not isinstance(result, dict) or any(result.get(key) != manifest.get(key) for key in ("apiVersion", "kind")):
        raise patch_error(app, patch, f"it makes {patch.target} another kind of object")
    if result.get("metadata", {}).get("name") != manifest["metadata"]["name"]:
        raise patch_error(app, patch, f"it renames {patch.target}")
    return result


def _json_patch(app: App, patch: Patch, manifest: dict[str, Any]) -> Any:
    import jsonpatch
    import jsonpointer

    operations = [dict(operation) for operation in patch.json]
    try:
        return jsonpatch.JsonPatch(operations).apply(manifest)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, ValueError, KeyError) as error:
        raise patch_error(app, patch, f"it does not apply to {patch.target}: {error}") from error


def missing_target(app: App, patch: Patch, targets: list[str]) -> SpecError:
    """The error for a patch whose target is none of `targets` ("Deployment/web")."""
    expected = f"one of {listed(sorted(targets))}"
    return patch_error(app, patch, f"there is no object {patch.target}", expected, did_you_mean(patch.target, targets))


def patch_error(app: App, patch: Patch, message: str, expected: str = "", hint: str = "") -> SpecError:
    """A SpecError at the patch's place in the spec."""
    words = f"the patch {patch.name}: {message}"
    if isinstance(app.positions, Positions):
        document = app.positions.document
        path = ("patches", patch.name, "target")
        return SpecError([document.problem(path, words, expected=expected, hint=hint)], file=document.file)
    return SpecError([Problem(words, path=f"patches.{patch.name}", expected=expected, hint=hint)])
