"""Layers as files for `kubectl kustomize`: a base, and an overlay for each cloud.

https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from portable.compile.names import WORKLOAD_LABEL
from portable.compile.objects import Reference
from portable.compile.render import documents_yaml
from portable.eject.layers import Layers, Overlay, Patch
from portable.provider import KubeObject

SHARED = "_shared"  # no workload can be called so, and the namespace in it sorts first
OWN = "objects.yaml"
_KUSTOMIZATION = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


def files(layers: Layers) -> dict[str, str]:
    """Path below the folder -> content: `base/` with a file for each workload, `overlays/CLOUD/`."""
    found = {f"base/{name}.yaml": documents_yaml(each) for name, each in _by_workload(layers.base).items()}
    found["base/kustomization.yaml"] = _kustomization(resources=[path.partition("/")[2] for path in found])
    for cloud, overlay in layers.overlays.items():
        found |= {f"overlays/{cloud}/{name}": content for name, content in _overlay_files(overlay).items()}
    return found


def _overlay_files(overlay: Overlay) -> dict[str, str]:
    found = {_patch_file(patch.target): documents_yaml([list(patch.operations)]) for patch in overlay.patches}
    more: dict[str, Any] = {"resources": ["../../base"]}
    if overlay.objects:
        found[OWN] = documents_yaml(overlay.objects)
        more["resources"].append(OWN)
    if overlay.patches:
        more["patches"] = [_patch_entry(patch) for patch in overlay.patches]
    return found | {"kustomization.yaml": _kustomization(**more)}


def _by_workload(objects: Iterable[KubeObject]) -> Mapping[str, list[KubeObject]]:
    found: dict[str, list[KubeObject]] = {}
    for each in objects:
        name = each["metadata"].get("labels", {}).get(WORKLOAD_LABEL, SHARED)
        found.setdefault(name, []).append(each)
    return dict(sorted(found.items()))


def _patch_file(target: Reference) -> str:
    return f"patches/{target.kind.lower()}-{target.name}.yaml"


def _patch_entry(patch: Patch) -> dict[str, Any]:
    group, _, version = patch.target.api_version.rpartition("/")
    target = {"group": group, "version": version, "kind": patch.target.kind, "name": patch.target.name}
    return {"path": _patch_file(patch.target), "target": {key: value for key, value in target.items() if value}}


def _kustomization(**content: Any) -> str:
    return documents_yaml([{**_KUSTOMIZATION, **content}])
