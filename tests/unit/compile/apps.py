"""Small apps for the compiler's tests, and ways to find things in what it makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portable.compile import compile_app
from portable.compile.objects import Objects, logical_name
from portable.provider import IngressProfile, KubeObject, Profile, StorageProfile
from portable.spec.model import App, Container, Port, Resource, Workload

PROFILE = Profile(
    cloud="test",
    title="Testland",
    replicas=2,
    storage=StorageProfile(single="block", shared="files", expandable=True),
    ingress=IngressProfile(class_name="web", auto_tls="plugin", drain=20),
    images={"postgres": "postgres:17.0", "postgres:16": "postgres:16.0", "redis": "redis:8.0"},
    policy_enforced=True,
    aliases=("testy",),
)
HTTP = {"http": Port("http", 80, 8080)}


def workload(name: str = "web", kind: Any = "service", container: Container | None = None, **rest: Any) -> Workload:
    rest.setdefault("ports", HTTP if kind in ("service", "stateful") else {})
    only = container or Container(name, f"{name}:1.0")
    return Workload(name, kind, rest.pop("containers", {only.name: only}), **rest)


def app(*workloads: Workload, resources: tuple[Resource, ...] = (), **rest: Any) -> App:
    return App("shop", None, None, {w.name: w for w in workloads}, {r.name: r for r in resources}, **rest)


def compiled(*workloads: Workload, profile: Profile = PROFILE, **rest: Any) -> Objects:
    return compile_app(app(*workloads, **rest), profile)


def manifests(objects: Objects) -> Mapping[str, KubeObject]:
    """The objects by logical name: "Deployment/web"."""
    return {logical_name(item.manifest): item.manifest for item in objects.items}


def pod(objects: Objects, name: str) -> dict[str, Any]:
    """The pod spec of a controller, by its logical name."""
    spec = manifests(objects)[name]["spec"]
    return (spec["jobTemplate"]["spec"] if name.startswith("CronJob/") else spec)["template"]["spec"]


def main_container(objects: Objects, name: str) -> dict[str, Any]:
    return pod(objects, name)["containers"][0]
