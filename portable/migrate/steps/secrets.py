"""Secrets go from API server to API server. Values are in this process' memory alone: in no file, no log, no journal."""

from __future__ import annotations

from collections.abc import Mapping

from portable.errors import ClusterError, SecretsMissing
from portable.kube import Kube
from portable.migrate.move import Move
from portable.migrate.steps.step import Facts, MigrationStep
from portable.provider import KubeObject, Routes
from portable.steps import Progress

_MANAGER = "portable-secrets"


def _wanted(move: Move) -> dict[str, str]:
    """Name -> resource of the Secrets that move: users' and generated ones, and certificates that no plugin makes by itself."""
    objects = move.source_side.objects
    found = {secret.name: secret.workload or secret.name for secret in objects.generated}
    plugin_makes = isinstance(move.target.provider, Routes) or isinstance(move.source.provider, Routes)
    for expected in objects.expected:
        if not (expected.certificate_hosts and plugin_makes):
            found[expected.name] = expected.resource
    return found


def _copy(move: Move, progress: Progress) -> Facts:
    """The engine takes generated values over from what it finds in the cluster, so the target's next `up` makes no others."""
    source, target = move.source_side, move.target_side
    live = {secret["metadata"]["name"]: secret for secret in source.kube.list("v1", "Secret", source.namespace)}
    wanted = _wanted(move)
    certificates = {expected.name for expected in source.objects.expected if expected.certificate_hosts}
    missing = [resource for name, resource in wanted.items() if name not in live and name not in certificates]
    if missing:
        raise SecretsMissing(missing, fix="\n".join(f"portable secret set {name}" for name in missing))
    names = [name for name in wanted if name in live]
    for name in names:
        progress.note(name)
        _put(target.kube, target.namespace, live[name])
    return {"names": names}


def _put(kube: Kube, namespace: str, secret: KubeObject) -> None:
    metadata = secret["metadata"]
    name, kind, data = metadata["name"], secret.get("type", "Opaque"), secret.get("data") or {}
    there = kube.get("v1", "Secret", name, namespace)
    if there is not None and there.get("type", "Opaque") == kind:
        if there.get("data") != data:
            gone: Mapping[str, str | None] = dict.fromkeys((there.get("data") or {}).keys() - data.keys())
            kube.merge_patch("v1", "Secret", name, {"data": {**gone, **data}}, namespace, field_manager=_MANAGER)
        return
    if there is not None:  # the type of a Secret cannot be changed
        kube.delete("v1", "Secret", name, namespace, uid=there["metadata"]["uid"])
        kube.wait_gone("v1", "Secret", name, namespace, uid=there["metadata"]["uid"], timeout=30)
    made = {"name": name, "namespace": namespace, "labels": metadata.get("labels", {})}
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": made, "type": kind, "data": data}
    try:
        kube.create(manifest, field_manager=_MANAGER)
    except ClusterError as error:
        if error.status != 409:
            raise


def differing(move: Move) -> str:
    """By name, never by value."""
    source, target = move.source_side, move.target_side
    here = _values(source.kube, source.namespace)
    there = _values(target.kube, target.namespace)
    names = [name for name in _wanted(move) if name in here and here[name] != there.get(name)]
    return f"on the target these secrets have other values: {', '.join(names)}" if names else ""


def _values(kube: Kube, namespace: str) -> dict[str, object]:
    return {secret["metadata"]["name"]: secret.get("data") for secret in kube.list("v1", "Secret", namespace)}


SECRETS = MigrationStep("secrets", "secrets, from API server to API server", _copy, check=differing)
