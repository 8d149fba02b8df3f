"""Movers as they are in a cluster: applied, awaited, found again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from portable.errors import ClusterError
from portable.migrate.sides import Side
from portable.migrate.transfer.control import Mover
from portable.migrate.transfer.objects import KINDS, PAIR_ANNOTATION, pair_name, selector
from portable.migrate.transfer.pairs import Pair, claims_of
from portable.provider import KubeObject
from portable.rollout.view import is_ready

# Starting one takes seconds; a disk that has to be made or moved to a node some minutes.
PATIENCE = 300.0
_PACE = 0.3


def pairs(side: Side, migration: str) -> dict[str, Pair]:
    """Name -> pair, as the Deployments of this side say."""
    found = side.kube.list(KINDS["Deployment"], "Deployment", side.namespace, label_selector=selector(migration))
    read = (Pair.of_json(live["metadata"]["annotations"][PAIR_ANNOTATION]) for live in found)
    return {pair.name: pair for pair in read}


def app_pods(side: Side, migration: str) -> list[KubeObject]:
    """Pods of the namespace that are no movers and have not ended."""
    movers = {
        pod["metadata"]["uid"]
        for pod in side.kube.list("v1", "Pod", side.namespace, label_selector=selector(migration))
    }
    pods = side.kube.list("v1", "Pod", side.namespace)
    ended = ("Succeeded", "Failed")
    return [
        pod for pod in pods if pod["metadata"]["uid"] not in movers and pod.get("status", {}).get("phase") not in ended
    ]


def users(side: Side, migration: str, claim: str) -> list[str]:
    """The app's pods that mount a claim, by name."""
    return [pod["metadata"]["name"] for pod in app_pods(side, migration) if claim in claims_of(pod)]


def wait(side: Side, migration: str, names: Iterable[str], patience: float = PATIENCE) -> dict[str, Mover]:
    """Pair -> its mover on this side, once all run as their Deployments say. Raises ClusterError with what keeps them from it."""
    waiting, found = list(names), {}
    deadline = time.monotonic() + patience
    while True:
        for name in tuple(waiting):
            if ready := _ready(side, migration, name):
                found[name] = ready
                waiting.remove(name)
        if not waiting:
            return found
        if time.monotonic() > deadline:
            name = waiting[0]
            raise ClusterError(
                f"the mover {pair_name(migration, name)} does not start on {side}",
                detail=_reason(side, migration, name),
                fix="mend what is named here, then repeat: what was copied is kept",
            )
        time.sleep(_PACE)


def _ready(side: Side, migration: str, name: str) -> Mover | None:
    live = side.kube.get(KINDS["Deployment"], "Deployment", pair_name(migration, name), side.namespace)
    if live is None:
        raise ClusterError(
            f"the mover {pair_name(migration, name)} is not on {side} any more", fix="prepare the transfer again"
        )
    status = live.get("status", {})
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")]
    if status.get("observedGeneration") != live["metadata"]["generation"] or counts != [1, 1, 1]:
        return None
    pods = side.kube.list("v1", "Pod", side.namespace, label_selector=selector(migration, name))
    for pod in pods:
        if is_ready(pod) and "deletionTimestamp" not in pod["metadata"]:
            return Mover(side.kube, side.namespace, pod["metadata"]["name"])
    return None


def _reason(side: Side, migration: str, name: str) -> str:
    """What the cluster says about a mover that does not run."""
    live = side.kube.get(KINDS["Deployment"], "Deployment", pair_name(migration, name), side.namespace) or {}
    words = [_failure(live.get("status", {}), "ReplicaFailure", "True")]
    for pod in side.kube.list("v1", "Pod", side.namespace, label_selector=selector(migration, name)):
        status = pod.get("status", {})
        words.append(_failure(status, "PodScheduled", "False"))
        for container in status.get("containerStatuses") or ():
            waits = container.get("state", {}).get("waiting") or container.get("lastState", {}).get("terminated") or {}
            words.append(": ".join(filter(None, (waits.get("reason", ""), waits.get("message", "")))))
        events = side.kube.list(
            "v1", "Event", side.namespace, field_selector=f"involvedObject.name={pod['metadata']['name']},type=Warning"
        )
        words += [str(event.get("message", "")) for event in events[-2:]]
    return "\n".join(dict.fromkeys(word for word in words if word)) or "the cluster gives no reason"


def _failure(status: Mapping[str, Any], kind: str, value: str) -> str:
    for condition in status.get("conditions") or ():
        if condition["type"] == kind and condition["status"] == value:
            return str(condition.get("message", ""))
    return ""
