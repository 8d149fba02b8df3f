"""`plan`: what `up` would change, object by object, and the plan file that `up --plan` holds itself to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from portable import __version__
from portable.clusters import cluster_resources, costs, made_anew
from portable.errors import ClusterError, PlanStale, UsageError
from portable.events import Emit
from portable.preconditions import require_possible
from portable.secrets import own_namespace
from portable.situation import Situation, look, missing_secrets
from portable.steps import step
from portable.target import Request, Target, open_target

if TYPE_CHECKING:
    from portable.engine import Change, Engine


@dataclass(frozen=True)
class Fingerprint:
    """What a plan was made of: digests and serials, no values. Anything that moves between plan and `up` shows here."""

    portable: str
    home: str
    spec: str
    objects: str
    cluster_serial: str
    app_serial: str


@dataclass(frozen=True)
class Plan:
    """`offline`: there is no cluster yet, so the app's part is computed without one. `missing`: secrets without a value.

    `costs`: choices of the cluster that cost money. `typed`: what a person must type to agree; empty: a yes is enough.
    """

    title: str
    cluster: tuple[Change, ...]
    app: tuple[Change, ...]
    notes: tuple[str, ...]
    offline: bool
    missing: tuple[str, ...]
    fingerprint: Fingerprint
    costs: tuple[str, ...] = ()
    typed: str = ""

    @property
    def changes(self) -> bool:
        return any(change.operation != "same" for change in (*self.cluster, *self.app))


def plan(request: Request, *, emit: Emit) -> Plan:
    target = open_target(request)
    engine = open_engine(request, emit)
    now = look_as_far_as_let_in(target, engine)
    require_possible(target, now, emit)
    return plan_target(target, now, engine, emit)


def look_as_far_as_let_in(target: Target, engine: Engine) -> Situation:
    """As `look`. A cluster of ours whose making broke off before it let its maker in is seen from outside: `up` goes on with it."""
    try:
        return look(target)
    except ClusterError as error:
        if error.status not in (401, 403) or not unfinished(target, engine):
            raise
        return look(target, inside=False)


def unfinished(target: Target, engine: Engine) -> bool:
    """Whether the making, or the last change, of a cluster of ours broke off."""
    state = None if target.app.cluster.existing else engine.stacks.state(target.home.cluster_stack)
    return state is not None and not state.complete


def open_engine(request: Request, emit: Emit) -> Engine:
    from portable.engine import Engine, Settings

    return Engine(Settings(state=request.state, kubernetes_provider=request.kubernetes_provider), emit)


def plan_target(target: Target, now: Situation, engine: Engine, emit: Emit) -> Plan:
    provider, home = target.provider, target.home
    with step(emit, "plan", "computing what would change"):
        resources = cluster_resources(target)
        cluster = engine.cluster.preview(home, resources, provider.resource_types()) if resources else ()
        if now.kube is None:
            app = engine.app.preview_offline(now.objects)
        else:
            own_namespace(now.kube, now.objects)
            app = engine.app.preview(home, now.objects, now.kube, now.kube.kubeconfig)
    return Plan(
        title=f"{home.app} on {provider.title}, cluster {home.cluster}, namespace {now.objects.namespace}",
        cluster=cluster,
        app=app,
        notes=(*_used_as_it_is(target), *now.objects.notes, *_lost_secrets(cluster, now, engine, target)),
        offline=now.kube is None,
        missing=missing_secrets(now),
        fingerprint=fingerprint(target, now, engine),
        costs=costs(resources),
    )


def _used_as_it_is(target: Target) -> Iterator[str]:
    if target.app.cluster.existing:
        yield f"the cluster {target.home.cluster} is used as it is: portable neither changes nor deletes it"


def _lost_secrets(cluster: Sequence[Change], now: Situation, engine: Engine, target: Target) -> Iterator[str]:
    """Values that people have set are in the cluster and nowhere else: a cluster that is made anew has none of them."""
    if made_anew(engine, target.home, cluster):
        theirs = [secret.resource for secret in now.objects.expected if not secret.certificate_hosts]
        if names := [name for name in theirs if name in now.secrets]:
            yield f"the cluster is made anew and what is set of {', '.join(names)} goes with it: give it to `up --secret`"


def fingerprint(target: Target, now: Situation, engine: Engine) -> Fingerprint:
    cluster, app = engine.stacks.state(target.home.cluster_stack), engine.stacks.state(target.home.app_stack)
    return Fingerprint(
        portable=__version__,
        home=target.home.app_stack,
        spec=target.app.digest,
        objects=now.objects.digest,
        cluster_serial=cluster.serial if cluster else "",
        app_serial=app.serial if app else "",
    )


def write_plan(plan: Plan, path: Path) -> None:
    path.write_text(json.dumps({"portablePlan": 1, **asdict(plan.fingerprint)}, indent=2) + "\n")


def read_plan(path: Path) -> Fingerprint:
    """Raises UsageError for a file that cannot be read or is no plan."""
    try:
        content = json.loads(path.read_text())
        if content.pop("portablePlan") != 1:
            raise ValueError("another version of the format")
        return Fingerprint(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no plan file: {error}", fix="write one with `portable plan --out FILE`") from error


_MOVED = {
    "portable": "this is another version of portable",
    "home": "the plan is for another app, environment or cluster",
    "spec": "the spec has changed",
    "objects": "the objects compiled from it have changed (a secret, an image or a profile)",
    "cluster_serial": "the cluster was changed by another operation",
    "app_serial": "the app was changed by another operation",
}


def require_same(planned: Fingerprint, now: Fingerprint) -> None:
    """Raises PlanStale, naming what moved, unless everything is as it was when the plan was written."""
    before, after = asdict(planned), asdict(now)
    moved = [reason for key, reason in _MOVED.items() if before[key] != after[key]]
    if moved:
        raise PlanStale(
            "the plan no longer fits: " + "; ".join(moved), fix="plan again, look at it, and apply that one"
        )
