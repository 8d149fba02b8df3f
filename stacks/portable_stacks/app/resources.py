"""What the app stack holds, as data: the resources of one app, before any engine sees them.

Pure: names, types and inputs are the same whichever Kubernetes plugin applies them, so a stack made with one can be carried on
with the other. Type tokens are pulumi-kubernetes' (`kubernetes:apps/v1:Deployment`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from portable.compile.objects import CompiledWorkload, GeneratedSecret, Item, Objects, logical_name
from portable.kube import FIELD_MANAGER
from portable.provider import KubeObject

CREDENTIAL = "portable:index:Credential"
READY = "portable:index:Ready"

# What the official plugin is told: waiting is ours, and conflicts and ownership are those of our own server-side apply.
# https://www.pulumi.com/registry/packages/kubernetes/installation-configuration/
ANNOTATIONS = {
    "pulumi.com/skipAwait": "true",
    "pulumi.com/patchForce": "true",
    "pulumi.com/patchFieldManager": FIELD_MANAGER,
}
ANNOTATION_PREFIX = "pulumi.com/"

Condition: TypeAlias = Literal["ready", "complete"]


@dataclass(frozen=True)
class Resource:
    """One resource of the stack. `depends_on` are names of others. `kept`: not deleted with the stack.

    `secret` is set on a Secret whose data is composed from credentials when the program runs.
    """

    type: str
    name: str
    inputs: Mapping[str, Any]
    depends_on: tuple[str, ...] = ()
    kept: bool = False
    secret: GeneratedSecret | None = field(default=None, repr=False)


def app_resources(objects: Objects) -> tuple[Resource, ...]:
    """The resources in an order in which each comes after those that it depends on.

    A workload with `after` waits: its controller depends on a gate (type Ready) for each workload that must come first.
    """
    namespace = [item for item in objects.items if item.manifest["kind"] == "Namespace"]
    others = [item for item in objects.items if item.manifest["kind"] != "Namespace"]
    first = tuple(logical_name(item.manifest) for item in namespace)
    gates = _gates(objects.workloads)
    resources = [
        *(_object(item) for item in namespace),
        *(_credential(secret, objects.namespace) for secret in objects.generated if secret.generate),
        *(replace(_generated(secret), depends_on=first) for secret in objects.generated),
        *(_object(item, first + gates.get(logical_name(item.manifest), ())) for item in others),
        *_gate_resources(objects.workloads),
    ]
    return _ordered(resources)


def type_token(manifest: KubeObject) -> str:
    """pulumi-kubernetes' token of an object's type: "kubernetes:core/v1:Secret", "kubernetes:apps/v1:Deployment"."""
    version = manifest["apiVersion"]
    return f"kubernetes:{'core/v1' if version == 'v1' else version}:{manifest['kind']}"


def credential_name(secret: str) -> str:
    return f"Credential/{secret}"


def gate_name(workload: str, condition: Condition) -> str:
    return f"{condition.capitalize()}/{workload}"


def _object(item: Item, extra: tuple[str, ...] = ()) -> Resource:
    depends_on = tuple(dict.fromkeys((*extra, *item.depends_on)))
    name = logical_name(item.manifest)
    return Resource(type_token(item.manifest), name, _annotated(item.manifest), depends_on, kept=item.kept)


def _annotated(manifest: KubeObject) -> KubeObject:
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **ANNOTATIONS}}}


def _credential(secret: GeneratedSecret, namespace: str) -> Resource:
    inputs = {"namespace": namespace, "secret": secret.name, "keys": list(secret.generate)}
    return Resource(CREDENTIAL, credential_name(secret.name), inputs)


def _generated(secret: GeneratedSecret) -> Resource:
    manifest = secret.manifest
    return Resource(type_token(manifest), logical_name(manifest), _annotated(manifest), secret=secret)


def _gates(workloads: Mapping[str, CompiledWorkload]) -> dict[str, tuple[str, ...]]:
    """logical name of a controller -> names of the gates that it waits for."""
    return {
        _controller(workload): tuple(gate_name(name, condition) for name, condition in workload.after.items())
        for workload in workloads.values()
    }


def _gate_resources(workloads: Mapping[str, CompiledWorkload]) -> Iterable[Resource]:
    edges = {edge for workload in workloads.values() for edge in workload.after.items()}
    for name, condition in sorted(edges):
        inputs = {"workload": name, "digest": workloads[name].digest, "condition": condition}
        yield Resource(READY, gate_name(name, condition), inputs, (_controller(workloads[name]),))


def _controller(workload: CompiledWorkload) -> str:
    return f"{workload.controller.kind}/{workload.controller.name}"


def _ordered(resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """Stable topological order; a name that is not there (kept from an earlier revision, made elsewhere) is no dependency."""
    by_name = {resource.name: resource for resource in resources}
    done: dict[str, Resource] = {}

    def visit(resource: Resource) -> None:
        if resource.name in done:
            return
        known = tuple(name for name in resource.depends_on if name in by_name and name != resource.name)
        for name in known:
            visit(by_name[name])
        done[resource.name] = replace(resource, depends_on=known)

    for resource in by_name.values():
        visit(resource)
    return tuple(done.values())
