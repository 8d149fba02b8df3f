"""What a destroy does itself, beside the engine's run: first what a cloud has built, last what may hold data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from portable.compile.objects import logical_name
from portable.engine.kubernetes import KubernetesObject
from portable.engine.state import name_of
from portable.events import Emit
from portable.kube import Kube
from portable_stacks.app.resources import CREDENTIAL

NAMESPACE = "kubernetes:core/v1:Namespace"

Resources = Sequence[Mapping[str, Any]]


def delete_what_clouds_built(resources: Resources, kube: Kube, emit: Emit) -> None:
    """LoadBalancer Services and Ingresses, with their finalizers: clouds take their parts away while the rest still runs.

    Done here since the official plugin, told not to wait, does not wait on deletions either (pulumi-kubernetes #3147).
    """
    objects = KubernetesObject(kube)
    for resource in resources:
        if is_kubernetes(resource) and _built_by_a_cloud(resource["inputs"]):
            objects.delete("", resource["inputs"], emit)


def delete_namespaces(resources: Resources, kube: Kube, emit: Emit) -> None:
    """Deletes and waits: nothing of the app is left when this returns. After the engine, there is nothing to do but with the
    official plugin, which does not wait."""
    for resource in resources:
        if resource["type"] == NAMESPACE:
            KubernetesObject(kube).delete("", resource["inputs"], emit)


def release_data(resources: Resources, kube: Kube) -> None:
    """Asks for the deletion of what the stack would retain. Claims wait for the pods that mount them; the namespace, deleted
    last, waits for the claims."""
    for resource in resources:
        if resource.get("retainOnDelete"):
            manifest = resource["inputs"]
            metadata = manifest["metadata"]
            kube.delete(manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace"))


def kept(resources: Resources, kube: Kube) -> Resources:
    """What stays without --destroy-data: credentials, and the namespace while it holds data."""
    holds_data = bool(claims(resources, kube))
    return [
        resource
        for resource in resources
        if resource["type"] == CREDENTIAL or (holds_data and resource["type"] == NAMESPACE)
    ]


def kept_names(resources: Resources, kube: Kube) -> tuple[str, ...]:
    """Logical names of `resources` and of the claims in their namespaces."""
    return (*(name_of(resource["urn"]) for resource in resources), *claims(resources, kube))


def claims(resources: Resources, kube: Kube) -> list[str]:
    """The claims in the namespaces among `resources`, whether the stack or a StatefulSet made them."""
    spaces = [entry["inputs"]["metadata"]["name"] for entry in resources if entry["type"] == NAMESPACE]
    return [logical_name(claim) for space in spaces for claim in kube.list("v1", "PersistentVolumeClaim", space)]


def is_kubernetes(resource: Mapping[str, Any]) -> bool:
    return resource["type"].startswith("kubernetes:")


def _built_by_a_cloud(manifest: Mapping[str, Any]) -> bool:
    if manifest["kind"] == "Service":
        return manifest.get("spec", {}).get("type") == "LoadBalancer"
    return manifest["kind"] == "Ingress"
