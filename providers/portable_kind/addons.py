"""portable:kind:Addons: what runs in every cluster so that the spec's words mean something there.

    inputs   cluster (name), uid (of the cluster: another one needs its add-ons anew), digest (of the manifests)

Two sets, chosen by the node image: our own controllers, preloaded in the self-built image; official images, pulled by the
nodes, with kind's own image. The official set's LoadBalancer addresses come from the kind project's cloud-provider-kind,
which runs beside the nodes as a container.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from typing import Any

from portable.errors import PortableError, Problem, ProviderError
from portable.events import Emit, Notice, Step
from portable.kube import Kube
from portable.provider import Diff, Inputs, KubeObject, Outputs
from portable_kind import docker, images, lifecycle

STEP = "add-ons"
LABEL = "portable.dev/addons"
READY_SECONDS = 300.0
LOAD_BALANCER = "portable-load-balancer"
LOAD_BALANCER_IMAGE = "registry.k8s.io/cloud-provider-kind/cloud-controller-manager:v0.6.0"
# It is available only after its first round of the nodes, some 20 s, and nothing but autoscaling needs it.
NOT_WAITED_FOR = "metrics-server"
# Kinds of which a release may leave an object out that an earlier one had.
PRUNED = (("apps/v1", "Deployment"), ("apps/v1", "DaemonSet"), ("v1", "Service"))


def manifests(*, self_built: bool) -> list[KubeObject]:
    """The objects of a set, in the order of files and documents, each with LABEL."""
    import yaml

    objects: list[KubeObject] = []
    for text in _texts(self_built):
        objects += (document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document)
    for manifest in objects:
        manifest["metadata"].setdefault("labels", {})[LABEL] = "true"
    return objects


def digest() -> str:
    """Over both sets: which of them a cluster uses is known only once it is made."""
    hashed = hashlib.sha256()
    for text in (*_texts(True), *_texts(False), LOAD_BALANCER_IMAGE):
        hashed.update(text.encode())
    return hashed.hexdigest()[:16]


def _texts(self_built: bool) -> list[str]:
    folder = files("portable_kind").joinpath(*(("node", "addons") if self_built else ("addons",)))
    found = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".yaml")), key=lambda entry: entry.name)
    return [entry.read_text() for entry in found]


class AddonsResource:
    secret_outputs: tuple[str, ...] = ()

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        changed = tuple(key for key in ("cluster", "uid", "digest") if old.get(key) != new.get(key))
        return Diff(changes=changed, replaces=("cluster",) if "cluster" in changed else (), delete_before_replace=True)

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        name = inputs["cluster"]
        nodes = docker.nodes(name)
        if not nodes:
            raise ProviderError(f"there is no kind cluster {name}", fix="run `portable up --cloud kind`")
        began = time.monotonic()
        emit(Step(STEP, "started", title="Installing the load balancer, ingress and metrics", usual=15))
        objects = manifests(self_built=nodes[0].self_built)
        lacking = _images_that_lack(nodes, objects)
        with lifecycle.ask(name) as kube:
            if lacking and any(_labelled(kube)):
                emit(
                    Notice(
                        f"the add-ons of {name} stay as they are: its nodes are of an older image, without {lacking[0]}"
                    )
                )
                emit(Step(STEP, "skipped", seconds=time.monotonic() - began))
                return name, dict(inputs)
            if lacking:
                raise ProviderError(
                    "the node image lacks images of the add-ons",
                    detail=", ".join(lacking),
                    fix="`portable doctor --fix --cloud kind` builds the present one; then destroy the cluster and make it again",
                )
            for manifest in objects:
                kube.apply(manifest)
            _prune(kube, objects)
            if not nodes[0].self_built:
                _start_load_balancer(emit)
            _wait(kube, objects, emit)
        emit(Step(STEP, "done", seconds=time.monotonic() - began))
        return name, dict(inputs)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        nodes = docker.nodes(object_id)
        if not nodes:
            return None
        try:
            with lifecycle.ask(object_id) as kube:
                live = {(o["kind"], o["metadata"]["name"]) for o in _labelled(kube)}
        except PortableError:
            return outputs
        wanted = [o for o in manifests(self_built=nodes[0].self_built) if (o["apiVersion"], o["kind"]) in PRUNED]
        return outputs if all((o["kind"], o["metadata"]["name"]) in live for o in wanted) else None

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        return self.create(new, emit)[1]

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        """Nothing to do: they go with their cluster, and volumes and routes need them until then."""


def _images_that_lack(nodes: Sequence[docker.Node], objects: Sequence[KubeObject]) -> list[str]:
    """Images that must come with the node image (they are in no registry) and that a node does not have."""
    wanted = sorted(set(preloaded(objects)))
    if not wanted:
        return []
    present = [images.targets_from(docker.execute(node.name, *images.CTR, "list")) for node in nodes]
    return [image for image in wanted if any(image not in names for names in present)]


def preloaded(objects: Iterable[KubeObject]) -> Iterator[str]:
    """Images that pods use but never pull."""
    for manifest in objects:
        template = manifest.get("spec", {}).get("template", {})
        for container in template.get("spec", {}).get("containers", ()):
            if container.get("imagePullPolicy") == "Never":
                yield images.canonical(container["image"])


def _labelled(kube: Kube) -> Iterable[KubeObject]:
    for api_version, kind in PRUNED:
        yield from kube.list(api_version, kind, label_selector=f"{LABEL}=true")


def _prune(kube: Kube, objects: Sequence[KubeObject]) -> None:
    """Deletes controllers that an earlier release installed and this one does not name."""
    named = {(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects}
    for live in list(_labelled(kube)):
        metadata = live["metadata"]
        if (live["kind"], metadata.get("namespace"), metadata["name"]) not in named:
            kube.delete(live["apiVersion"], live["kind"], metadata["name"], metadata.get("namespace"))


def _start_load_balancer(emit: Emit) -> None:
    """One cloud-provider-kind serves all kind clusters of this engine; it comes back with the engine."""
    if docker.run("ps", "--quiet", "--filter", f"name=^{LOAD_BALANCER}$").strip():
        return
    emit(Step(STEP, "progress", detail="starting cloud-provider-kind"))
    docker.run("rm", "--force", LOAD_BALANCER)
    docker.run(
        "run",
        "--detach",
        f"--name={LOAD_BALANCER}",
        "--restart=unless-stopped",
        "--network=kind",
        "--volume=/var/run/docker.sock:/var/run/docker.sock",
        LOAD_BALANCER_IMAGE,
        timeout=300,
    )


def _wait(kube: Kube, objects: Sequence[KubeObject], emit: Emit) -> None:
    """Until the controllers' pods are available. Raises ProviderError with those that are not."""
    deadline = time.monotonic() + READY_SECONDS
    said = ""
    while True:
        waiting = [
            f"{manifest['kind']}/{manifest['metadata']['name']}"
            for manifest in objects
            if manifest["kind"] in ("Deployment", "DaemonSet")
            and manifest["metadata"]["name"] != NOT_WAITED_FOR
            and not _is_available(kube, manifest)
        ]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise ProviderError(
                "the cluster's add-ons did not start: " + ", ".join(waiting),
                detail=f"waited {READY_SECONDS:.0f} s",
                fix="`kubectl describe pods -A` says why; where no registry answers, `portable doctor --fix --cloud kind` builds "
                "a node image that holds what it needs: then destroy the cluster and make it again",
            )
        words = "waiting for " + ", ".join(waiting)
        if words != said:
            said = words
            emit(Step(STEP, "progress", detail=words))
        time.sleep(0.5)


def _is_available(kube: Kube, manifest: KubeObject) -> bool:
    metadata = manifest["metadata"]
    live = kube.get(manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace"))
    return live is not None and available(live)


def available(live: KubeObject) -> bool:
    """Whether the controller's newest pod template runs everywhere it should."""
    status: dict[str, Any] = live.get("status", {})
    if status.get("observedGeneration", 0) < live["metadata"].get("generation", 1):
        return False
    if live["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        have = min(status.get("numberAvailable", 0), status.get("updatedNumberScheduled", 0))
        return wanted > 0 and have >= wanted
    wanted = live["spec"].get("replicas", 1)
    return min(status.get("availableReplicas", 0), status.get("updatedReplicas", 0)) >= wanted
