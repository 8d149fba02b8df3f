"""What a cloud makes of the spec's neutral words, as data: what the compiler reads of a plugin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

KubeObject: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class IngressProfile:
    """How a route is served: the Ingress class, its annotations, and where its controller's pods live (for NetworkPolicy).

    `controller_selector` is a NetworkPolicy peer ({"namespaceSelector": ..., "podSelector": ...}); None: traffic arrives
    from outside the pod network, so the port is opened to every source. `auto_tls` says what `tls: auto` becomes: a secret
    ("plugin": the plugin's certificate, else one by ACME), or what `auto_tls_annotations` ask for. With `auto_tls_object` that
    is an object for each host: "{host}" in it is the host, "{certificates}" in an annotation the names of all.
    `tls_secrets` False: certificates live outside the cluster, so a route cannot name a secret. `drain` is how many seconds
    a pod goes on serving after it was told to stop: what this controller takes to send its last request there.
    `objects` are classes that the app must bring (cluster-scoped, kept). An empty `class_name`: an annotation names the class.
    """

    class_name: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    controller_selector: Mapping[str, Any] | None = None
    auto_tls: Literal["plugin", "annotation", "unsupported"] = "unsupported"
    auto_tls_annotations: Mapping[str, str] = field(default_factory=dict)
    auto_tls_object: KubeObject | None = None
    tls_secrets: bool = True
    drain: int = 15
    objects: tuple[KubeObject, ...] = ()


@dataclass(frozen=True)
class StorageProfile:
    """Storage classes by what a volume asks for; None: this cloud cannot. `objects` are classes that the app must bring.

    `shared_note` is what `plan` tells whoever uses a shared volume (its price, say).
    """

    single: str | None
    shared: str | None
    expandable: bool
    objects: tuple[KubeObject, ...] = ()
    shared_note: str = ""


@dataclass(frozen=True)
class IdentityProfile:
    """How a workload's cloud identity is bound. `{identity}` in a value stands for what the spec names."""

    service_account_annotations: Mapping[str, str] = field(default_factory=dict)
    pod_labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Profile:
    """What one cloud makes of the spec's neutral words. Plain data: `compile` reads it and nothing else of a plugin.

    `replicas` is the count when the spec names none. `images` maps a resource type ("postgres") and an optional version
    ("postgres:17") to an image by digest. `unsupported` maps a place in the spec's words
    ("workloads.*.identity", "resources.*.access=shared") to the reason why this cloud cannot honour it.
    `aliases` are other names that a spec's `patches` may use for this cloud. `tolerations` go on every pod: for taints that the
    cloud itself puts on nodes that the spec asked for.
    """

    cloud: str
    title: str
    replicas: int
    storage: StorageProfile
    ingress: IngressProfile
    load_balancer_annotations: Mapping[str, str] = field(default_factory=dict)
    load_balancer_class: str | None = None
    policy_enforced: bool = False
    metrics: bool = True
    node_autoscaling: bool = False
    identity: IdentityProfile | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    unsupported: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    tolerations: tuple[Mapping[str, str], ...] = ()
