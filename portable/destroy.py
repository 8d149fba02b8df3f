"""`destroy`: the app, then its cluster. Data and generated credentials stay unless asked otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portable.certificate_stores import delete_certificates
from portable.clusters import other_apps
from portable.dns.routes import withdraw_routes
from portable.errors import ClusterError, ClusterGone, PortableError, UsageError
from portable.events import Emit, Notice
from portable.home import Home
from portable.identities import release_identities
from portable.kube import Kube
from portable.migrate.home_record import forget_home, require_unmoved
from portable.plan import Fingerprint, Plan, open_engine, unfinished
from portable.provider import KeptData, Sweep
from portable.rollout.revisions import revisions
from portable.steps import step
from portable.target import Request, Target, compile_target, open_target

if TYPE_CHECKING:
    from portable.engine import Engine


@dataclass(frozen=True)
class DestroyResult:
    """`kept`: data, with what keeping it costs where the provider knows; `left`: what could not be removed, and why."""

    deleted: tuple[str, ...]
    kept: tuple[str, ...]
    seconds: float
    left: tuple[str, ...] = ()


def destroy(
    request: Request,
    *,
    emit: Emit,
    confirm: Callable[[Plan], bool] | None = None,
    confirmed: str | None = None,
    destroy_data: bool = False,
    keep_cluster: bool = False,
) -> DestroyResult:
    """Deletes the app, waiting until what the cloud built for it is gone, then the cluster unless other apps are on it.

    `confirmed`: the name of a protected environment, without which nobody but `confirm` can agree. May be repeated after any
    interruption. Raises UsageError, ProviderError, EngineError, ClusterError.
    """
    started = time.monotonic()
    target = open_target(request)
    _require_confirmed(target, confirmed, asked=confirm is not None)
    engine = open_engine(request, emit)
    reached = _require_known(request, target, engine, destroy_data)
    others = other_apps(engine, target.home)
    with_cluster = not keep_cluster and not others and not target.app.cluster.existing
    if confirm is not None and not confirm(_farewell(target, engine, destroy_data, with_cluster)):
        raise PortableError("nothing was changed: you said no")
    deleted = _names(engine, target.home.app_stack)
    staying = _delete_app(target, engine, emit, destroy_data, reached=reached)
    kept = _end_or_name_data(target, staying, emit, destroy_data)
    if target.app.cluster.existing:
        emit(Notice(f"the cluster {target.home.cluster} stays: portable did not make it"))
    elif others and not keep_cluster:
        emit(Notice(f"the cluster {target.home.cluster} stays: {', '.join(others)} still on it"))
    left: tuple[str, ...] = ()
    if with_cluster and (newcomers := other_apps(engine, target.home)):
        with_cluster = False
        emit(Notice(f"the cluster {target.home.cluster} stays: {', '.join(newcomers)} came to it meanwhile"))
    if with_cluster:
        deleted += _names(engine, target.home.cluster_stack)
        with step(emit, "cluster", f"deleting cluster {target.home.cluster}"):
            begun = target.provider.cluster(target.app.cluster) if unfinished(target, engine) else ()
            engine.cluster.destroy(target.home, target.provider.resource_types(), begun)
        if not _still_there(target, emit):
            left, more = _sweep(target, emit, destroy_data)
            kept += more
    if destroy_data:
        forget_home(request.state, target.home)
    gone = tuple(name for name in deleted if name not in staying)
    return DestroyResult(gone, kept, time.monotonic() - started, left)


def _require_known(request: Request, target: Target, engine: Engine, destroy_data: bool) -> bool:
    """What is in the midst of a migration is not taken apart but by it: it may be the only copy of the data. What another state
    has made is not taken apart from this one: its DNS records, identities and data would go while it runs on. Nor is an app
    told to be gone because somebody else's cluster is not where it is looked for. Returns whether its cluster lets us in."""
    home, cluster = target.home, target.provider.find(target.app.cluster)
    known = engine.stacks.state(home.app_stack) is not None
    if known and cluster is None and target.app.cluster.existing and not destroy_data:
        raise ClusterGone(
            f"there is no cluster {home.cluster!r} on {target.provider.title}, which {home.app} was deployed to",
            fix="correct its name or place; if it is gone for good, `portable destroy --destroy-data` forgets the app",
        )
    if cluster is None or not cluster.healthy or not _let_in(target, engine):
        return False
    with Kube.reach(target.provider.credentials(target.app.cluster)) as kube:
        namespace = target.app.namespace
        require_unmoved(request, target, kube, namespace)
        if not known and revisions(kube, namespace):
            raise PortableError(
                f"the state here knows nothing of {home.app}, which runs on the cluster {home.cluster}",
                detail="it was made with another state: another machine's, another user's, or another --state",
                fix="destroy it with that state; or let `portable up` take it over, then destroy it",
            )
    return True


def _still_there(target: Target, emit: Emit) -> bool:
    """A cluster that the state knows nothing of is not deleted, nor what it stands on: it may be anyone's."""
    found = target.provider.find(target.app.cluster)
    if found is not None:
        words = f"a cluster {found.name} is still there, and the state does not say that portable made it"
        emit(Notice(f"{words}: if it did, `portable up` takes it over and `portable destroy` deletes it", "warning"))
    return found is not None


def _require_confirmed(target: Target, confirmed: str | None, *, asked: bool) -> None:
    """A protected environment is destroyed by its name alone, typed or given."""
    name = target.app.environment or ""
    if confirmed is not None and confirmed != name:
        meant = f"the environment is called {name!r}" if name else "there is no environment: leave --confirm out"
        raise UsageError(f"--confirm {confirmed} does not fit: {meant}")
    if target.app.protected and confirmed is None and not asked:
        raise UsageError(
            f"the environment {name!r} is protected: --yes is not enough to destroy it",
            fix=f"add `--confirm {name}`, or run it where you can be asked",
        )


def _sweep(target: Target, emit: Emit, destroy_data: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What controllers and broken-off calls have left behind of a cluster that is gone: (what could not be removed and why,
    data that was kept). Data of the app goes with `destroy_data`; that of others, who may want it back, stays."""
    provider, cluster = target.provider, target.app.cluster
    if not isinstance(provider, Sweep):
        return (), ()
    left: list[str] = []
    kept: list[str] = []
    with step(emit, "sweep", "removing what was left behind") as progress:
        if destroy_data and isinstance(provider, KeptData):
            provider.delete_kept_data(cluster, target.app.namespace, emit)
        found = provider.leftovers(cluster)
        for leftover in found:
            words = f"{leftover.kind} {leftover.id}" + (f" ({leftover.detail})" if leftover.detail else "")
            if leftover.data:
                # where data is told of by its claims, it has been
                kept += [] if isinstance(provider, KeptData) else [f"{words} {leftover.cost}".rstrip()]
            elif reason := provider.remove(cluster, leftover, emit):
                left.append(f"{words}: {reason}")
        if not found:
            progress.skip("there is nothing")
    return tuple(left), tuple(kept)


def _delete_app(target: Target, engine: Engine, emit: Emit, destroy_data: bool, *, reached: bool) -> tuple[str, ...]:
    """Returns what was kept: claims and credentials, by their logical names."""
    home, provider = target.home, target.provider
    objects = compile_target(target)
    cluster = provider.find(target.app.cluster)
    kept: tuple[str, ...] = ()
    with step(emit, "app", f"deleting app {home.app} from namespace {objects.namespace}") as progress:
        if cluster is not None and not (cluster.healthy and reached) and not _holds_objects(engine, home):
            progress.note(f"nothing of it is there; its cluster is {cluster.detail or 'not ready'}")
        elif cluster is None:
            progress.note("its cluster is gone already")
            withdraw_routes(target, None, objects, emit)
            engine.cluster.forget_vanished(home, lambda: provider.find(target.app.cluster), provider.resource_types())
            if destroy_data:
                engine.app.forget(home, destroy_data=True)
        else:
            kube = Kube.reach(provider.credentials(target.app.cluster))
            withdraw_routes(target, kube, objects, emit)
            kept = engine.app.destroy(home, kube, destroy_data=destroy_data)
            release_identities(target, objects.namespace)
        delete_certificates(target, emit)
    return kept


def _end_or_name_data(target: Target, kept: tuple[str, ...], emit: Emit, destroy_data: bool) -> tuple[str, ...]:
    """Deletes what the provider keeps, or else returns `kept` with each claim under the name of its data, which outlives it."""
    provider, namespace = target.provider, target.app.namespace
    if not isinstance(provider, KeptData):
        return kept
    if destroy_data:
        with step(emit, "data", "deleting kept data"):
            provider.delete_kept_data(target.app.cluster, namespace, emit)
        return kept
    data = provider.kept_data(target.app.cluster, namespace)
    # "NAMESPACE/CLAIM", then what keeping it costs
    claims = {f"PersistentVolumeClaim/{name.split()[0].rpartition('/')[2]}" for name in data}
    return (*(name for name in kept if name not in claims), *data)


def _let_in(target: Target, engine: Engine) -> bool:
    """False for a cluster of ours whose making broke off before it let its maker in: no app can be on it."""
    if not unfinished(target, engine) or _holds_objects(engine, target.home):
        return True
    try:
        with Kube.reach(target.provider.credentials(target.app.cluster)) as kube:
            kube.get("v1", "Namespace", target.app.namespace)
    except ClusterError as error:
        if error.status not in (401, 403):
            raise
        return False
    return True


def _holds_objects(engine: Engine, home: Home) -> bool:
    """Whether there is more of the app than what a destroy keeps."""
    state = engine.stacks.state(home.app_stack)
    return state is not None and any(not name.startswith(("Credential/", "Namespace/")) for name in state.resources)


def _names(engine: Engine, stack: str) -> tuple[str, ...]:
    state = engine.stacks.state(stack)
    return tuple(state.resources) if state is not None else ()


def _farewell(target: Target, engine: Engine, destroy_data: bool, with_cluster: bool) -> Plan:
    """The plan that a person is asked about: everything in the stacks is deleted."""
    from portable.engine import Change

    def deletions(stack: str, key: str) -> tuple[Change, ...]:
        return tuple(Change(stack, "delete", "", name) for name in _names(engine, key))  # type: ignore[arg-type]

    data = "volumes and generated credentials are deleted too" if destroy_data else "volumes and credentials are kept"
    existing = (f"the cluster {target.home.cluster} stays: portable did not make it",)
    return Plan(
        title=f"destroy {target.home.app} on {target.provider.title}, cluster {target.home.cluster}",
        cluster=deletions("cluster", target.home.cluster_stack) if with_cluster else (),
        app=deletions("app", target.home.app_stack),
        notes=(data, *(existing if target.app.cluster.existing else ())),
        offline=False,
        missing=(),
        fingerprint=Fingerprint("", target.home.app_stack, "", "", "", ""),
        typed=target.app.environment or "" if target.app.protected else "",
    )
