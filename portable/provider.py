"""The plugin protocol: what a cloud must be able to do for `portable`, and how plugins are found.

A plugin is a class named by an entry point in the group `portable.providers`; see `providers/portable_kind` for a complete
one. It knows one cloud and imports that cloud's SDK inside the methods that need it. Nothing here knows a cloud.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from portable.errors import Problem, ToolError, UsageError
from portable.events import Emit

if TYPE_CHECKING:
    from pathlib import Path

    from portable.spec.model import Cluster

PROTOCOL_VERSION = 1
ENTRY_POINT_GROUP = "portable.providers"

KubeObject: TypeAlias = dict[str, Any]
Inputs: TypeAlias = dict[str, Any]
Outputs: TypeAlias = dict[str, Any]


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


@dataclass(frozen=True)
class Check:
    """One line of `doctor`: what was looked at, how it is, and what to do about it. `fixable`: `--fix` can mend it."""

    name: str
    status: Literal["ok", "warning", "missing"]
    detail: str
    fix: str = ""
    fixable: bool = False


@dataclass(frozen=True)
class Diff:
    """`changes`: properties that differ. `replaces`: those of them that need a new object (made before or after deletion)."""

    changes: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    delete_before_replace: bool = False


@runtime_checkable
class ResourceType(Protocol):
    """One kind of cloud object. Never imports Pulumi; `portable.engine.host` serves it. All calls may block.

    Every method is idempotent: `create` that finds what an earlier, interrupted `create` made goes on with it.
    `read` returns None when the object is gone. Inputs and outputs are JSON values; names of secret outputs are listed.
    What a `create` left that did not finish is created again, or deleted: `delete` then gets the input `name` as the id and
    the inputs as outputs.
    """

    secret_outputs: tuple[str, ...]

    def check(self, inputs: Inputs) -> Sequence[Problem]: ...
    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff: ...
    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]: ...
    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None: ...
    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs: ...
    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None: ...


@dataclass(frozen=True)
class ClusterResource:
    """One resource of the cluster stack. `type` is "portable:CLOUD:Name"; a value may be a `Ref` to another's output.

    `note` is what `plan` says of it: a choice that costs money, with its price and the date of that price.
    """

    type: str
    name: str
    inputs: Mapping[str, Any]
    depends_on: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Ref:
    """An output of another resource of the same cluster stack, used as an input."""

    resource: str
    output: str


@dataclass(frozen=True)
class ClusterState:
    """What the provider itself says of a cluster: the truth that state files are measured against."""

    name: str
    healthy: bool
    detail: str = ""
    version: str = ""
    uid: str = ""


@dataclass(frozen=True)
class Token:
    """A bearer token for an API server. `expires`: seconds since the epoch."""

    value: str = field(repr=False)
    expires: float


@dataclass(frozen=True)
class Credentials:
    """How to reach a cluster's API server: one kubeconfig document (YAML text, may hold secrets; never logged).

    `token` makes a bearer token: this process uses it in place of the document's own users, so that an operation may
    take longer than a token lives.
    """

    kubeconfig: str = field(repr=False)
    token: Callable[[], Token] | None = None


@dataclass(frozen=True)
class Leftover:
    """Something that carries a cluster's tags after the cluster is gone. `data`: it holds an app's data. `cost`: of keeping it."""

    kind: str
    id: str
    detail: str = ""
    data: bool = False
    cost: str = ""


@dataclass(frozen=True)
class RouteAddress:
    """Where a route answers from the user's machine: a URL to open, and what has to be true for it (DNS, a CA to trust)."""

    url: str
    note: str = ""


@runtime_checkable
class Provider(Protocol):
    """What every plugin has. Constructing one is free: no I/O, no SDK import."""

    protocol: int
    name: str
    aliases: tuple[str, ...]
    title: str

    def profile(self, cluster: Cluster) -> Profile: ...
    def cluster(self, cluster: Cluster) -> Sequence[ClusterResource]: ...
    def resource_types(self) -> Mapping[str, ResourceType]: ...
    def find(self, cluster: Cluster) -> ClusterState | None: ...
    def credentials(self, cluster: Cluster) -> Credentials: ...
    def doctor(self, cluster: Cluster, *, fix: bool, emit: Emit) -> Sequence[Check]: ...
    def permissions(self) -> str: ...


@runtime_checkable
class LocalImages(Protocol):
    """Optional: images found on the user's machine can be put into the cluster's nodes."""

    def find_images(self, images: Sequence[str]) -> Mapping[str, str]:
        """image -> content digest of those of `images` that are on this machine. Touches no cluster."""
        ...

    def load_images(self, cluster: Cluster, images: Sequence[str], emit: Emit) -> Mapping[str, str]:
        """Loads those of `images` that exist locally and that the nodes lack; returns image -> digest of those found."""
        ...


@runtime_checkable
class ImageArchives(Protocol):
    """Optional: image archives are loaded into the cluster's nodes: files as `docker save` writes them, and OCI layouts."""

    def held_images(self, cluster: Cluster, images: Sequence[str]) -> Mapping[str, str]:
        """image ("NAME:TAG") -> reference by digest to run it by, for those of `images` that every node has."""
        ...

    def load_archive(self, cluster: Cluster, archive: Path, image: str, emit: Emit) -> None:
        """Afterwards every node has the archive's one image as `image`, for `held_images` to tell."""
        ...


@runtime_checkable
class LiveFiles(Protocol):
    """Optional: files are put into running containers from outside, whatever their user and their file system may do."""

    def write_files(self, cluster: Cluster, node: str, container: str, archive: bytes) -> None:
        """Unpacks the tar `archive` at the root of the container with the runtime's id `container` on the node `node`."""
        ...


@dataclass(frozen=True)
class RegistryLogin:
    """What a registry at `server` (a host, perhaps with a port) takes as user name and password."""

    server: str
    username: str
    password: str = field(repr=False)


@runtime_checkable
class Registry(Protocol):
    """Optional: the cloud has an image registry, from which this cluster's nodes pull without further credentials.

    What is pushed there is named by its content and never overwritten. All calls may block and raise ProviderError.
    """

    def repository(self, cluster: Cluster, name: str) -> str:
        """The full name ("HOST/PATH") of the repository that `name` ("shop/web-main") has or would have. Makes nothing."""
        ...

    def ensure_repository(self, cluster: Cluster, name: str, emit: Emit) -> str:
        """As `repository`; afterwards it is there, and the cluster's nodes may pull from it."""
        ...

    def registry_login(self, cluster: Cluster) -> RegistryLogin:
        """A login that may push to and pull from this cluster's repositories, good for some minutes at least."""
        ...

    def owns_image(self, cluster: Cluster, image: str) -> bool:
        """Whether `image` lies in a registry that is private to this account, so that clusters elsewhere cannot pull it."""
        ...


@runtime_checkable
class Routes(Protocol):
    """Optional: the plugin knows how routes are reached, and makes certificates for `tls: auto`."""

    def addresses(self, cluster: Cluster, hosts: Sequence[tuple[str, str, bool]]) -> Sequence[RouteAddress]:
        """`hosts`: (host, path, tls) of each route."""
        ...

    def certificate(self, hosts: Sequence[str]) -> tuple[str, str]:
        """(certificate chain PEM, private key PEM) valid for `hosts`; the same until it nears its end."""
        ...


@runtime_checkable
class KeptData(Protocol):
    """Optional: data that outlives an app or its cluster, and how to end it."""

    def kept_data(self, cluster: Cluster, namespace: str) -> Sequence[str]:
        """ "NAMESPACE/CLAIM" of each, followed by what keeping it costs, if anything. An empty `namespace`: all of the cluster."""
        ...

    def delete_kept_data(self, cluster: Cluster, namespace: str, emit: Emit) -> None: ...


@runtime_checkable
class KeptVolumes(Protocol):
    """Optional, beside `KeptData`: disks that outlived their cluster are bound again in the next."""

    def persistent_volumes(self, cluster: Cluster, namespace: str) -> Sequence[KubeObject]:
        """A PersistentVolume for each kept disk of this namespace, with a `claimRef` to the claim that it belonged to."""
        ...


@runtime_checkable
class Tokens(Protocol):
    """Optional: API servers of this cloud take bearer tokens, which `portable token` hands to kubectl."""

    def token(self, cluster: Cluster) -> Token: ...


ADDRESS_TYPES = ("A", "AAAA", "CNAME")


@dataclass(frozen=True)
class Record:
    """A DNS record set. `name` is whole and without its last dot, `values` are as in a zone file but host names without it too.

    `ttl` in seconds. `weights`: one for each value, where the service answers with one of them in that proportion.
    """

    name: str
    type: Literal["A", "AAAA", "CNAME", "TXT"]
    values: tuple[str, ...]
    ttl: int = 300
    weights: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.type} {', '.join(self.values)}"


class Zones(Protocol):
    """Public DNS zones of one service that records can be written to. Whose a record is `portable.dns.ownership` knows.

    Calls block until the service's own name servers answer so, and raise ProviderError. `weighted`: it takes `Record.weights`.
    """

    title: str
    weighted: bool

    def zone(self, host: str) -> str | None:
        """The service's own id of the closest zone that holds `host`; None where it has none."""
        ...

    def records(self, zone: str, name: str) -> Sequence[Record]:
        """What stands at `name` of the types that `Record` knows. A service's own alias is a CNAME."""
        ...

    def upsert(self, zone: str, record: Record) -> None:
        """Afterwards `record` is there. An address (A, AAAA, CNAME) takes the place of all three types, in one step where the
        service can."""
        ...

    def delete(self, zone: str, record: Record) -> None:
        """Afterwards nothing of that name and type is there."""
        ...


@runtime_checkable
class Dns(Protocol):
    """Optional: the cloud has a DNS service, in which this account may have zones."""

    def dns(self, cluster: Cluster) -> Zones: ...


@dataclass(frozen=True)
class Certificate:
    """A certificate that a cloud keeps. `validation`: what must stand in DNS before it is issued, and as long as it is to be renewed."""

    id: str
    host: str
    status: Literal["pending", "issued", "failed"]
    reason: str = ""
    validation: tuple[Record, ...] = ()


@runtime_checkable
class Certificates(Protocol):
    """Optional: the cloud's load balancers take certificates from a store of its own, and find them by their host."""

    def certificate_for(self, cluster: Cluster, host: str, app: str) -> Certificate:
        """The one that serves `host`, requested if there is none. `app` owns what is requested (its stack's key)."""
        ...

    def delete_certificates(self, cluster: Cluster, app: str) -> Sequence[Certificate]:
        """Deletes those that `app` owns, once no load balancer uses them any more; returns what was deleted."""
        ...


@runtime_checkable
class Identities(Protocol):
    """Optional: workloads' cloud identities are bound at the cloud, and not only by what `IdentityProfile` writes into objects."""

    def bind(self, cluster: Cluster, namespace: str, identities: Mapping[str, str]) -> None:
        """`identities`: service account -> identity as the spec names it, all of the namespace. What was bound there and is
        not among them is released; an empty mapping releases all. May be repeated."""
        ...


@runtime_checkable
class Sweep(Protocol):
    """Optional: what carries a cluster's tags and was left behind by controllers or broken-off calls is found and removed."""

    def leftovers(self, cluster: Cluster) -> Sequence[Leftover]: ...

    def remove(self, cluster: Cluster, leftover: Leftover, emit: Emit) -> str:
        """Empty when it is gone, else why it could not be removed, in words."""
        ...


@dataclass(frozen=True)
class NativeResource:
    """A cloud object as Pulumi's official plugin of that cloud names it: what `pulumi import` takes."""

    type: str
    name: str
    id: str


@runtime_checkable
class NativeResources(Protocol):
    """Optional: the cluster's resources are known to the cloud's official Pulumi plugin, by types and ids of its own."""

    def native_resources(
        self, type: str, name: str, object_id: str, inputs: Inputs, outputs: Outputs
    ) -> Sequence[NativeResource]:
        """The official objects that one resource of the cluster stack stands for; none: what it is no plugin keeps. Pure."""
        ...


@dataclass(frozen=True)
class ForeignMark:
    """A way to tell that a text in a spec belongs to one cloud. `pattern` is searched for, as a regular expression.

    `where`: "key" (of an annotation, say) or "value" (any text). `what` it is ("an ARN"), `instead` what to write. `place`
    names the key that may have it in an environment of that cloud ("image", "identity", "region"); "" none may.
    """

    pattern: str
    what: str
    instead: str
    where: Literal["key", "value"] = "value"
    place: str = ""


@runtime_checkable
class ForeignMarks(Protocol):
    """Optional: how `lint` recognises what would tie a spec to this cloud."""

    foreign_marks: tuple[ForeignMark, ...]


def provider_names() -> dict[str, str]:
    """Entry-point name -> "module:Class" of every installed plugin, sorted by name."""
    from importlib.metadata import entry_points

    return {entry.name: entry.value for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name)}


def load_provider(name: str) -> Provider:
    """The plugin called `name`, by its name or one of its aliases.

    Raises UsageError for an unknown name (with the known ones) and for a plugin of another protocol version.
    """
    from importlib.metadata import entry_points

    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    entry = found.get(name)
    provider = entry.load()() if entry is not None else _by_alias(name, [each.load()() for each in found.values()])
    if provider.protocol != PROTOCOL_VERSION:
        raise UsageError(
            f"the plugin {provider.name!r} speaks protocol {provider.protocol}, this portable speaks {PROTOCOL_VERSION}",
            fix="install a version of the plugin that matches",
        )
    return provider


def missing_sdk(error: ModuleNotFoundError) -> ToolError | None:
    """What to install where a plugin's own import failed; None where the import that failed is no plugin's."""
    from importlib.metadata import entry_points

    plugins = {entry.module.partition(".")[0]: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    frame, plugin = error.__traceback__, None
    while frame is not None:
        plugin = plugins.get(str(frame.tb_frame.f_globals.get("__name__")).partition(".")[0], plugin)
        frame = frame.tb_next
    if plugin is None or plugin.dist is None:
        return None
    extras = plugin.dist.metadata.get_all("Provides-Extra") or ()
    wanted = f"{plugin.dist.name}[{plugin.name}]" if plugin.name in extras else str(error.name)
    return ToolError(
        f"the SDK of {plugin.name} is not installed: no module {error.name}", fix=f"pip install '{wanted}'"
    )


def _by_alias(name: str, providers: Sequence[Provider]) -> Provider:
    from portable.spec.document import did_you_mean

    for provider in providers:
        if name in provider.aliases:
            return provider
    near = did_you_mean(name, [known for provider in providers for known in (provider.name, *provider.aliases)])
    raise UsageError(
        f"no provider is called {name!r}" + (f": {near}" if near else ""),
        detail=f"installed: {', '.join(sorted(provider.name for provider in providers)) or 'none'}",
        fix="see `portable providers list`",
    )
