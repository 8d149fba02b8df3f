"""Kubernetes manifests as a draft of a spec: controllers become workloads, with all that selects, scales and feeds them.

Manifests run images as they are, so their own user and a writable file system are kept unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from portable.errors import UsageError
from portable.importing import manifest_network, manifest_pods
from portable.importing.draft import Draft, Section, label, shaped
from portable.importing.manifest_objects import Found, Manifest, read
from portable.spec.document import Node

_REASONS = {
    "DaemonSet": "one pod on each node belongs to the cluster, not to an app",
    "Pod": "a pod by itself is not started again: make it a Deployment or a Job",
    "ReplicaSet": "import the Deployment that makes it",
    "NetworkPolicy": "portable writes policies from what the spec refers to",
    "Namespace": "each app has a namespace of its own",
    "ServiceAccount": "each workload gets one; `identity` binds it to the cloud",
    "Role": "pods here have no API token",
    "RoleBinding": "pods here have no API token",
    "ClusterRole": "it belongs to the cluster",
    "ClusterRoleBinding": "it belongs to the cluster",
    "CustomResourceDefinition": "it belongs to the cluster",
    "StorageClass": "the cloud's plugin chooses classes",
    "IngressClass": "the cloud's plugin chooses classes",
    "PersistentVolume": "volumes are made for claims",
}
_SPEC = {
    "minReadySeconds": "a rollout goes on when the new pods are ready",
    "podManagementPolicy": "pods of a stateful workload start together",
    "updateStrategy": "pods of a stateful workload are replaced one by one",
    "persistentVolumeClaimRetentionPolicy": "claims are kept",
    "backoffLimit": "a job is tried three times",
    "completions": "a job runs one pod",
    "parallelism": "a job runs one pod",
    "ttlSecondsAfterFinished": "finished jobs stay until the next version",
    "activeDeadlineSeconds": "`rollout.timeout` says how long a job may take",
    "paused": "", "suspend": "",
}  # fmt: skip
# As portable has it.
_SAME = {
    "podManagementPolicy": "Parallel",
    "updateStrategy": {"type": "RollingUpdate"},
    "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
}
# What tools write down for themselves.
_RECORDS = ("kubectl.kubernetes.io/last-applied", "deployment.kubernetes.io/", "pulumi.com/", "meta.helm.sh/")
_SILENT = ("selector", "serviceName", "revisionHistoryLimit", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")


def from_manifests(files: Sequence[Path], *, name: str = "") -> Draft:
    """The app in `files`. Raises SpecError where one is no YAML, UsageError where a document is no Kubernetes object."""
    draft = Draft(name)
    found = read(files, draft)
    if not found.everything:
        raise UsageError(
            "there are no Kubernetes objects in " + ", ".join(map(str, files)),
            fix="name manifests; a compose file is taken over by `portable import compose`, a Score file by `portable import score`",
        )
    draft.name = label(name or _app_name(found, files))
    whole = found.everything[0].section("")
    with shaped(whole, "an object"):
        names = manifest_network.workload_names(found)
    for manifest in found.of("Deployment", "StatefulSet", "Job", "CronJob"):
        about = manifest.section(names[manifest.key])
        with shaped(about, f"{manifest.kind} {manifest.name}"):
            draft.workloads[about.about] = _workload(found, manifest, about)
    with shaped(whole, "a Service, Ingress, autoscaler or budget"):
        manifest_network.connect(found, names, draft)
    for manifest in found.everything:
        if manifest.taken:
            _annotations(manifest)
        elif not _ordinary(manifest):
            reason = _REASONS.get(manifest.kind, "nothing in a spec stands for it")
            manifest.section("").report(
                manifest.document.root, f"{manifest.kind} {manifest.name} is not taken over", reason
            )
    return draft


def _app_name(found: Found, files: Sequence[Path]) -> str:
    """What the objects say themselves, else the namespace, else the file's."""
    for key in ("app.kubernetes.io/part-of", "app.kubernetes.io/instance"):
        values = {each.labels[key] for each in found.everything if key in each.labels}
        if len(values) == 1:
            return values.pop()
    namespaces = {each.namespace for each in found.everything if each.namespace not in ("", "default")}
    return namespaces.pop() if len(namespaces) == 1 else files[0].stem


def _workload(found: Found, manifest: Manifest, about: Section) -> dict[str, Any]:
    manifest.taken = True
    spec = about.section("spec") or about.of(Node({}, about.node.mark))
    body: dict[str, Any] = {}
    if manifest.kind == "CronJob":
        body |= _schedule(spec)
        template = spec.section("jobTemplate")
        inner = template.section("spec") if template is not None else None
        _close(spec)
        spec = inner or spec
    else:
        body |= _KINDS[manifest.kind](found, manifest, spec)
    template = spec.section("template")
    if template is not None:
        body |= manifest_pods.pod(found, manifest, template, claims=spec.sections("volumeClaimTemplates"))
    _close(spec)
    return body


def _annotations(manifest: Manifest) -> None:
    """Annotations of objects are orders to controllers; a spec has only those of pods."""
    kept = [key for key in manifest.annotations if not key.startswith(_RECORDS)]
    if kept and manifest.kind != "Ingress":
        about = manifest.section("")
        message = f"annotations of {manifest.kind} {manifest.name} are not taken over: {', '.join(kept)}"
        about.report(manifest.document.root.child("metadata"), message, "a patch can set them, for one cloud")


def _close(spec: Section) -> None:
    same = [key for key, value in _SAME.items() if (node := spec.node.child(key)) is not None and node.plain() == value]
    spec.close(_SPEC, silent=(*_SILENT, *same))


def _ordinary(manifest: Manifest) -> bool:
    """What every app here has anyway: a namespace, and accounts without rights."""
    return manifest.kind in ("Namespace", "ServiceAccount") and not manifest.annotations


def _deployment(found: Found, manifest: Manifest, spec: Section) -> dict[str, Any]:
    body = _scale(found, manifest, spec)
    deadline = spec.value("progressDeadlineSeconds")
    rollout: dict[str, Any] = {"timeout": f"{deadline}s"} if deadline not in (None, 600) else {}
    strategy = spec.section("strategy")
    if strategy is not None:
        limits = strategy.section("rollingUpdate")
        if limits is not None:
            rollout |= {
                key: value for key in ("maxSurge", "maxUnavailable") if (value := limits.value(key)) is not None
            }
        if strategy.text("type") == "Recreate":
            strategy.report(
                strategy.node, "the strategy Recreate is not taken over", "it comes by itself with a volume of one node"
            )
    return body | ({"rollout": rollout} if rollout else {})


def _stateful(found: Found, manifest: Manifest, spec: Section) -> dict[str, Any]:
    return {"kind": "stateful"} | _scale(found, manifest, spec)


def _job(_found: Found, _manifest: Manifest, _spec: Section) -> dict[str, Any]:
    return {"kind": "job"}


def _scale(found: Found, manifest: Manifest, spec: Section) -> dict[str, Any]:
    """Kubernetes' own default is one copy; left out, a cloud here starts two."""
    count = spec.value("replicas", 1)
    autoscaled = any(manifest_network.scales(each, manifest) for each in found.of("HorizontalPodAutoscaler"))
    if count == 0:
        spec.report(spec.node.child("replicas"), "replicas: 0 is not taken over", "a workload here runs at least once")
    return {} if autoscaled else {"scale": {"min": max(int(count), 1)}}


def _schedule(spec: Section) -> dict[str, Any]:
    zone = spec.text("timeZone")
    if zone not in ("", "Etc/UTC", "UTC"):
        spec.report(
            spec.node.child("timeZone"),
            f"the time zone {zone} is not taken over",
            "schedules here are in UTC: shift the hours",
        )
    policy = spec.text("concurrencyPolicy", "Allow")
    if policy != "Forbid":
        spec.report(
            spec.node.child("concurrencyPolicy"),
            f"concurrencyPolicy: {policy} is not taken over",
            "a run waits for the one before",
        )
    spec.value("startingDeadlineSeconds")
    return {"schedule": spec.text("schedule")}


_KINDS: Mapping[str, Callable[[Found, Manifest, Section], dict[str, Any]]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful,
    "Job": _job,
}
