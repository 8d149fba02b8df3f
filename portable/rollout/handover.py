"""Who owns `replicas` when a workload becomes autoscaled, and when it no longer is.

Server-side apply removes a field that its only owner leaves out, and the API server then fills in 1. So before our apply
leaves `replicas` out, another field manager takes the field with the count that is live, and we let go of it
(https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership). A new workload gets its
minimum the same way, the moment its object is there: the autoscaler alone would take up to 15 s to raise it from 1.

The other way round the autoscaler goes first: left until what is superseded goes, it would undo the count that we apply.
"""

from __future__ import annotations

import copy

from portable.compile.names import WORKLOAD_LABEL
from portable.compile.objects import CompiledWorkload, Objects
from portable.errors import ClusterError
from portable.kube import FIELD_MANAGER, Kube
from portable.provider import KubeObject
from portable.rollout.ownership import owns
from portable.rollout.view import View

SCALE_MANAGER = "portable-scale"
AUTOSCALER = ("autoscaling/v2", "HorizontalPodAutoscaler")
_TRIES = 5


def hand_over_replicas(kube: Kube, objects: Objects) -> tuple[str, ...]:
    """Call before the apply. Names the workloads whose count was handed over; the count itself does not change.

    Raises ClusterError.
    """
    return tuple(
        workload.name
        for workload in objects.workloads.values()
        if workload.autoscaled and _hand_over(kube, workload, objects.namespace)
    )


def dismiss_autoscalers(kube: Kube, objects: Objects) -> tuple[str, ...]:
    """Call before the apply. Deletes the autoscalers of ours whose workloads have a fixed count from now on, and names those
    workloads; the count itself does not change. Going back to the version before makes them again.

    Raises ClusterError.
    """
    staying = {item.manifest["metadata"]["name"] for item in objects.items if item.manifest["kind"] == AUTOSCALER[1]}
    dismissed = []
    for scaler in kube.list(*AUTOSCALER, objects.namespace):
        metadata = scaler["metadata"]
        workload = metadata.get("labels", {}).get(WORKLOAD_LABEL)
        if workload in objects.workloads and metadata["name"] not in staying:
            # in the background: one that waits for the garbage collector would still act
            kube.delete(*AUTOSCALER, metadata["name"], objects.namespace, propagation="Background", uid=metadata["uid"])
            dismissed.append(workload)
    return tuple(dismissed)


def _hand_over(kube: Kube, workload: CompiledWorkload, namespace: str) -> bool:
    """The autoscaler may change the count between our read and our apply: the apply holds only for what was read."""
    reference = workload.controller
    for attempt in range(_TRIES):
        live = kube.get(reference.api_version, reference.kind, reference.name, namespace)
        if live is None or not _owned_by_an_applier(live):
            return False
        try:
            pass_field(kube, _take(kube, live, live["spec"]["replicas"]), "replicas", FIELD_MANAGER)
        except ClusterError as error:
            if error.status != 409 or attempt == _TRIES - 1:
                raise
        else:
            return True
    return False


def start_at_minimum(kube: Kube, view: View) -> bool:
    """Raises the count of an autoscaled workload that runs fewer than its minimum; never lowers it. Raises ClusterError.

    Only once our apply has taken effect (the view's digest is ours), so that two writers never meet.
    """
    workload, live = view.workload, view.controller
    if live is None or not view.applied or not workload.autoscaled or not workload.scale_min:
        return False
    if live.get("spec", {}).get("replicas", 1) >= workload.scale_min:
        return False
    try:
        _take(kube, live, workload.scale_min)
    except ClusterError as error:
        if error.status != 409:
            raise
        return False  # someone was faster: the next look decides anew
    return True


def _owned_by_an_applier(live: KubeObject) -> bool:
    """Whether an apply that leaves `replicas` out would take it away: only appliers lose fields by leaving them out."""
    return any(
        entry.get("operation") == "Apply" and entry.get("manager") != SCALE_MANAGER and owns(entry, "spec", "replicas")
        for entry in live["metadata"].get("managedFields", ())
    )


def pass_field(kube: Kube, live: KubeObject, field: str, manager: str, *, to: str = "") -> None:
    """Takes `spec.FIELD` out of the fields of `manager`, and adds it to those that `to` applies. Its value does not change.

    A count left in our own, where nothing else changes and no apply follows, would look like drift once the autoscaler chooses another. Such
    edits of managedFields are client-go's way too (util/csaupgrade). Raises ClusterError, 409 where the object has changed.
    """
    entries: list[KubeObject] = copy.deepcopy(live["metadata"].get("managedFields", []))
    for entry in entries:
        if entry.get("subresource"):
            continue
        if entry["manager"] == manager and owns(entry, "spec", field):
            _let_go(entry["fieldsV1"], field)
        elif entry["manager"] == to and entry.get("operation") == "Apply":
            entry["fieldsV1"].setdefault("f:spec", {})[f"f:{field}"] = {}
    entries = [entry for entry in entries if entry["fieldsV1"]]
    metadata = live["metadata"]
    patch = {"metadata": {"resourceVersion": metadata["resourceVersion"], "managedFields": entries}}
    kube.merge_patch(live["apiVersion"], live["kind"], metadata["name"], patch, metadata["namespace"])


def _let_go(fields: KubeObject, field: str) -> None:
    """Without what that leaves empty: an empty `f:spec` is a claim to all of it."""
    del fields["f:spec"][f"f:{field}"]
    if not fields["f:spec"]:
        del fields["f:spec"]


def _take(kube: Kube, live: KubeObject, replicas: int) -> KubeObject:
    """`resourceVersion` makes it a compare-and-set: 409 when the object has changed since it was read."""
    metadata = {key: live["metadata"][key] for key in ("name", "namespace", "resourceVersion")}
    manifest = {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": metadata,
        "spec": {"replicas": replicas},
    }
    return kube.apply(manifest, field_manager=SCALE_MANAGER)
