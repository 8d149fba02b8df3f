"""Changes of a cluster that is there: another version, another number of nodes. What the spec says stays what counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from portable.clusters import cluster_resources, costs
from portable.errors import ClusterGone, PortableError, Problem, ProviderError, UsageError
from portable.events import Emit
from portable.plan import Fingerprint, Plan, open_engine
from portable.situation import cluster_digest
from portable.spec.model import Cluster, Nodes
from portable.spec.profile import placed
from portable.steps import step
from portable.target import Request, Target, open_target

if TYPE_CHECKING:
    from portable.engine import Change


@dataclass(frozen=True)
class ToKeep:
    """A line of the spec to change, so that the next `up` does not take it back. `line` 0: there is none yet."""

    file: str
    line: int
    path: str
    value: str


@dataclass(frozen=True)
class Changed:
    """`changed` False: the cluster already was so."""

    cluster: str
    changed: bool
    to_keep: tuple[ToKeep, ...]


def upgrade(request: Request, version: str, *, emit: Emit, confirm: Callable[[Plan], bool] | None = None) -> Changed:
    """Takes the cluster to a Kubernetes version, one minor after the other where its cloud wants that.

    Raises UsageError where the spec pins another, SpecError for one that is not offered, ProviderError.
    """
    version = version.removeprefix("v")
    target = open_target(request, images=False)
    pinned = (target.app.cluster.version or "").removeprefix("v")
    if pinned and pinned != version:
        where = _to_keep(target, "cluster.version", version)
        raise UsageError(
            f"the spec pins Kubernetes {pinned}: the next `up` would ask for that again",
            fix=f'change {where.file}:{where.line} to `version: "{version}"` and run `portable up`',
        )
    changed = _change(request, target, replace(target.app.cluster, version=version), emit, confirm)
    return Changed(target.home.cluster, changed, ())


def scale(
    request: Request,
    pool: str,
    *,
    least: int | None,
    most: int | None,
    nodes: int | None,
    emit: Emit,
    confirm: Callable[[Plan], bool] | None = None,
) -> Changed:
    """Gives a node pool `nodes`, or between `least` and `most` of them (None: as the spec says).

    Raises UsageError for a pool that the spec does not name or a range that is none, SpecError, ProviderError.
    """
    target = open_target(request, images=False)
    cluster = target.app.cluster
    before = _pool(target, pool)
    after = replace(before, min=nodes, max=None) if nodes is not None else _range(before, least, most)
    wanted = replace(cluster, pools={**cluster.pools, pool: after}, nodes=after if pool == "default" else cluster.nodes)
    changed = _change(request, target, wanted, emit, confirm)
    return Changed(target.home.cluster, changed, tuple(_kept_numbers(target, pool, before, after)))


def _pool(target: Target, name: str) -> Nodes:
    pools = target.app.cluster.pools
    if name in pools:
        return pools[name]
    if not pools:
        raise UsageError(
            f"{target.provider.title} chooses the nodes of this cluster by itself: the spec names no pools",
            fix="to size them yourself, add `cluster.nodes` or `cluster.pools` to the spec",
        )
    raise UsageError(f"the spec has no node pool {name!r}", detail=f"pools: {', '.join(pools)}")


def _range(before: Nodes, least: int | None, most: int | None) -> Nodes:
    after = replace(before, min=before.min if least is None else least, max=before.max if most is None else most)
    if after.max is not None and after.max < after.min:
        raise UsageError(f"a pool of at least {after.min} and at most {after.max} nodes cannot be")
    return after


def _kept_numbers(target: Target, pool: str, before: Nodes, after: Nodes) -> list[ToKeep]:
    found = []
    for key in ("min", "max"):
        value = getattr(after, key)
        if value != getattr(before, key):
            path = f"cluster.pools.{pool}.{key}"
            found.append(_to_keep(target, path, "(leave it out)" if value is None else str(value)))
    return found


def _to_keep(target: Target, path: str, value: str) -> ToKeep:
    place = placed(target.app, Problem("", path=path))
    return ToKeep(place.file or str(target.file), place.line, place.path or path, value)


def _change(
    request: Request, target: Target, wanted: Cluster, emit: Emit, confirm: Callable[[Plan], bool] | None
) -> bool:
    """Brings the cluster stack to `wanted`; False where there is nothing to do. Never replaces or deletes anything."""
    provider, home = target.provider, target.home
    if target.app.cluster.existing:
        raise UsageError(
            f"portable did not make the cluster {home.cluster}, and does not change it",
            fix="change it where it was made",
        )
    if provider.find(target.app.cluster) is None:
        raise ClusterGone(
            f"there is no cluster {home.cluster!r} on {provider.title}",
            fix=f"make it with `portable up --cloud {provider.name}`",
        )
    resources = cluster_resources(replace(target, app=replace(target.app, cluster=wanted)))
    engine = open_engine(request, emit)
    with step(emit, "plan", "computing what would change"):
        changes = engine.cluster.preview(home, resources, provider.resource_types())
    if not any(change.operation != "same" for change in changes):
        return False
    _refuse_new_cluster(target, changes)
    if confirm is not None and not confirm(_plan(target, changes, costs(resources))):
        raise PortableError("nothing was changed: you said no")
    with step(emit, "cluster", f"changing cluster {home.cluster}"):
        # kept as what the spec asked for: an `up` of the same spec has nothing to do
        engine.cluster.up(home, resources, provider.resource_types(), digest=cluster_digest(target))
    return True


def _refuse_new_cluster(target: Target, changes: tuple[Change, ...]) -> None:
    lost = [change.name for change in changes if change.operation in ("replace", "delete")]
    if lost:
        raise ProviderError(
            f"{target.provider.title} cannot do that to a cluster that runs: {', '.join(lost)} would be made anew",
            fix="change the spec and look at `portable plan`, or make a cluster under another name",
        )


def _plan(target: Target, changes: tuple[Change, ...], money: tuple[str, ...]) -> Plan:
    return Plan(
        title=f"cluster {target.home.cluster} on {target.provider.title}",
        cluster=changes,
        app=(),
        notes=(),
        offline=False,
        missing=(),
        fingerprint=Fingerprint("", target.home.cluster_stack, "", "", "", ""),
        costs=money,
    )
