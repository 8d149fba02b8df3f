"""What `compile` returns: the ordered Kubernetes objects of one app on one profile, and what other parts need to know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from portable.provider import KubeObject

Controller: TypeAlias = Literal["Deployment", "StatefulSet", "Job", "CronJob"]


@dataclass(frozen=True)
class Reference:
    """The address of a Kubernetes object. `namespace` None: cluster-scoped."""

    api_version: str
    kind: str
    name: str
    namespace: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True)
class Item:
    """One object to be applied. `workload` is the workload or database it belongs to, None for what they share.

    `kept`: holds data or credentials; removed only with --destroy-data (Pulumi: retain on delete).
    `depends_on`: logical names (see `logical_name`) that must exist first.
    """

    manifest: KubeObject
    workload: str | None = None
    kept: bool = False
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True)
class GeneratedSecret:
    """A Secret whose values `portable` makes once: `generate` lists keys that get 32 random URL-safe characters, `fixed` the rest.

    `templates` are keys composed from others: "postgres://${username}:${password}@db:5432/db" (a `$` is written `$$`).
    `${NAME/KEY}` stands for a key that another secret of the app lists in `generate`.
    The engine makes the values (encrypted in state) and applies the Secret `name` with the labels of `manifest`.
    """

    name: str
    manifest: KubeObject
    generate: tuple[str, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
    workload: str | None = None


@dataclass(frozen=True)
class ExpectedSecret:
    """A Secret that must be in the namespace before the workloads start; made by `portable secret set`, or for a route's
    `tls: auto` by the provider (`certificate_hosts` set)."""

    resource: str
    name: str
    keys: tuple[str, ...]
    type: str = "Opaque"
    certificate_hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class CompiledWorkload:
    """What the rollout watcher follows. `digest` covers the pod template and all config it uses.

    `section`: where the spec has it; a database stands under `resources` and has none of a workload's keys.
    """

    name: str
    controller: Reference
    digest: str
    timeout: int
    on_failure: Literal["rollback", "stop"]
    autoscaled: bool = False
    scale_min: int | None = None
    images: tuple[str, ...] = ()
    after: Mapping[str, Literal["ready", "complete"]] = field(default_factory=dict)
    section: Literal["workloads", "resources"] = "workloads"

    @property
    def place(self) -> str:
        """In the spec's words: "workloads.api", "resources.db"."""
        return f"{self.section}.{self.name}"


@dataclass(frozen=True)
class RouteTarget:
    workload: str
    name: str
    host: str
    path: str
    tls: bool
    auto_tls: bool = False


@dataclass(frozen=True)
class Objects:
    """`items` are in an order in which they can be applied. `notes` are for `plan`: choices and consequences, in words.

    `outputs` are what `portable outputs` prints: "resources.db.host" -> "db"; never a secret.
    `security_level` is the namespace's Pod Security level.
    """

    app: str
    environment: str | None
    cloud: str
    namespace: str
    items: tuple[Item, ...]
    workloads: Mapping[str, CompiledWorkload]
    generated: tuple[GeneratedSecret, ...] = ()
    expected: tuple[ExpectedSecret, ...] = ()
    routes: tuple[RouteTarget, ...] = ()
    notes: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    security_level: str = "restricted"
    digest: str = ""


def reference(manifest: KubeObject) -> Reference:
    metadata = manifest["metadata"]
    return Reference(manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace"))


def logical_name(manifest: KubeObject) -> str:
    """The Pulumi logical name of an object: "Deployment/api". Unique in an app: one namespace, one name per kind."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"
