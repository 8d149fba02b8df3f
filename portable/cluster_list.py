"""The clusters that portable made, what each provider says of them, and how they are reached."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from portable.access import EXEC_API
from portable.errors import PortableError, UsageError
from portable.events import nowhere
from portable.home import Home, app_homes
from portable.kubeconfig import Merged, merge
from portable.plan import open_engine
from portable.provider import KeptData, Provider, Tokens, load_provider
from portable.spec.model import Cluster
from portable.target import Request, open_target

if TYPE_CHECKING:
    from portable.engine import Engine, StackState


@dataclass(frozen=True)
class ClusterInfo:
    """`status`: "ready", "gone", or what the provider says; "unknown" with `detail` where it could not be asked.

    `resources`: what it is made of, name -> what the provider told of it (secrets hidden). `kept`: data of apps, with what
    keeping it costs.
    """

    cloud: str
    name: str
    status: str
    version: str = ""
    detail: str = ""
    apps: tuple[str, ...] = ()
    existing: bool = False
    resources: Mapping[str, Mapping[str, Any]] | None = None
    kept: tuple[str, ...] = ()


def clusters(request: Request) -> list[ClusterInfo]:
    """Those in the state, also of other apps; each provider is asked. `request.cloud`: only those there."""
    engine = open_engine(request, nowhere)
    cloud = load_provider(request.cloud).name if request.cloud else None
    homes = [home for home in _homes(engine) if cloud in (None, home.cloud)]
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda home: _asked(engine, home), homes))


def cluster_info(request: Request, name: str | None) -> ClusterInfo:
    """One cluster in full: the spec's, or the one called `name`."""
    provider, cluster = _chosen(request, name)
    engine = open_engine(request, nowhere)
    home = Home("", None, provider.name, cluster.name)
    found = _asked(engine, home, provider, cluster)
    state = engine.stacks.state(home.cluster_stack)
    kept = tuple(provider.kept_data(cluster, "")) if isinstance(provider, KeptData) else ()
    resources = dict(state.outputs) if state is not None else {}
    return ClusterInfo(
        found.cloud,
        found.name,
        found.status,
        found.version,
        found.detail,
        found.apps,
        cluster.existing,
        resources,
        kept,
    )


def write_credentials(request: Request, name: str | None, *, switch: bool) -> Merged:
    """Puts the cluster into the user's kubeconfig. Raises ClusterGone, PortableError."""
    return merge(kubeconfig(request, name), switch=switch)


def kubeconfig(request: Request, name: str | None) -> str:
    """YAML text; on clouds without a secret: kubectl asks `portable token`."""
    provider, cluster = _chosen(request, name)
    return provider.credentials(cluster).kubeconfig


def exec_credential(cloud: str, cluster: str, region: str | None) -> dict[str, Any]:
    """What kubectl wants of a credential plugin: ExecCredential of client.authentication.k8s.io/v1."""
    provider = load_provider(cloud)
    if not isinstance(provider, Tokens):
        raise UsageError(
            f"{provider.title} has no tokens: its kubeconfig has what is needed",
            fix=f"`portable clusters credentials --cloud {provider.name}`",
        )
    token = provider.token(Cluster(name=cluster, region=region))
    ends = datetime.fromtimestamp(token.expires, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": EXEC_API,
        "kind": "ExecCredential",
        "status": {"token": token.value, "expirationTimestamp": ends},
    }


def _homes(engine: Engine) -> list[Home]:
    found = []
    for stack in engine.stacks.of_clusters():
        cloud, _, name = stack.partition(".")
        found.append(Home("", None, cloud, name))
    return found


def _chosen(request: Request, name: str | None) -> tuple[Provider, Cluster]:
    """The spec's cluster; or by its name one of the state's, else of the cloud that is named."""
    if name is None:
        target = open_target(request, images=False)
        return target.provider, target.app.cluster
    engine = open_engine(request, nowhere)
    cloud = load_provider(request.cloud).name if request.cloud else None
    homes = [home for home in _homes(engine) if home.cluster == name and cloud in (None, home.cloud)]
    if len(homes) > 1:
        clouds = ", ".join(home.cloud for home in homes)
        raise UsageError(f"several clouds have a cluster {name!r}: {clouds}", fix="name one with --cloud")
    if homes:
        return load_provider(homes[0].cloud), _known(engine.stacks.state(homes[0].cluster_stack), name)
    if cloud is None:
        known = ", ".join(home.cluster for home in _homes(engine)) or "none"
        raise UsageError(
            f"portable made no cluster called {name!r}",
            detail=f"those that it made: {known}",
            fix="for any other, add --cloud",
        )
    return load_provider(cloud), Cluster(name=name, existing=True)


def _known(state: StackState | None, name: str) -> Cluster:
    """The cluster as its provider is asked for it: the region is what one of its resources says."""
    outputs = state.outputs.values() if state is not None else ()
    region = next((str(each["region"]) for each in outputs if each.get("region")), None)
    return Cluster(name=name, region=region)


def _asked(engine: Engine, home: Home, provider: Provider | None = None, cluster: Cluster | None = None) -> ClusterInfo:
    state = engine.stacks.state(home.cluster_stack)
    apps = tuple(
        other.app if other.environment is None else f"{other.app} ({other.environment})"
        for other in app_homes(engine.stacks.names(), home.cluster_stack)
    )
    try:
        provider = provider or load_provider(home.cloud)
        found = provider.find(cluster or _known(state, home.cluster))
    except PortableError as error:
        return ClusterInfo(home.cloud, home.cluster, "unknown", detail=error.message, apps=apps)
    if found is None:
        return ClusterInfo(home.cloud, home.cluster, "gone", apps=apps)
    status = "ready" if found.healthy else (found.detail or "not ready")
    return ClusterInfo(home.cloud, home.cluster, status, found.version, "" if found.healthy else found.detail, apps)
