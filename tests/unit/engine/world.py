"""Small apps for the engine's tests: compiled objects without a compiler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from portable.compile.objects import CompiledWorkload, GeneratedSecret, Item, Objects, Reference
from portable.provider import KubeObject


def namespace(name: str) -> Item:
    return Item({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def config(name: str, space: str, text: str = "x") -> Item:
    return Item({"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(name, space), "data": {"text": text}})


def service(name: str, space: str) -> Item:
    spec = {"selector": {"app": name}, "ports": [{"name": "web", "port": 80}]}
    return Item(
        {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(name, space), "spec": spec}, workload=name
    )


def deployment(name: str, space: str, image: str = "web:1", *, after: tuple[str, ...] = ()) -> Item:
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(name, space)}
    return Item({**manifest, "spec": {"replicas": 1, **_pods(name, image)}}, workload=name, depends_on=after)


def stateful_set(name: str, space: str, image: str = "db:1", *, management: str = "OrderedReady") -> Item:
    manifest = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": _metadata(name, space)}
    spec = {"replicas": 1, "serviceName": name, "podManagementPolicy": management, **_pods(name, image)}
    return Item({**manifest, "spec": spec}, workload=name)


def claim(name: str, space: str, size: str = "1Gi") -> Item:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "storageClassName": "none"}
    manifest = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": _metadata(name, space), "spec": spec}
    return Item(manifest, kept=True)


def credentials(name: str, space: str, *keys: str, templates: Mapping[str, str] | None = None) -> GeneratedSecret:
    manifest: KubeObject = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": _metadata(name, space)}
    return GeneratedSecret(name, manifest, keys, {"username": "app"}, templates or {})


def app(
    space: str,
    *items: Item,
    generated: tuple[GeneratedSecret, ...] = (),
    after: Mapping[str, Mapping[str, Literal["ready", "complete"]]] | None = None,
) -> Objects:
    """The objects of an app, with a compiled workload for each Deployment and StatefulSet."""
    workloads = {
        str(item.workload): CompiledWorkload(
            name=str(item.workload),
            controller=Reference("apps/v1", item.manifest["kind"], item.manifest["metadata"]["name"], space),
            digest=str(item.manifest["spec"]),
            timeout=60,
            on_failure="stop",
            after=(after or {}).get(str(item.workload), {}),
        )
        for item in items
        if item.manifest["kind"] in ("Deployment", "StatefulSet")
    }
    return Objects("shop", None, "test", space, (namespace(space), *items), workloads, generated)


def sixty(space: str, *, image: str = "web:1", text: str = "x") -> Objects:
    """60 objects in a namespace: 20 each of Deployment, Service and ConfigMap; `image` and `text` change the first ones."""
    items: list[Item] = []
    for number in range(20):
        first = number == 0
        items += [
            config(f"config-{number}", space, text if first else "x"),
            deployment(f"web-{number}", space, image if first else "web:1", after=(f"ConfigMap/config-{number}",)),
            service(f"web-{number}", space),
        ]
    return app(space, *items)


def _metadata(name: str, space: str) -> dict[str, object]:
    return {"name": name, "namespace": space, "labels": {"app": name}}


def _pods(name: str, image: str) -> dict[str, object]:
    container = {"name": "main", "image": image, "ports": [{"containerPort": 80}]}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    return {"selector": {"matchLabels": {"app": name}}, "template": template}
