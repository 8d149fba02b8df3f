"""Files of other tools, given where a spec is wanted: told as what they are, once, with the way to take them over."""

from __future__ import annotations

import re

from portable.errors import SpecError
from portable.spec.document import Document, Node

# A group (or none, for the core's own types) and a version, as in Kubernetes' apiVersion.
_KUBERNETES = re.compile(r"([a-z0-9.-]+/)?v\d+((alpha|beta)\d+)?")


# Score's `image: .` leaves the build to a tool's command line; here it stands in a spec beside the file.
SCORE_BUILD = "a portable.yaml builds it: `workloads: {NAME: {score: FILE, containers: {CONTAINER: {build: .}}}}`"


def refuse_foreign(document: Document) -> None:
    """Raises SpecError for a compose file and for a Kubernetes manifest."""
    found = _kind(document.root)
    if found is not None:
        message = f"this is a {found[0]} and no spec"
        problem = document.problem((), message, hint=import_hint(document.root, document.file))
        raise SpecError([problem], file=document.file)


def import_hint(root: Node, file: str) -> str:
    """How to take `file` over; nothing where it is of no tool that `import` knows."""
    found = _kind(root)
    return f"make a spec of it: `portable import {found[1]} {file}`" if found else ""


def _kind(root: Node) -> tuple[str, str] | None:
    """What it is, and how `import` calls it."""
    value = root.plain()
    if not isinstance(value, dict) or "workloads" in value:
        return None
    version = value.get("apiVersion")
    if version is None and isinstance(value.get("services"), dict):
        return "compose file", "compose"
    ours = str(version).startswith(("portable/", "score.dev/"))
    if isinstance(version, str) and _KUBERNETES.fullmatch(version) and "kind" in value and not ours:
        return "Kubernetes manifest", "manifests"
    return None
