"""The validated app spec as frozen data: defaults filled, placeholders still symbolic text (`${resources.db.host}`).

Shapes follow `schemas/portable_schemas/app.v1.schema.json`, which is the source of the spec's form; this module adds only types.
Durations are seconds, quantities Kubernetes' own text ("500m", "1Gi"). A field that is None was left out and has no default
that is right for every cloud: `compile` fills it from the profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["service", "worker", "stateful", "job", "cron"]


@dataclass(frozen=True)
class Position:
    """A place in a source file; line and column count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True)
class HttpGet:
    path: str
    port: int | str
    host: str | None = None
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Probe:
    """One of `http`, `exec`, `tcp` is set. Times in seconds; None: Kubernetes' default, or ours in `compile`."""

    http: HttpGet | None = None
    exec: tuple[str, ...] | None = None
    tcp: int | str | None = None
    initial_delay: int | None = None
    period: int | None = None
    timeout: int | None = None
    success_threshold: int | None = None
    failure_threshold: int | None = None


@dataclass(frozen=True)
class File:
    """A file put into a container. Exactly one of `content` (text) and `binary` is set; `source` was read by the loader.

    `expand` False: placeholders in `content` are plain text.
    """

    path: str
    content: str | None = None
    binary: bytes | None = None
    mode: str | None = None
    expand: bool = True


@dataclass(frozen=True)
class Mount:
    """A volume at `path`. `source` is the name of a top-level resource of type volume, secret or config."""

    path: str
    source: str
    sub_path: str | None = None
    read_only: bool = False


@dataclass(frozen=True)
class ComputeResources:
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BuildSecret:
    """One of the two is set: `env` names a variable, `file` is an absolute path. The value itself is never read here."""

    env: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class Build:
    """How a container's image is made. `context` is an absolute folder, `dockerfile` relative to it.

    `platforms` empty: the one that the cluster runs. `sync`: path in the context -> path in the container, for `dev`.
    """

    context: str
    dockerfile: str = "Dockerfile"
    target: str | None = None
    args: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, BuildSecret] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    sync: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Container:
    """`before`: containers of the same workload that wait for this one, and for which state of it (Score's meaning).

    With `build`, `image` is a repository without tag or digest; `portable.images` gives it both before it is deployed.
    """

    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    volumes: Mapping[str, Mount] = field(default_factory=dict)
    before: Mapping[str, Literal["started", "healthy", "complete"]] = field(default_factory=dict)
    resources: ComputeResources = ComputeResources()
    liveness: Probe | None = None
    readiness: Probe | None = None
    startup: Probe | None = None
    build: Build | None = None


@dataclass(frozen=True)
class Port:
    """A service port: `port` is what clients dial, `target` what the container listens on."""

    name: str
    port: int
    target: int
    protocol: Literal["TCP", "UDP"] = "TCP"


@dataclass(frozen=True)
class Route:
    """Public HTTP(S) entry. `port` names or numbers one of the workload's service ports. `tls`: None, "auto", or a secret resource."""

    name: str
    host: str
    path: str = "/"
    port: int | str | None = None
    tls: str | None = None


@dataclass(frozen=True)
class Scale:
    """Fixed count when `cpu` and `memory` are None and min == max; else autoscaled. Targets are percent of the request."""

    min: int | None = None
    max: int | None = None
    cpu: int | None = None
    memory: int | None = None

    @property
    def automatic(self) -> bool:
        return self.cpu is not None or self.memory is not None


@dataclass(frozen=True)
class Rollout:
    max_unavailable: int | str = 0
    max_surge: int | str = "25%"
    timeout: int = 300
    on_failure: Literal["rollback", "stop"] = "rollback"


@dataclass(frozen=True)
class Availability:
    """`spread`: keep replicas apart ("soft": prefer, "hard": insist, "none"). `disruption`: the PDB's maxUnavailable, or "none"."""

    spread: Literal["soft", "hard", "none"] = "soft"
    disruption: int | str = 1


@dataclass(frozen=True)
class Security:
    """`level` None: the lowest Pod Security level that the workload fits. `writable`: paths that become emptyDir.

    `egress` None: unrestricted; else names of workloads or CIDRs that may be reached ("dns" is always open).
    """

    user: int | None = None
    writable: tuple[str, ...] = ()
    level: Literal["restricted", "baseline", "privileged"] | None = None
    egress: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Workload:
    name: str
    kind: Kind
    containers: Mapping[str, Container]
    ports: Mapping[str, Port] = field(default_factory=dict)
    schedule: str | None = None
    after: Mapping[str, Literal["ready", "complete"]] = field(default_factory=dict)
    scale: Scale = Scale()
    routes: Mapping[str, Route] = field(default_factory=dict)
    rollout: Rollout = Rollout()
    availability: Availability = Availability()
    identity: str | None = None
    security: Security = Security()
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Volume:
    """`access`: "single" (one node at a time) or "shared" (many). Kept when the app is destroyed unless asked otherwise."""

    name: str
    size: str
    access: Literal["single", "shared"] = "single"


@dataclass(frozen=True)
class Secret:
    """A user secret: values come by `portable secret set`, never from the spec. One key named "value" unless `keys` says more."""

    name: str
    keys: tuple[str, ...] = ("value",)


@dataclass(frozen=True)
class Config:
    name: str
    data: Mapping[str, str]


@dataclass(frozen=True)
class Registry:
    """Credentials for a private image registry at `server`; username and password come by `portable secret set`."""

    name: str
    server: str


@dataclass(frozen=True)
class Database:
    """postgres or redis, run in the cluster. `version` None: the profile's default image."""

    name: str
    type: Literal["postgres", "redis"]
    version: str | None = None
    size: str = "1Gi"


Resource: TypeAlias = Volume | Secret | Config | Registry | Database


@dataclass(frozen=True)
class Nodes:
    """Node count and size. On kind `min` is the number of nodes. `spot`: interruptible capacity."""

    min: int = 1
    max: int | None = None
    cpu: str | None = None
    memory: str | None = None
    spot: bool = False


@dataclass(frozen=True)
class Cluster:
    """What the app asks of its cluster. The cluster stack's key is the cloud and `name`.

    `pools`: node pools by name; the spec's `nodes` is the pool "default". None at all: the cloud chooses and scales the
    nodes by itself. `region` None: the one that the cloud's own configuration names. `existing`: `name` was made by
    someone else and is only used. `allow`: CIDR blocks that may reach the API server; none: every address, with credentials.
    `private`: nodes without public addresses, even where that costs a gateway.
    """

    name: str = "portable"
    version: str | None = None
    nodes: Nodes = Nodes()
    pools: Mapping[str, Nodes] = field(default_factory=dict)
    region: str | None = None
    existing: bool = False
    allow: tuple[str, ...] = ()
    private: bool = False


@dataclass(frozen=True)
class Patch:
    """A last word on a compiled object. `target` is "Kind/name"; `merge` is an RFC 7386 patch, `json` an RFC 6902 list."""

    name: str
    target: str
    cloud: str | None = None
    merge: Mapping[str, Any] | None = None
    json: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class App:
    """One app in one environment. `positions` maps a path in the spec's words ("workloads.api.scale.min") to its place.

    `digest` is the SHA-256 of the canonical JSON of the resolved spec, files' contents included. `spec` is that resolved
    spec as plain values (environment merged, Score files included), for revisions and for checks in the spec's words.
    """

    name: str
    environment: str | None
    cloud: str | None
    workloads: Mapping[str, Workload]
    resources: Mapping[str, Resource] = field(default_factory=dict)
    cluster: Cluster = Cluster()
    patches: Mapping[str, Patch] = field(default_factory=dict)
    positions: Mapping[str, Position] = field(default_factory=dict, repr=False, compare=False)
    digest: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    protected: bool = False

    @property
    def builds(self) -> bool:
        """Whether the image of any container is built here."""
        return any(each.build for workload in self.workloads.values() for each in workload.containers.values())

    @property
    def namespace(self) -> str:
        """One namespace per app and environment."""
        return self.name if self.environment is None else f"{self.name}-{self.environment}"
