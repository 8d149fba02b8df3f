"""Pods and their controllers: what runs a workload, and the defaults that keep it serving through every change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portable.compile import identity, names, probes, security, storage
from portable.compile.config import SECRET_MODE, VOLUME_PREFIX, Files, environment, files, literal, mounted_config
from portable.compile.network import peers_name
from portable.compile.objects import GeneratedSecret
from portable.compile.scaling import LONG_RUNNING, controller_kind, replicas, single_volumes
from portable.compile.scope import Scope
from portable.provider import KubeObject
from portable.spec.model import Config, Container, Registry, Resource, Rollout, Secret, Workload

# What a container asks for when the spec is silent. Enough for a small service to start on; small enough that a dozen fit
# a laptop; never nothing, for a pod without requests is the first to be evicted and an autoscaler cannot count it.
REQUESTS = {"cpu": "50m", "memory": "64Mi"}
# How long kube-proxies take to forget a pod that ends; requests that arrive meanwhile are still served.
DRAIN = 5
GRACE = 30
# Kubernetes waits 10, 20, 40, 80 s between them: long enough for a database that starts beside the job.
JOB_RETRIES = 4
_DEAD_NODE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


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
    mounted = _mounted(scope, workload)
    configs = {name: mounted_config(scope, found) for name, found in mounted.items() if isinstance(found, Config)}
    template = _template(scope, workload, bundle, mounted, configs)
    # The mounted configs belong to everybody; equal ones are merged by the caller.
    return Compiled(_controller(scope, workload, template), (*bundle.objects, *configs.values()), bundle.generated)


# Pods


def _template(
    scope: Scope, workload: Workload, bundle: Files, mounted: Mapping[str, Resource], configs: Mapping[str, KubeObject]
) -> dict[str, Any]:
    early, late = _phases(scope, workload)
    volumes = _volumes(scope, workload, bundle, mounted, configs)
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "containers": [_container(scope, workload, container, bundle, main=True) for container in late],
        "enableServiceLinks": False,
    }
    if pull := _pull_secrets(scope, workload):
        spec["imagePullSecrets"] = [{"name": name} for name in pull]
    if early:
        spec["initContainers"] = [_early(scope, workload, container, bundle) for container in early]
    if workload.kind in ("job", "cron"):
        spec["restartPolicy"] = "Never"
    owns_volumes = any(not isinstance(found, Config) for found in mounted.values())
    context = security.pod_context(workload, owns_volumes=owns_volumes or bool(bundle.generated))
    if context:
        spec["securityContext"] = context
    spec["serviceAccountName"] = workload.name
    if workload.kind in LONG_RUNNING:
        spec["terminationGracePeriodSeconds"] = _drain(scope, workload) + GRACE
        spec |= _placement(scope, workload)
    if volumes:
        spec["volumes"] = volumes
    return {"metadata": _pod_metadata(scope, workload, late), "spec": spec}


def _pod_metadata(scope: Scope, workload: Workload, containers: list[Container]) -> dict[str, Any]:
    annotations = dict(workload.annotations)
    if len(containers) > 1:
        annotations.setdefault(names.DEFAULT_CONTAINER_ANNOTATION, containers[0].name)
    if workload.kind in LONG_RUNNING:
        # A rotated secret rolls the pods that use it; it is no reason to run a finished job again.
        for name in _secrets(scope, workload):
            if name in scope.secret_digests:
                annotations[names.SECRET_ANNOTATION + name] = scope.secret_digests[name]
    labels = names.labels(scope.app, workload.name) | identity.pod_labels(scope, workload)
    found: dict[str, Any] = {"labels": dict(sorted(labels.items()))}
    if annotations:
        found["annotations"] = dict(sorted(annotations.items()))
    return found


def _placement(scope: Scope, workload: Workload) -> dict[str, Any]:
    """Apart from each other if possible; away from a dead node after 30 s unless a volume ties the pod to it."""
    found: dict[str, Any] = {}
    if controller_kind(workload) == "Deployment" and not single_volumes(scope, workload):
        found["tolerations"] = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30} for key in _DEAD_NODE
        ]
    spread = workload.availability.spread
    if spread != "none":
        # Zones are only ever preferred: nodes without the label would take no pod at all.
        insist = "DoNotSchedule" if spread == "hard" else "ScheduleAnyway"
        topologies = (("kubernetes.io/hostname", insist), ("topology.kubernetes.io/zone", "ScheduleAnyway"))
        found["topologySpreadConstraints"] = [_spread(workload, key, when) for key, when in topologies]
    return found


def _spread(workload: Workload, key: str, when: str) -> dict[str, Any]:
    constraint: dict[str, Any] = {"labelSelector": {"matchLabels": names.selector(workload.name)}}
    if controller_kind(workload) == "Deployment":
        # Only pods of one revision count, else the old ones decide where the new ones go.
        constraint["matchLabelKeys"] = ["pod-template-hash"]
    return constraint | {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": when}


def _drain(scope: Scope, workload: Workload) -> int:
    """Seconds that a pod goes on serving after it was told to stop; 0 for one that nobody calls."""
    if not workload.ports:
        return 0
    return max(DRAIN, scope.profile.ingress.drain) if workload.routes else DRAIN


def _pull_secrets(scope: Scope, workload: Workload) -> list[str]:
    hosts = {_host(container.image) for container in workload.containers.values()}
    registries = (found for found in scope.app.resources.values() if isinstance(found, Registry))
    return sorted(registry.name for registry in registries if _server(registry) in hosts)


def _host(image: str) -> str:
    """The registry of an image, by Docker's rule: a first part with a dot or a port, or `localhost`."""
    first = image.partition("/")[0] if "/" in image else ""
    return first if "." in first or ":" in first or first == "localhost" else "docker.io"


def _server(registry: Registry) -> str:
    server = registry.server.partition("://")[2] or registry.server
    host = server.partition("/")[0]
    return "docker.io" if host in ("index.docker.io", "registry-1.docker.io") else host


# Containers


def _phases(scope: Scope, workload: Workload) -> tuple[list[Container], list[Container]]:
    """Containers that others wait for (init containers, in an order that suits all), and the rest."""
    early = {name for name, container in workload.containers.items() if container.before}
    ordered: list[Container] = []
    waiting = [container for name, container in workload.containers.items() if name in early]
    while waiting:
        named = {other for container in waiting for other in container.before}
        ready = [container for container in waiting if container.name not in named] or waiting
        ordered += ready
        waiting = [container for container in waiting if container not in ready]
    late = [container for name, container in workload.containers.items() if name not in early]
    if not late:
        scope.problem(
            ("workloads", workload.name, "containers"),
            f"every container of {workload.name} is to run before another one",
        )
    return ordered, late


def _early(scope: Scope, workload: Workload, container: Container, bundle: Files) -> dict[str, Any]:
    """A container that others wait for: run to its end, or (a native sidecar) started, or healthy, and kept running."""
    found = _container(scope, workload, container, bundle, main=False)
    if "complete" in container.before.values():
        return found
    found["restartPolicy"] = "Always"
    if "healthy" in container.before.values() and "startupProbe" not in found:
        health = found.get("readinessProbe") or found.get("livenessProbe")
        if health is not None:
            # The next container starts when this passes; a startup probe may fail for long without a restart.
            found["startupProbe"] = {**health, "periodSeconds": 2, "failureThreshold": 150}
            found["startupProbe"].pop("successThreshold", None)
    return found


def _container(scope: Scope, workload: Workload, container: Container, bundle: Files, *, main: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"name": container.name, "image": container.image}
    if container.command:
        found["command"] = [literal(word) for word in container.command]
    if container.args:
        found["args"] = [literal(word) for word in container.args]
    if variables := environment(scope, workload, container):
        found["env"] = variables
    found["imagePullPolicy"] = "IfNotPresent"
    if main and workload.kind in LONG_RUNNING and workload.ports:
        found["lifecycle"] = {"preStop": {"sleep": {"seconds": _drain(scope, workload)}}}
    first = next((each for each in workload.containers.values() if not each.before), None)
    if main and container is first and workload.ports:
        found["ports"] = _container_ports(workload)
    found |= _probes(workload, container, default=main and container is first)
    found["resources"] = _resources(container)
    if context := security.container_context(workload):
        found["securityContext"] = context
    if mounts := _mounts(workload, container, bundle):
        found["volumeMounts"] = mounts
    return found


def _container_ports(workload: Workload) -> list[dict[str, Any]]:
    pairs = sorted({(port.target, port.protocol) for port in workload.ports.values()})
    return [{"containerPort": number, "protocol": protocol} for number, protocol in pairs]


def _probes(workload: Workload, container: Container, *, default: bool) -> dict[str, Any]:
    given = {
        "livenessProbe": container.liveness,
        "readinessProbe": container.readiness,
        "startupProbe": container.startup,
    }
    found = {name: probes.probe(spec, workload.ports) for name, spec in given.items() if spec is not None}
    none_given = not any(each.readiness for each in workload.containers.values() if not each.before)
    if default and none_given and workload.kind in ("service", "stateful"):
        readiness = probes.default_readiness(workload)
        if readiness is not None:
            found["readinessProbe"] = readiness
    return dict(sorted(found.items()))


def _resources(container: Container) -> dict[str, Any]:
    """Requests are always set: the spec's, else its limits (as Kubernetes would), else a small default."""
    limits = dict(sorted(container.resources.limits.items()))
    requests = {**REQUESTS, **limits, **container.resources.requests}
    return ({"limits": limits} if limits else {}) | {"requests": dict(sorted(requests.items()))}


# Volumes


def _mounted(scope: Scope, workload: Workload) -> dict[str, Resource]:
    """The resources that the workload mounts, by name."""
    found = (scope.app.resources.get(name) for name, users in scope.mounters.items() if workload.name in users)
    return {resource.name: resource for resource in found if resource is not None}


def _secrets(scope: Scope, workload: Workload) -> list[str]:
    """The secret resources that the workload's pods read."""
    used = {name for name, found in _mounted(scope, workload).items() if isinstance(found, Secret)}
    for container in workload.containers.values():
        for variable in environment(scope, workload, container):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference is not None:
                used.add(reference["name"])
    return sorted(used)


def _volumes(
    scope: Scope, workload: Workload, bundle: Files, mounted: Mapping[str, Resource], configs: Mapping[str, KubeObject]
) -> list[dict[str, Any]]:
    found = list(bundle.volumes) + storage.pod_volumes(scope, workload)
    for name, resource in mounted.items():
        if name in configs:
            found.append({"name": name, "configMap": {"name": configs[name]["metadata"]["name"]}})
        elif isinstance(resource, Secret):
            found.append({"name": name, "secret": {"secretName": name, "defaultMode": SECRET_MODE}})
    found += [{"name": _writable(path), "emptyDir": {}} for path in sorted(workload.security.writable) if path != "/"]
    return sorted(found, key=lambda volume: volume["name"])


def _mounts(workload: Workload, container: Container, bundle: Files) -> list[dict[str, Any]]:
    found = list(bundle.mounts.get(container.name, []))
    for mount in container.volumes.values():
        entry: dict[str, Any] = {"name": mount.source, "mountPath": mount.path}
        if mount.sub_path is not None:
            entry["subPath"] = mount.sub_path
        if mount.read_only:
            entry["readOnly"] = True
        found.append(entry)
    found += [{"name": _writable(path), "mountPath": path} for path in workload.security.writable if path != "/"]
    return sorted(found, key=lambda mount: mount["mountPath"])


def _writable(path: str) -> str:
    return f"{VOLUME_PREFIX}writable-{names.slug(path, dots=False, limit=50)}"


# Controllers


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
        # A drained node is no fault of the job's.
        "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]},
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
