"""The built-in `kubernetes:` types: server-side apply, dry-run diffs, deletion that waits for finalizers.

One class serves every kind, since the API server does the merging: https://kubernetes.io/docs/reference/using-api/server-side-apply/
Inputs are whole manifests, as pulumi-kubernetes has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portable.engine.changes import SECRET, FieldChange, field_changes
from portable.engine.types import UNKNOWN, FieldDiff
from portable.errors import ClusterError, Problem
from portable.events import Emit
from portable.kube import FIELD_MANAGER, Kube, Propagation
from portable.provider import Inputs, KubeObject, Outputs
from portable_stacks.app.resources import ANNOTATION_PREFIX

DELETE_SECONDS = 600.0
# Kinds whose pods must be gone with them. The others own nothing to wait for, and a foreground deletion would only queue them
# behind the cluster's garbage collector.
_OWNERS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob")
SECRET_KEYS = {"Secret": ("data", "stringData")}
# Written by the server at any time: no change of ours.
_LOOKS = 4  # at an object that is written to while it is compared
_SERVER_FIELDS = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")


class KubernetesObject:
    """Any Kubernetes object, applied by `kube` as the field manager `portable`. Every method may be repeated.

    All raise ClusterError with the API server's own words. `with_namespace`: the namespace is deleted too and waits for
    everything in it, so that nothing else has to wait for its pods.
    """

    def __init__(self, kube: Kube, *, with_namespace: bool = False) -> None:
        self._kube = kube
        self._foreground = () if with_namespace else _OWNERS

    def secret_outputs_of(self, inputs: Inputs) -> tuple[str, ...]:
        return SECRET_KEYS.get(inputs.get("kind", ""), ())

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> FieldDiff:
        """Compares the live object with what a dry run of the apply would make of it: what differs is what would change."""
        manifest = sent(_known(new))
        fields: tuple[FieldChange, ...] = ()
        for _ in range(_LOOKS):
            live = self._get(manifest)
            if live is None or "deletionTimestamp" in live["metadata"]:  # gone, or about to be
                return FieldDiff(changes=("metadata",))
            if new.get("data") == UNKNOWN:
                return FieldDiff(changes=("data",), fields=(FieldChange("data", SECRET, SECRET),))
            try:
                after = self._kube.apply(manifest, dry_run=True)
            except ClusterError as error:
                if not _recreatable(manifest, error):
                    raise
                return FieldDiff(changes=("spec",), fields=field_changes(sent(old), manifest), recreates=True)
            hidden = SECRET_KEYS.get(manifest["kind"], ())
            fields = field_changes(_stable(live), _stable(after), secret_keys=hidden)
            if not fields or not self._moved_since(live):
                break
        changes = tuple(dict.fromkeys(field.path.partition(".")[0].partition("[")[0] for field in fields))
        return FieldDiff(changes=changes, fields=fields)

    def _moved_since(self, live: KubeObject) -> bool:
        """Whether a controller wrote to the object meanwhile: then what differs may be its doing and not ours."""
        again = self._get(live)
        return again is None or again["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]

    def preview(self, inputs: Inputs) -> None:
        """Asks the server whether it would take a new object. Its namespace may not be there yet: then nobody can say."""
        try:
            self._kube.apply(sent(_known(inputs)), dry_run=True)
        except ClusterError as error:
            if error.status != 404:
                raise

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        manifest = sent(inputs)
        self._apply(manifest)
        return object_id(manifest), _outputs(inputs)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        """Applies. A StatefulSet whose immutable fields change is deleted without its pods and made anew around them."""
        manifest = sent(new)
        try:
            self._apply(manifest)
        except ClusterError as error:
            if not _recreatable(manifest, error):
                raise
            self.orphan(new)
            self._apply(manifest)
        return _outputs(new)

    def orphan(self, inputs: Inputs) -> None:
        """Deletes the object and leaves what it owns (a StatefulSet's pods run on)."""
        self._delete(sent(inputs), propagation="Orphan")

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        return None if self._get(sent(inputs or outputs)) is None else _outputs(inputs or outputs)

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        """Returns once the object and the pods that it owned are gone, finalizers included."""
        manifest = sent(outputs)
        self._delete(manifest, propagation="Foreground" if manifest["kind"] in self._foreground else "Background")

    def _get(self, manifest: KubeObject) -> KubeObject | None:
        try:
            return self._kube.get(*_address(manifest))
        except ClusterError as error:
            if error.status == 404:  # the kind itself is unknown: its CRD is gone
                return None
            raise

    def _apply(self, manifest: KubeObject) -> None:
        """An object that is on its way out (an interrupted destroy) takes an apply and vanishes: wait and apply again."""
        applied = self._kube.apply(manifest)
        if applied["metadata"].get("deletionTimestamp"):
            self._wait_gone(manifest, applied["metadata"]["uid"])
            self._kube.apply(manifest)

    def _delete(self, manifest: KubeObject, *, propagation: Propagation) -> None:
        live = self._get(manifest)
        if live is None:
            return
        uid = live["metadata"]["uid"]
        try:
            self._kube.delete(*_address(manifest), propagation=propagation, uid=uid)
        except ClusterError as error:
            if error.status != 409:  # another object by now: ours is gone
                raise
        self._wait_gone(manifest, uid)

    def _wait_gone(self, manifest: KubeObject, uid: str) -> None:
        if self._kube.wait_gone(*_address(manifest), uid=uid, timeout=DELETE_SECONDS):
            return
        live = self._get(manifest) or {"metadata": {}}
        held = ", ".join(live["metadata"].get("finalizers", ())) or "none named"
        raise ClusterError(
            f"{manifest['kind']}/{manifest['metadata']['name']} is still there {DELETE_SECONDS:.0f} s after its deletion",
            detail=f"finalizers that hold it: {held}",
            fix="find out why their controller does not finish, then run the same command again",
        )


def sent(inputs: Mapping[str, Any]) -> KubeObject:
    """The manifest that goes to the server: without what only Pulumi reads."""
    manifest = {key: value for key, value in inputs.items() if not key.startswith("__")}
    metadata = dict(manifest["metadata"])
    annotations = {k: v for k, v in metadata.pop("annotations", {}).items() if not k.startswith(ANNOTATION_PREFIX)}
    return {**manifest, "metadata": {**metadata, **({"annotations": annotations} if annotations else {})}}


def _known(inputs: Inputs) -> Inputs:
    """Without what a preview does not know yet: data composed from credentials that are still to be made."""
    return {key: value for key, value in inputs.items() if value != UNKNOWN}


def object_id(manifest: KubeObject) -> str:
    """As pulumi-kubernetes: "namespace/name", or the name alone where there is no namespace."""
    metadata = manifest["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else metadata["name"]


def _address(manifest: KubeObject) -> tuple[str, str, str, str | None]:
    metadata = manifest["metadata"]
    return manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace")


def _outputs(inputs: Inputs) -> Outputs:
    # the two keys are what the official plugin looks for in a state that it takes over
    return {**inputs, "__fieldManager": FIELD_MANAGER, "__initialApiVersion": inputs["apiVersion"]}


def _stable(live: KubeObject) -> KubeObject:
    metadata = {key: value for key, value in live["metadata"].items() if key not in _SERVER_FIELDS}
    return {**{key: value for key, value in live.items() if key != "status"}, "metadata": metadata}


def _recreatable(manifest: KubeObject, error: ClusterError) -> bool:
    return manifest["kind"] == "StatefulSet" and error.status == 422 and "updates to statefulset spec" in str(error)
