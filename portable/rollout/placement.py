"""Signs around a pod: it is refused, finds no node, gets no volume, or is thrown out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from portable.errors import Cause
from portable.provider import KubeObject
from portable.rollout import hints
from portable.rollout.containers import missing_config
from portable.rollout.finding import NEVER, Finding
from portable.rollout.progress import shorten
from portable.rollout.view import View, condition, event_time, is_leaving, is_ready

Found = tuple[str, str, str, float]  # sign, summary, hint, patience


def refused_findings(view: View) -> Iterator[Finding]:
    """The API server will not let the controller make pods."""
    message = _refusal(view)
    if message:
        sign, summary, hint, patience = _refused(view, message)
        cause = Cause(view.workload.name, sign, summary, event=shorten(message, 500), hint=hint)
        yield Finding(cause, patience)


def _refusal(view: View) -> str:
    """ReplicaSets have a condition; the others only events, which count when they came after the last change of the spec."""
    maker = view.maker
    if maker is None:
        return ""
    failure = condition(maker, "ReplicaFailure")
    if failure is not None:
        return failure.get("message", "") if failure["status"] == "True" else ""
    status, spec = maker.get("status", {}), maker.get("spec", {})
    have = status.get("replicas", 0) if maker["kind"] == "StatefulSet" else len(view.pods)
    want = spec.get("replicas", 1) if maker["kind"] == "StatefulSet" else 1
    if have >= want or condition(maker, "Complete") or condition(maker, "Failed"):
        return ""
    changed = spec_changed(maker)
    return next((e["message"] for e in reversed(view.events_of(maker, "FailedCreate")) if event_time(e) >= changed), "")


def spec_changed(item: KubeObject) -> str:
    """When anyone last changed more than the status, by the server's clock (RFC 3339 text)."""
    entries = item["metadata"].get("managedFields", ())
    return max((str(e.get("time", ""))[:19] for e in entries if e.get("subresource") != "status"), default="")


def _refused(view: View, message: str) -> Found:
    name, place = view.workload.name, f"workloads.{view.workload.name}"
    if "exceeded quota" in message:
        detail = re.search(r"exceeded quota: (.*)$", message)
        summary = f"the namespace's quota is used up: {shorten(detail[1] if detail else message)}"
        patience = 30.0 if any(map(is_leaving, view.leaving)) else 5.0  # pods that end give their share back
        return "Quota", summary, f"lower {place}.scale or its containers' resources, or have the quota raised", patience
    if "violates PodSecurity" in message:
        detail = re.search(r"violates PodSecurity (.*)$", message)
        summary = (
            f"the namespace's Pod Security level refuses the pods: {shorten(detail[1] if detail else message, 300)}"
        )
        return "Admission", summary, hints.for_pod_security(name), 2.0
    if found := re.search(r'admission webhook "([^"]+)" denied the request:? ?(.*)', message):
        summary = f'the cluster\'s admission webhook "{found[1]}" refuses the pods: {shorten(found[2])}'
        return "Admission", summary, "change the spec as the message asks, or ask who runs that webhook", 2.0
    if found := re.search(r'failed calling webhook "([^"]+)"', message):
        summary = f'the cluster\'s admission webhook "{found[1]}" does not answer, so no pod can be made'
        return "Admission", summary, "have that webhook repaired or removed", 20.0
    if found := re.search(r"ValidatingAdmissionPolicy '([^']+)' with binding '[^']+' denied request: (.*)", message):
        summary = f'the cluster\'s admission policy "{found[1]}" refuses the pods: {shorten(found[2])}'
        return "Admission", summary, "change the spec as the message asks, or ask who set that policy", 2.0
    # A service account or priority class that is not there yet may be on its way.
    patience = 15.0 if "not found" in message or "serviceaccount" in message.lower() else 5.0
    return "Admission", f"the cluster refuses the pods: {shorten(message, 300)}", "", patience


def pod_findings(view: View, pod: KubeObject, resources: Mapping[str, str], autoscaling: bool) -> Iterator[Finding]:
    found = _thrown_out(view, pod) or _unschedulable(view, pod, autoscaling) or _mounts(view, pod, resources)
    if found:
        (sign, summary, hint, patience), event = found
        name = pod["metadata"]["name"]
        yield Finding(
            Cause(view.workload.name, sign, summary, pod=name, event=shorten(event, 500), hint=hint), patience
        )


def _thrown_out(view: View, pod: KubeObject) -> tuple[Found, str] | None:
    status = pod.get("status", {})
    if status.get("phase") == "Failed" and status.get("reason"):
        message = status.get("message", status["reason"])
        evicted = [p for p in view.pods if p.get("status", {}).get("reason") == status["reason"]]
        hint = f"set resources.requests of workloads.{view.workload.name} to what it uses, or give the cluster larger nodes"
        # One eviction is the cluster at work: another pod takes over. Several of one version are not.
        patience = 0.0 if len(evicted) >= 3 else NEVER
        return (
            "Evicted",
            f"nodes throw the pods out ({status['reason']}): {shorten(message)}",
            hint,
            patience,
        ), message
    lost = view.events_of(pod, "NodeNotReady")
    if lost and not is_ready(pod) and pod.get("spec", {}).get("nodeName"):
        node = pod["spec"]["nodeName"]
        return ("NodeLost", f'node "{node}" does not answer', "look at the cluster's nodes", NEVER), lost[-1]["message"]
    return None


def _unschedulable(view: View, pod: KubeObject, autoscaling: bool) -> tuple[Found, str] | None:
    scheduled = condition(pod, "PodScheduled")
    if scheduled is None or scheduled["status"] == "True" or scheduled.get("reason") != "Unschedulable":
        return None
    message = scheduled.get("message", "")
    if claim := _claim_trouble(view, pod):
        return claim
    if found := re.search(r'persistentvolumeclaim "([^"]+)" (not found|bound to non-existent)', message):
        return ("VolumeBind", f'the volume claim "{found[1]}" does not exist', "run `portable up` again", 15.0), message
    if "unbound immediate PersistentVolumeClaims" in message:
        return ("VolumeBind", "its volume is not made yet", "", 60.0), message
    summary = f"no node takes the pod: {shorten(_node_reasons(message), 300)}"
    return ("Unschedulable", summary, _room_hint(view, message), _room_patience(view, pod, autoscaling)), message


def _node_reasons(message: str) -> str:
    """The scheduler's message up to what it says of claims and preemption."""
    return re.split(r"\.? (?:no new claims|preemption:)", message)[0].rstrip(". ")


def _room_hint(view: View, message: str) -> str:
    place = f"workloads.{view.workload.name}"
    if found := re.search(r"Insufficient (cpu|memory|ephemeral-storage)", message):
        return f"lower resources.requests.{found[1]} in {place}.containers or scale, or raise cluster.nodes"
    if "volume node affinity" in message:
        return "its volume lives where no free node is: free that node or zone, or add nodes there (cluster.nodes)"
    if "topology spread" in message or "anti-affinity" in message:
        return (
            f"there are fewer nodes than it insists on: {place}.availability.spread: soft, or raise cluster.nodes.min"
        )
    if "taint" in message:
        return "the nodes are reserved, full or not ready: look at them, or raise cluster.nodes"
    if "Too many pods" in message:
        return "the nodes hold as many pods as they may: raise cluster.nodes"
    return "compare what the pod asks for with the cluster's nodes"


def _room_patience(view: View, pod: KubeObject, autoscaling: bool) -> float:
    """Room appears when old pods end or a node is added. Where an autoscaler has said that it will not, 10 s as elsewhere."""
    said = [event["reason"] for event in view.events_of(pod, "TriggeredScaleUp", "NotTriggerScaleUp")]
    if said[-1:] == ["TriggeredScaleUp"] or (autoscaling and not said):
        return NEVER
    if any(is_leaving(old) for old in view.leaving) and not said:
        return 60.0
    return 10.0


def _claim_trouble(view: View, pod: KubeObject) -> tuple[Found, str] | None:
    for volume in pod.get("spec", {}).get("volumes", ()):
        claim = view.claims.get(volume.get("persistentVolumeClaim", {}).get("claimName", ""))
        if claim is None or claim.get("status", {}).get("phase") == "Bound":
            continue
        failed = view.events_of(claim, "ProvisioningFailed", "FailedBinding")
        if failed:
            name, message = claim["metadata"]["name"], failed[-1]["message"]
            storage_class = claim.get("spec", {}).get("storageClassName")
            missing = "storageclass" in message.lower() and "not found" in message
            hint = (
                f'the cluster has no storage class "{storage_class}"'
                if missing
                else "look at the cluster's storage: its class, its quota, its zones"
            )
            return ("VolumeBind", f'volume "{name}" cannot be made: {shorten(message)}', hint, 10.0), message
    return None


def _mounts(view: View, pod: KubeObject, resources: Mapping[str, str]) -> tuple[Found, str] | None:
    """What keeps a scheduled pod from starting its first container."""
    waiting = [
        (status.get("state", {}).get("waiting") or {}).get("reason", "")
        for key in ("initContainerStatuses", "containerStatuses")
        for status in pod.get("status", {}).get(key) or ()
    ]
    if waiting and not set(waiting) <= {"ContainerCreating", "PodInitializing"}:
        return None
    events = view.events_of(pod, "FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox")
    if not events:
        return None
    message = events[-1]["message"]
    if missing := missing_config(message, resources):
        return ("ConfigMissing", *missing, 6.0), message
    if events[-1]["reason"] == "FailedCreatePodSandBox":
        hint = "the node's container runtime or network is at fault, not the app: look at the node"
        return ("CannotStart", f"the node cannot set the pod up: {shorten(message)}", hint, 30.0), message
    if "Multi-Attach" in message:
        hint = "the volume is still attached to another node, where an old pod or a lost node holds it"
        return ("VolumeBind", f"a volume cannot be attached: {shorten(message)}", hint, 120.0), message
    return (
        "VolumeBind",
        f"a volume cannot be mounted: {shorten(message)}",
        "look at the cluster's storage",
        15.0,
    ), message
