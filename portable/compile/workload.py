"""Controllers: what runs a workload's pods, and replaces them without a gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portable.compile import names, storage
from portable.compile.config import files, mounted_config
from portable.compile.network import peers_name
from portable.compile.objects import GeneratedSecret
from portable.compile.pods import mounted_resources, pod_template
from portable.compile.scaling import controller_kind, replicas, single_volumes
from portable.compile.scope import Scope
from portable.provider import KubeObject
from portable.spec.model import Config, Rollout, Workload

# Kubernetes waits 10 and 20 s before them. A job begins when the databases that it uses are ready (`_after` in `app.py`), so
# more tries would not wait for anything: a job that is wrong would only say so two minutes later.
JOB_RETRIES = 2
# A shell's words for a command that is not there, or cannot be executed: it will not be at the next try either.
_NO_SUCH_COMMAND = [126, 127]


@dataclass(frozen=True)
class Compiled:
    """A workload's controller, and the configuration that its pods read."""

    controller: KubeObject
    config: tuple[KubeObject, ...]
    generated: tuple[GeneratedSecret, ...]


def check(scope: Scope, workload: Workload) -> None:
    """Keys that this kind of workload has no use for: nothing is dropped in silence."""
    usual, given = Rollout(), workload.rollout
    one_by_one = controller_kind(workload) != "Deployment" or single_volumes(scope, workload)
    if one_by_one and (given.max_surge, given.max_unavailable) != (usual.max_surge, usual.max_unavailable):
        scope.problem(
            ("workloads", workload.name, "rollout"),
            f"the pods of {workload.name} are replaced one by one: maxSurge and maxUnavailable mean nothing here",
            hint="leave both out",
        )
    for container in workload.containers.values():
        probed = (container.liveness, container.readiness, container.startup)
        if "complete" in container.before.values() and any(probed):
            scope.problem(
                ("workloads", workload.name, "containers", container.name),
                f"{container.name} ends before the others start, so Kubernetes does not probe it",
                hint="leave its probes out, or let the others wait until it is started or healthy",
            )


def compile_workload(scope: Scope, workload: Workload) -> Compiled:
    bundle = files(scope, workload)
    mounted = mounted_resources(scope, workload)
    configs = {name: mounted_config(scope, found) for name, found in mounted.items() if isinstance(found, Config)}
    template = pod_template(scope, workload, bundle, mounted, configs)
    # The mounted configs belong to everybody; equal ones are merged by the caller.
    return Compiled(_controller(scope, workload, template), (*bundle.objects, *configs.values()), bundle.generated)


def _controller(scope: Scope, workload: Workload, template: dict[str, Any]) -> KubeObject:
    build = {"Deployment": _deployment, "StatefulSet": _stateful_set, "Job": _job, "CronJob": _cron_job}
    kind = controller_kind(workload)
    version = "apps/v1" if kind in ("Deployment", "StatefulSet") else "batch/v1"
    named = names.metadata(scope.app, workload.name, workload.name)
    return {"apiVersion": version, "kind": kind, "metadata": named, "spec": build[kind](scope, workload, template)}


def _count(scope: Scope, workload: Workload) -> dict[str, int]:
    """`replicas`, unless an autoscaler owns the field."""
    return {} if workload.scale.automatic else {"replicas": replicas(scope, workload)}


def _deployment(scope: Scope, workload: Workload, template: dict[str, Any]) -> dict[str, Any]:
    held = single_volumes(scope, workload)
    strategy: dict[str, Any] = {"type": "Recreate"}
    if held:
        scope.note(
            f"{workload.name} stops before its next version starts (strategy Recreate): "
            f"only one pod can hold the volume {held[0].name}"
        )
    else:
        limits = {"maxSurge": workload.rollout.max_surge, "maxUnavailable": workload.rollout.max_unavailable}
        strategy = {"type": "RollingUpdate", "rollingUpdate": limits}
    return _count(scope, workload) | {
        "progressDeadlineSeconds": workload.rollout.timeout,
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": names.selector(workload.name)},
        "strategy": strategy,
        "template": template,
    }


def _stateful_set(scope: Scope, workload: Workload, template: dict[str, Any]) -> dict[str, Any]:
    spec = _count(scope, workload) | {
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        # With OrderedReady, a pod that cannot become ready blocks its own correction (Kubernetes' "forced rollback").
        "podManagementPolicy": "Parallel",
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": names.selector(workload.name)},
        "serviceName": peers_name(workload),
        "template": template,
        "updateStrategy": {"type": "RollingUpdate"},
    }
    if storage.has_template(scope, workload):
        spec["volumeClaimTemplates"] = storage.claim_templates(scope, workload)
    return spec


def _job_spec(template: dict[str, Any]) -> dict[str, Any]:
    return {
        "backoffLimit": JOB_RETRIES,
        "podFailurePolicy": {
            "rules": [
                # A drained node is no fault of the job's.
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                {"action": "FailJob", "onExitCodes": {"operator": "In", "values": _NO_SUCH_COMMAND}},
            ]
        },
        "template": template,
    }


def _job(scope: Scope, workload: Workload, template: dict[str, Any]) -> dict[str, Any]:
    return _job_spec(template)


def _cron_job(scope: Scope, workload: Workload, template: dict[str, Any]) -> dict[str, Any]:
    return {
        "concurrencyPolicy": "Forbid",
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {
            "metadata": {"labels": names.labels(scope.app, workload.name)},
            "spec": _job_spec(template),
        },
        "schedule": workload.schedule,
        # Late is better than never, but not by more than this; and without it 100 missed runs stop the schedule for good.
        "startingDeadlineSeconds": 300,
        "successfulJobsHistoryLimit": 3,
        "timeZone": "Etc/UTC",
    }
