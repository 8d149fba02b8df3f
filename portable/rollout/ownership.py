"""Which fields of a live object a field manager owns, from `metadata.managedFields`.

FieldsV1 is a trie: `f:NAME` a field, `k:{"key": "value"}` a list item by its keys, `v:VALUE` an item of a set, `i:N` an item by
index, `.` the thing itself. Source: sigs.k8s.io/structured-merge-diff/fieldpath/serialize-pe.go and
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from portable.kube import FIELD_MANAGER
from portable.provider import KubeObject

_ABSENT = object()


def owned_fields(live: KubeObject, manager: str = FIELD_MANAGER) -> dict[str, Any]:
    """The part of `live` that `manager` owns, in the form of the object; {} where it owns nothing.

    Whatever someone else has changed since is no longer in it, because changing a field takes it over: so a difference
    between two calls is a change of something that was ours.
    """
    merged: dict[str, Any] = {}
    for entry in live["metadata"].get("managedFields", ()):
        if entry.get("manager") == manager and not entry.get("subresource"):
            _merge(merged, entry.get("fieldsV1") or {})
    return _extract(live, merged) if merged else {}


def owned_digest(live: KubeObject, manager: str = FIELD_MANAGER) -> str:
    """SHA-256 (hex) of `owned_fields`: equal as long as nobody has changed, taken over or removed what we applied."""
    text = json.dumps(owned_fields(live, manager), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def applied_fields(live: KubeObject) -> tuple[str, dict[str, Any]]:
    """(manager, fields) of the manager that applied the object's spec; ("", {}) where nobody did by server-side apply."""
    for entry in live["metadata"].get("managedFields", ()):
        if entry.get("operation") == "Apply" and not entry.get("subresource") and "f:spec" in entry.get("fieldsV1", {}):
            return entry["manager"], _extract(live, entry["fieldsV1"])
    return "", {}


def owns(entry: Mapping[str, Any], *path: str) -> bool:
    """Whether a managedFields entry covers the field at `path` ("spec", "replicas")."""
    fields: Any = entry.get("fieldsV1") or {}
    for name in path:
        if f"f:{name}" not in fields:
            return False
        fields = fields[f"f:{name}"]
    return True


def _merge(into: dict[str, Any], fields: Mapping[str, Any]) -> None:
    """Union of two tries. An empty node is "all of it", which nothing can add to and which adds only itself."""
    for key, below in fields.items():
        if key not in into:
            into[key] = json.loads(json.dumps(below))
        elif into[key] and below:
            _merge(into[key], below)
        else:
            into[key] = {}


def _extract(value: Any, fields: Mapping[str, Any]) -> Any:
    """The part of `value` that the trie names; an empty node names all of it."""
    if not fields:
        return value
    if isinstance(value, dict):
        return {
            key[2:]: _extract(value[key[2:]], below)
            for key, below in fields.items()
            if key.startswith("f:") and key[2:] in value
        }
    if isinstance(value, list):
        found = [_item(item, index, fields) for index, item in enumerate(value)]
        return [item for item in found if item is not _ABSENT]
    return value


def _item(item: Any, index: int, fields: Mapping[str, Any]) -> Any:
    for key, below in fields.items():
        kind, _, text = key.partition(":")
        if kind == "v" and json.loads(text) == item:
            return item
        if kind == "i" and int(text) == index:
            return _extract(item, below)
        if kind == "k" and isinstance(item, dict):
            keys: dict[str, Any] = json.loads(text)
            if all(item.get(name) == wanted for name, wanted in keys.items()):
                # `{".": {}}` is an item that is ours while none of its fields is: its keys still identify it.
                return keys | _extract(item, below) if below else item
    return _ABSENT
