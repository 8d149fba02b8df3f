"""How a cluster is, and how a stopped one comes back: asked from Docker and from the API server, never from state files."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence

from portable.errors import ClusterError, ClusterGone, PortableError, ProviderError
from portable.events import Emit, Step, nowhere
from portable.kube import Kube
from portable.provider import ClusterState, KubeObject
from portable_kind import docker, folders, kind, record
from portable_kind.ports import Ports

READY_SECONDS = 240.0
LEASE = ("coordination.k8s.io/v1", "Lease")


def find(name: str) -> ClusterState | None:
    """The cluster as it is now; None where Docker has no container of it. Healthy: the API answers and every node is Ready."""
    nodes = docker.nodes(name)
    return look(name, nodes) if nodes else None


def look(name: str, nodes: Sequence[docker.Node]) -> ClusterState:
    stopped = [node.name for node in nodes if not node.running]
    if stopped:
        return ClusterState(name, healthy=False, detail="stopped: " + ", ".join(stopped))
    try:
        with Kube.connect(kubeconfig(name, nodes), timeout=5) as kube:
            # The list is answered from storage: it covers the API server and etcd.
            waiting = not_ready(nodes, kube.list("v1", "Node"))
            version, uid = kube.version().removeprefix("v"), kube.cluster_uid()
    except PortableError as error:
        return ClusterState(name, healthy=False, detail=f"the API server does not answer: {error.message}")
    detail = "not Ready: " + ", ".join(waiting) if waiting else ""
    return ClusterState(name, healthy=not waiting, detail=detail, version=version, uid=uid)


def not_ready(nodes: Sequence[docker.Node], live: Sequence[KubeObject]) -> list[str]:
    """Names of nodes that have a container but are not Ready in (or unknown to) the API server."""
    ready = {
        node["metadata"]["name"]
        for node in live
        for condition in node.get("status", {}).get("conditions", ())
        if condition["type"] == "Ready" and condition["status"] == "True"
    }
    return [node.name for node in nodes if node.name not in ready]


def is_ours(nodes: Sequence[docker.Node]) -> bool:
    """Whether portable made this cluster: its nodes have the folder of volumes mounted."""
    return all(node.volumes for node in nodes)


def is_complete(name: str, nodes: Sequence[docker.Node]) -> bool:
    """Whether this very cluster was finished once. Its control-plane then holds things that must not be thrown away."""
    kept = record.read(name)
    return kept is not None and kept.container == nodes[0].container


def kubeconfig(name: str, nodes: Sequence[docker.Node]) -> str:
    """The kubeconfig of a running cluster: our own file where it is this cluster's, else kind's answer."""
    if is_complete(name, nodes):
        try:
            return (folders.cluster(name) / "kubeconfig").read_text()
        except OSError:
            pass
    return kind.kubeconfig(name)


def wait_until_healthy(name: str, emit: Emit, *, seconds: float = READY_SECONDS) -> ClusterState:
    """Raises ClusterGone without containers, ProviderError with what is missing after `seconds`."""
    deadline = time.monotonic() + seconds
    said = ""
    while True:
        state = find(name)
        if state is None:
            raise ClusterGone(
                f"the cluster {name} is gone: Docker has no containers of it", fix="run `portable up` again"
            )
        if state.healthy:
            return state
        if state.detail != said:
            said = state.detail
            emit(Step(kind.STEP, "progress", detail=f"waiting: {said}"))
        if time.monotonic() > deadline:
            raise ProviderError(
                f"the cluster {name} did not become healthy within {seconds:.0f} s",
                detail=state.detail,
                fix=f"see `docker logs {name}-control-plane`; `portable destroy` and `portable up` make it anew",
            )
        time.sleep(0.5)


def resume(name: str, emit: Emit) -> None:
    """Starts a completed cluster's containers where they were stopped (the machine was restarted) and waits for it.

    Costs one question to Docker where everything runs. kind's nodes mend their own addresses when Docker gave them others.
    """
    stopped = [node.name for node in docker.nodes(name) if not node.running]
    if not stopped:
        return
    began, since = time.monotonic(), dt.datetime.now(dt.UTC)
    emit(Step(kind.STEP, "started", title=f"Starting the stopped cluster {name}", usual=20))
    docker.run("start", *stopped, timeout=120)
    wait_until_healthy(name, emit)
    _wait_for_heartbeats(name, since, emit)
    emit(Step(kind.STEP, "done", seconds=time.monotonic() - began))


def _wait_for_heartbeats(name: str, since: dt.datetime, emit: Emit) -> None:
    """Until every kubelet has renewed its lease: what the API server says of its nodes is from before the stop until then."""
    deadline = time.monotonic() + READY_SECONDS
    with ask(name) as kube:
        while True:
            silent = silent_nodes(kube.list("v1", "Node"), kube.list(*LEASE, "kube-node-lease"), since)
            if not silent:
                return
            if time.monotonic() > deadline:
                raise ProviderError(
                    f"the cluster {name} was started, but some nodes stay silent: " + ", ".join(silent),
                    fix=f"see `docker exec {silent[0]} journalctl --unit=kubelet`",
                )
            emit(Step(kind.STEP, "progress", detail="waiting for the kubelet of " + ", ".join(silent)))
            time.sleep(0.5)


def silent_nodes(nodes: Sequence[KubeObject], leases: Sequence[KubeObject], since: dt.datetime) -> list[str]:
    """Names of nodes whose kubelet has not renewed its lease since then."""
    renewed = {
        lease["metadata"]["name"]: dt.datetime.fromisoformat(lease["spec"]["renewTime"])
        for lease in leases
        if lease.get("spec", {}).get("renewTime")
    }
    names = [node["metadata"]["name"] for node in nodes]
    return [name for name in names if name not in renewed or renewed[name] < since]


def ask(name: str) -> Kube:
    """A client of the cluster's API server. Raises ClusterGone without containers, ProviderError where it is stopped."""
    nodes = docker.nodes(name)
    if not nodes:
        raise ClusterGone(f"there is no kind cluster {name}", fix="run `portable up --cloud kind`")
    try:
        return Kube.connect(kubeconfig(name, nodes))
    except ClusterError as error:
        raise ProviderError(f"the cluster {name} cannot be reached", detail=error.message, fix=error.fix) from error


def credentials(name: str) -> str:
    """The kubeconfig of the cluster, started first if it was stopped. Raises ClusterGone where there is none."""
    nodes = docker.nodes(name)
    if not nodes:
        raise ClusterGone(f"there is no kind cluster {name}", fix="run `portable up --cloud kind`")
    if not all(node.running for node in nodes):
        resume(name, nowhere)
    return kubeconfig(name, nodes)


def ports(name: str) -> Ports:
    """The host ports of the cluster's HTTP and HTTPS entry: those of its node, else those it had. Raises ClusterGone."""
    nodes = docker.nodes(name)
    if nodes and nodes[0].ports.keys() >= {80, 443}:
        return Ports(nodes[0].ports[80], nodes[0].ports[443])
    kept = record.read(name)
    if kept is None:
        raise ClusterGone(f"there is no kind cluster {name}", fix="run `portable up --cloud kind`")
    return kept.ports
