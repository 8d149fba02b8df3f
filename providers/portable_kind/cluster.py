"""portable:kind:Cluster: a kind cluster as a resource.

inputs   name, version ("": that of the node image at hand), nodes (1: the control-plane alone, which also runs pods)
outputs  these and uid, image, selfBuilt, httpPort, httpsPort, volumes (host folder), container
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from portable.errors import Problem, ProviderError
from portable.events import Emit, Notice, Step
from portable.provider import ClusterState, Diff, Inputs, Outputs
from portable_kind import docker, docker_engine, folders, kind, lifecycle, node_images, ports, record
from portable_kind.configuration import Configuration

MAX_NODES = 20
PORT_ATTEMPTS = 3
# "NAME-control-plane" becomes a host name, at most 63 characters (kind's own limit is 50).
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,48}[a-z0-9])?")


class ClusterResource:
    secret_outputs: tuple[str, ...] = ()

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        problems: list[Problem] = []
        if not _NAME.fullmatch(inputs["name"]):
            problems.append(
                Problem(
                    f"{inputs['name']!r} cannot be the name of a kind cluster",
                    path="cluster.name",
                    expected="at most 50 lower-case letters, digits, dots and dashes",
                )
            )
        if not 1 <= int(inputs["nodes"]) <= MAX_NODES:
            problems.append(
                Problem(
                    f"a kind cluster cannot have {inputs['nodes']} nodes",
                    path="cluster.nodes.min",
                    expected=f"1 to {MAX_NODES}",
                )
            )
        return problems

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        """kind cannot change a cluster: another version, node count or name is another cluster."""
        changed = [key for key in ("name", "nodes") if old.get(key) != new.get(key)]
        if not node_images.fits(str(outputs.get("version", "")), new["version"]):
            changed.append("version")
        return Diff(changes=tuple(changed), replaces=tuple(changed), delete_before_replace=True)

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        name = inputs["name"]
        with kind.lock(name, emit) as handle:
            state = _adopt(name, inputs, emit)
            if state is None:
                _make(name, inputs, handle, emit)
                state = lifecycle.wait_until_healthy(name, emit)
            return name, _complete(name, state)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        nodes = docker.nodes(object_id)
        if not nodes:
            return None
        state = lifecycle.look(object_id, nodes)
        # A stopped cluster keeps what was known: it is there, and the next `up` starts it.
        return {**outputs, **_outputs(object_id, state, nodes)} if state.healthy else outputs

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        lifecycle.resume(object_id, emit)
        return _complete(object_id, lifecycle.wait_until_healthy(object_id, emit))

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        with kind.lock(object_id, emit):
            nodes = docker.nodes(object_id)
            if nodes and not lifecycle.is_ours(nodes):
                raise _not_ours(object_id)
            _remove(object_id, emit)
        kept = folders.volumes(object_id)
        if kept.is_dir() and any(kept.iterdir()):
            emit(Notice(f"the data of the cluster's volumes stays in {kept}"))


def _adopt(name: str, inputs: Inputs, emit: Emit) -> ClusterState | None:
    """What an earlier run left: a whole cluster is taken over (started if it stopped), a half one is removed.

    None: there is none (any more). Raises ProviderError for a cluster of that name that portable did not make.
    """
    nodes = docker.nodes(name)
    if not nodes:
        return None
    if not lifecycle.is_ours(nodes):
        raise _not_ours(name)
    if lifecycle.is_complete(name, nodes):
        lifecycle.resume(name, emit)
        state = lifecycle.wait_until_healthy(name, emit)
    else:
        state = _look_twice(name, nodes, emit)
    fits = node_images.fits(state.version, inputs["version"]) and len(nodes) == int(inputs["nodes"])
    if state.healthy and fits:
        return state
    if lifecycle.is_complete(name, nodes):
        raise ProviderError(
            f"a cluster {name} exists with {len(nodes)} nodes and Kubernetes {state.version}, which is not what the spec asks for",
            fix=f"choose another cluster.name, or end that cluster first: `kind delete cluster --name {name}`",
        )
    emit(Step(kind.STEP, "progress", detail="removing a cluster that an interrupted run left half made"))
    _remove(name, emit)
    return None


def _look_twice(name: str, nodes: Sequence[docker.Node], emit: Emit) -> ClusterState:
    """A cluster whose API server answers may have been cut off just before its nodes became Ready: that is worth a wait."""
    state = lifecycle.look(name, nodes)
    if state.healthy or not state.version:
        return state
    try:
        return lifecycle.wait_until_healthy(name, emit, seconds=60)
    except ProviderError:
        return state


def _make(name: str, inputs: Inputs, handle: int, emit: Emit) -> None:
    engine = docker_engine.find()
    if engine is None:
        raise ProviderError(
            "no Docker engine to make the cluster in", detail=docker_engine.why_not(), fix=docker.ENGINE_FIX
        )
    image = node_images.choose(inputs["version"], node_images.available())
    volumes = folders.volumes(name)
    # Every pod's user has to get to its own folder below.
    volumes.mkdir(parents=True, exist_ok=True, mode=0o755)
    began = time.monotonic()
    emit(Step(kind.STEP, "started", title=f"Creating the kind cluster {name}", detail=image, usual=40))
    for attempt in range(PORT_ATTEMPTS):
        configuration = Configuration(
            name=name,
            nodes=int(inputs["nodes"]),
            image=image,
            ports=_ports(name),
            volumes=str(volumes),
            cgroup_v1=engine.cgroup == "1",
        )
        try:
            kind.create(configuration, folders.cluster(name) / "kubeconfig", handle, emit)
            break
        except ProviderError as error:
            # Between our look and Docker's grip another program, or another cluster, may take a port.
            if attempt + 1 == PORT_ATTEMPTS or not kind.failed_for_ports(error):
                raise
            emit(Step(kind.STEP, "progress", detail="a port was taken meanwhile: trying others"))
    emit(Step(kind.STEP, "done", seconds=time.monotonic() - began))


def _ports(name: str) -> ports.Ports:
    earlier = record.read(name)
    return ports.choose(earlier.ports if earlier else None)


def _complete(name: str, state: ClusterState) -> Outputs:
    """Notes that this cluster is whole: from now on nothing but `destroy` removes it."""
    nodes = docker.nodes(name)
    outputs = _outputs(name, state, nodes)
    folders.write_private(folders.cluster(name) / "kubeconfig", kind.kubeconfig(name).encode())
    record.write(name, record.Record(nodes[0].container, outputs["httpPort"], outputs["httpsPort"]))
    return outputs


def _outputs(name: str, state: ClusterState, nodes: Sequence[docker.Node]) -> Outputs:
    entry = nodes[0]
    return {
        "name": name,
        "version": state.version,
        "nodes": len(nodes),
        "uid": state.uid,
        "image": entry.image,
        "selfBuilt": entry.self_built,
        "httpPort": entry.ports.get(80, 0),
        "httpsPort": entry.ports.get(443, 0),
        "volumes": entry.volumes,
        "container": entry.container,
    }


def _remove(name: str, emit: Emit) -> None:
    emit(Step(kind.STEP, "progress", detail=f"removing the node containers of {name}"))
    folder = folders.cluster(name)
    kind.delete(name, folder / "kubeconfig")
    (folder / "kubeconfig").unlink(missing_ok=True)
    earlier = record.read(name)
    if earlier is not None:
        # The ports are kept: a cluster that is made again answers where it did before.
        record.write(name, record.Record("", earlier.http, earlier.https))


def _not_ours(name: str) -> ProviderError:
    return ProviderError(
        f"a kind cluster {name} exists that portable did not make",
        fix=f"choose another cluster.name, or end it: `kind delete cluster --name {name}`",
    )
