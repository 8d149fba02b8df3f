"""`top`: what pods use of processor and memory, beside what they ask for and may have, from metrics.k8s.io."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from portable.compile.names import WORKLOAD_LABEL
from portable.errors import ClusterError
from portable.kube import Kube
from portable.provider import KubeObject
from portable.spec.quantities import parse_quantity
from portable.target import Request, compile_target, connect, open_target

_API = "/apis/metrics.k8s.io/v1beta1"
_UNITS = ("cpu", "memory")


@dataclass(frozen=True)
class Amount:
    """Of one resource: processors or bytes. None: nothing is asked for, or no limit is set."""

    used: float
    requested: float | None
    limit: float | None


@dataclass(frozen=True)
class PodUsage:
    """`at`: when it was measured (RFC 3339), over `window` ("15s"); both "" where a pod was not measured yet."""

    workload: str
    pod: str
    cpu: Amount
    memory: Amount
    at: str
    window: str


@dataclass(frozen=True)
class WorkloadUsage:
    """The sum over its pods."""

    workload: str
    pods: tuple[PodUsage, ...]
    cpu: Amount
    memory: Amount


def top(request: Request) -> list[WorkloadUsage]:
    """By workload. Raises ClusterGone without a cluster, ClusterError where nothing measures pods."""
    target = open_target(request, images=False)
    objects = compile_target(target)
    with connect(target) as kube:
        return usage(kube, objects.namespace)


def usage(kube: Kube, namespace: str) -> list[WorkloadUsage]:
    measured = {found["metadata"]["name"]: found for found in _metrics(kube, namespace)}
    pods = [_pod(pod, measured.get(pod["metadata"]["name"])) for pod in kube.list("v1", "Pod", namespace) if _runs(pod)]
    workloads = sorted({pod.workload for pod in pods})
    return [_workload(name, tuple(pod for pod in pods if pod.workload == name)) for name in workloads]


def _metrics(kube: Kube, namespace: str) -> list[KubeObject]:
    """404: nothing serves that API. 503: what should does not answer (yet)."""
    try:
        return list(kube.raw("GET", f"{_API}/namespaces/{namespace}/pods")["items"])
    except ClusterError as error:
        if error.status not in (404, 503):
            raise
        raise ClusterError(
            "nothing in this cluster measures pods" if error.status == 404 else "what measures pods does not answer",
            status=error.status,
            detail=f"{_API} (metrics-server): {error.message}",
            fix="install metrics-server, or wait until it has started; autoscaling needs it too",
        ) from error


def _runs(pod: KubeObject) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return WORKLOAD_LABEL in labels and pod.get("status", {}).get("phase") == "Running"


def _pod(pod: KubeObject, measured: KubeObject | None) -> PodUsage:
    """A sidecar among the init containers runs, asks and is measured as the others."""
    found = measured or {"containers": (), "timestamp": "", "window": ""}
    sidecars = [each for each in pod["spec"].get("initContainers", ()) if each.get("restartPolicy") == "Always"]
    containers = [*pod["spec"]["containers"], *sidecars]
    amounts = {
        unit: Amount(
            used=_sum(each["usage"].get(unit) for each in found["containers"]) or 0.0,
            requested=_sum(each.get("resources", {}).get("requests", {}).get(unit) for each in containers),
            limit=_limit([each.get("resources", {}).get("limits", {}).get(unit) for each in containers]),
        )
        for unit in _UNITS
    }
    return PodUsage(
        workload=pod["metadata"]["labels"][WORKLOAD_LABEL],
        pod=pod["metadata"]["name"],
        cpu=amounts["cpu"],
        memory=amounts["memory"],
        at=found["timestamp"],
        window=found["window"],
    )


def _workload(name: str, pods: tuple[PodUsage, ...]) -> WorkloadUsage:
    return WorkloadUsage(name, pods, _total(pod.cpu for pod in pods), _total(pod.memory for pod in pods))


def _total(amounts: Iterable[Amount]) -> Amount:
    found = list(amounts)
    requested = [each.requested for each in found if each.requested is not None]
    limits = [each.limit for each in found]
    whole = None if None in limits else sum(limit for limit in limits if limit is not None)
    return Amount(sum(each.used for each in found), sum(requested) if requested else None, whole)


def _sum(quantities: Iterable[str | None]) -> float | None:
    known = [_number(text) for text in quantities if text is not None]
    return sum(known) if known else None


def _limit(quantities: list[str | None]) -> float | None:
    """One container without a limit, and the pod has none."""
    return None if None in quantities else _sum(quantities)


def _number(text: str) -> float:
    """metrics-server answers in nanoprocessors ("1234567n"), which no spec does."""
    small: Mapping[str, float] = {"n": 1e-9, "u": 1e-6}
    if text[-1:] in small:
        return int(text[:-1]) * small[text[-1]]
    return float(parse_quantity(text))


def lines(found: Iterable[WorkloadUsage]) -> Iterator[tuple[str, Amount, Amount]]:
    """(name, cpu, memory): each workload, followed by its pods where it has several."""
    for workload in found:
        yield workload.workload, workload.cpu, workload.memory
        for pod in workload.pods if len(workload.pods) > 1 else ():
            yield f"  {pod.pod}", pod.cpu, pod.memory
