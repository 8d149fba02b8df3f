"""`drift`: what differs from how the last `up` left it, because someone or something changed it behind portable's back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from portable.clusters import cluster_resources
from portable.errors import ClusterGone, PortableError, UsageError
from portable.events import Emit
from portable.migrate.home_record import require_home
from portable.plan import Plan, fingerprint, open_engine
from portable.rollout import revisions
from portable.situation import Situation, cluster_digest, look
from portable.steps import step
from portable.target import Request, Target, open_target

if TYPE_CHECKING:
    from portable.compile.objects import Objects
    from portable.engine import Change, Engine


@dataclass(frozen=True)
class Drift:
    """`found`: what would be put back. `fixed`: it was."""

    found: Plan
    fixed: bool = False


def drift(request: Request, *, emit: Emit, fix: bool = False, confirm: Callable[[Plan], bool] | None = None) -> Drift:
    """Compares the live objects of cluster and app with what was last applied; with `fix` puts it back.

    Raises ClusterGone where the cluster itself is gone, UsageError where there is nothing to compare with.
    """
    target = open_target(request)
    with step(emit, "look", "looking at what is there"):
        now = look(target)
    if now.cluster is None:
        raise ClusterGone(
            f"there is no cluster {target.home.cluster!r} on {target.provider.title}",
            fix=f"`portable up --cloud {target.provider.name}` makes it, and the app on it, again",
        )
    engine = open_engine(request, emit)
    plan = _compare(target, now, engine, emit)
    if not fix or not plan.changes:
        return Drift(plan)
    require_home(request, target, now.kube, now.objects.namespace)
    _require_same_cluster(target, now, plan)
    if confirm is not None and not confirm(plan):
        raise PortableError("nothing was changed: you said no")
    _put_back(request, target, now, engine, plan, emit)
    return Drift(plan, fixed=True)


def _compare(target: Target, now: Situation, engine: Engine, emit: Emit) -> Plan:
    home, provider = target.home, target.provider
    applied = applied_objects(now)
    with step(emit, "drift", "comparing with what was last applied"):
        resources = cluster_resources(target)
        cluster = engine.cluster.preview(home, resources, provider.resource_types()) if resources else ()
        app: tuple[Change, ...] = ()
        if now.kube is not None and applied is not None:
            found = engine.app.preview(home, applied, now.kube, now.kube.kubeconfig)
            # What is there beyond the last ready revision is of a version that failed, which nobody changed; the next `up` deletes it.
            app = tuple(change for change in found if change.operation != "delete")
    notes = []
    if now.last is not None and now.last.cluster_digest not in ("", cluster_digest(target)):
        notes.append("the spec asks for another cluster than the last `up` did: those differences are shown too")
    if applied is None:
        notes.append("the app is not deployed: only its cluster was compared")
    return Plan(
        title=f"drift of {home.app} on {provider.title}, cluster {home.cluster}, namespace {now.objects.namespace}",
        cluster=cluster,
        app=app,
        notes=tuple(notes),
        offline=False,
        missing=(),
        fingerprint=fingerprint(target, now, engine),
    )


def applied_objects(now: Situation) -> Objects | None:
    """The objects of the last revision that was ready; they may be of another spec than the present one."""
    last = _last_good(now)
    if last is None:
        return None
    if last.objects_digest == now.objects.digest or not last.complete:
        return now.objects
    return replace(now.objects, items=last.items, workloads=last.workloads)


def _last_good(now: Situation) -> revisions.Revision | None:
    if now.kube is None or now.last is None or now.last.status == "good":
        return now.last if now.kube is not None else None
    return revisions.last_good(now.kube, now.objects.namespace)


def _require_same_cluster(target: Target, now: Situation, plan: Plan) -> None:
    """Putting back must not make what nobody has looked at: of a cluster only the spec is known, not how it was applied."""
    moving = any(change.operation != "same" for change in plan.cluster)
    if not moving or now.last is None or now.last.cluster_digest in ("", cluster_digest(target)):
        return
    raise UsageError(
        "the spec asks for another cluster than the last `up` did, and that one would be made on the way",
        fix="look at `portable plan` and run `portable up`: it puts back what drifted too",
    )


def _put_back(request: Request, target: Target, now: Situation, engine: Engine, plan: Plan, emit: Emit) -> None:
    """The app as it was last ready: by `up` where that is what the spec says, else by its revision."""
    from portable.deploy import anew, deploy
    from portable.up import up

    if any(change.operation != "same" for change in plan.cluster):
        with step(emit, "cluster", f"putting cluster {target.home.cluster} back"):
            types = target.provider.resource_types()
            engine.cluster.up(target.home, cluster_resources(target), types, digest=cluster_digest(target))
    if all(change.operation == "same" for change in plan.app):
        return
    last, objects = _last_good(now), applied_objects(now)
    same = last is not None and last.objects_digest == now.objects.digest and last is now.last
    if last is None or objects is None or now.kube is None or same:
        up(request, emit=emit)
    else:
        deploy(
            target,
            replace(now, objects=objects),
            now.kube,
            engine,
            emit,
            anew(last, f"drift from {last.number} put back"),
        )
