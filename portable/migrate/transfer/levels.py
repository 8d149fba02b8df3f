"""The namespace's Pod Security level, lowered for as long as movers must be root, and put back."""

from __future__ import annotations

from portable.compile.security import LEVELS
from portable.migrate.sides import Side
from portable.migrate.transfer.objects import LEVEL_ANNOTATION

_ENFORCE = "pod-security.kubernetes.io/enforce"
# Root with the capabilities that reading and making files of others takes.
NEEDED = "baseline"


def lower(side: Side) -> None:
    """Afterwards the namespace admits root. What it was stands in an annotation."""
    namespace = side.kube.get("v1", "Namespace", side.namespace) or {"metadata": {}}
    before = (namespace["metadata"].get("labels") or {}).get(_ENFORCE)
    if before is None or LEVELS.index(before) >= LEVELS.index(NEEDED):
        return
    patch = {"metadata": {"annotations": {LEVEL_ANNOTATION: before}, "labels": {_ENFORCE: NEEDED}}}
    side.kube.merge_patch("v1", "Namespace", side.namespace, patch)


def put_back(side: Side) -> None:
    namespace = side.kube.get("v1", "Namespace", side.namespace)
    before = ((namespace or {}).get("metadata", {}).get("annotations") or {}).get(LEVEL_ANNOTATION)
    if before is not None:
        patch = {"metadata": {"annotations": {LEVEL_ANNOTATION: None}, "labels": {_ENFORCE: before}}}
        side.kube.merge_patch("v1", "Namespace", side.namespace, patch)
