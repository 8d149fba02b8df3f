"""Environments: overlays that are merged over the spec by RFC 7386, each with a default cloud."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from portable.errors import Problem, UsageError
from portable.spec.document import Document, Node, did_you_mean, listed, merge
from portable.spec.validate import check_schema

_SECTIONS = ("workloads", "resources", "cluster", "patches")


def environment_clouds(document: Document) -> dict[str, str | None]:
    """The environments of `document` by name, each with its default cloud."""
    return {name: _text(node.child("cloud")) for name, node in _environments(document).items()}


def with_environment(document: Document, name: str | None) -> Document:
    """`document` with the environment `name` merged in; without a name as it is. Raises UsageError for an unknown name."""
    if name is None:
        return document
    known = _environments(document)
    if name not in known:
        raise UsageError(
            f'the spec has no environment "{name}"',
            detail=f"it has: {listed(known) or 'none'}",
            fix=did_you_mean(name, known) or "add it under `environments`, or leave out -e",
        )
    return document.replaced(_merged(document.root, known[name]))


def overlay_problems(document: Document, chosen: str | None) -> Iterator[Problem]:
    """What would be wrong in the environments that were not chosen: only what they touch is looked at."""
    for name, overlay in _environments(document).items():
        if name == chosen or not isinstance(overlay.content, dict):
            continue
        merged = document.replaced(_touched(_merged(document.root, overlay), overlay))
        yield from check_schema(merged, "app.v1", merged.root.plain()).problems


def _environments(document: Document) -> Mapping[str, Node]:
    section = document.root.child("environments")
    return section.content if section is not None and isinstance(section.content, dict) else {}


def _text(node: Node | None) -> str | None:
    return node.content if node is not None and isinstance(node.content, str) else None


def _part(node: Node, names: Any) -> Node:
    """`node`, a map, with those of its keys that are in `names`."""
    assert isinstance(node.content, dict)
    return Node({name: child for name, child in node.content.items() if name in names}, node.mark, node.key)


def _merged(root: Node, overlay: Node) -> Node:
    return merge(root, _part(overlay, _SECTIONS)) if isinstance(overlay.content, dict) else root


def _touched(root: Node, overlay: Node) -> Node:
    """`root` with only those workloads, resources and patches that `overlay` changes, so that checking stays cheap."""
    assert isinstance(root.content, dict)
    kept = dict(root.content)
    kept.pop("environments", None)
    for section in ("workloads", "resources", "patches"):
        changed, whole = overlay.child(section), kept.get(section)
        if whole is not None and isinstance(whole.content, dict) and changed is None and section != "workloads":
            del kept[section]
        elif whole is not None and isinstance(whole.content, dict):
            names = list(changed.content) if changed is not None and isinstance(changed.content, dict) else []
            kept[section] = _part(whole, names or list(whole.content)[:1])
    return Node(kept, root.mark, root.key)
