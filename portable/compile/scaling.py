"""How many pods: fixed counts, autoscalers, and how many of them may be away at once."""

from __future__ import annotations

from typing import Any

from portable.compile.names import metadata, selector
from portable.compile.scope import Scope
from portable.provider import KubeObject
from portable.spec.model import Volume, Workload

LONG_RUNNING = ("service", "worker", "stateful")


def controller_kind(workload: Workload) -> str:
    return {"stateful": "StatefulSet", "job": "Job", "cron": "CronJob"}.get(workload.kind, "Deployment")


def single_volumes(scope: Scope, workload: Workload) -> list[Volume]:
    """The volumes of the workload that only one node can hold, by name."""
    names = {mount.source for container in workload.containers.values() for mount in container.volumes.values()}
    resources = (scope.app.resources.get(name) for name in sorted(names))
    return [volume for volume in resources if isinstance(volume, Volume) and volume.access == "single"]


def replicas(scope: Scope, workload: Workload) -> int:
    """The number of pods that a new workload starts with."""
    if workload.scale.min is not None:
        return workload.scale.min
    if workload.kind == "stateful" or single_volumes(scope, workload):
        return 1
    usual = scope.profile.replicas
    return usual if workload.scale.max is None else min(usual, workload.scale.max)


def check(scope: Scope, workload: Workload) -> None:
    if workload.scale.automatic and not scope.profile.metrics:
        scope.note(f"{workload.name}: nothing measures pods on {scope.profile.title}, so autoscaling will not happen")


def autoscaler(scope: Scope, workload: Workload) -> KubeObject | None:
    """A HorizontalPodAutoscaler that grows at once and shrinks slowly: after 5 calm minutes, by at most half of the pods a minute."""
    scale = workload.scale
    if not scale.automatic or workload.kind not in LONG_RUNNING or scale.max is None:
        return None
    targets = (("cpu", scale.cpu), ("memory", scale.memory))
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(scope.app, workload.name, workload.name),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": controller_kind(workload), "name": workload.name},
            "minReplicas": replicas(scope, workload),
            "maxReplicas": scale.max,
            "metrics": [_metric(name, target) for name, target in targets if target is not None],
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 0,
                    "selectPolicy": "Max",
                    "policies": [
                        {"type": "Percent", "value": 100, "periodSeconds": 15},
                        {"type": "Pods", "value": 4, "periodSeconds": 15},
                    ],
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": 300,
                    "selectPolicy": "Max",
                    "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
                },
            },
        },
    }


def _metric(name: str, target: int) -> dict[str, Any]:
    wanted = {"type": "Utilization", "averageUtilization": target}
    return {"type": "Resource", "resource": {"name": name, "target": wanted}}


def disruption_budget(scope: Scope, workload: Workload) -> KubeObject | None:
    """How many pods a drain may take at once. Not for a single pod: `maxUnavailable: 1` would say nothing there.

    Unhealthy pods can always be evicted; otherwise a crash loop blocks every node upgrade.
    """
    allowed = workload.availability.disruption
    several = replicas(scope, workload) > 1 or workload.scale.automatic
    if workload.kind not in LONG_RUNNING or allowed == "none" or not several:
        return None
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(scope.app, workload.name, workload.name),
        "spec": {
            "maxUnavailable": allowed,
            "selector": {"matchLabels": selector(workload.name)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
