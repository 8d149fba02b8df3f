"""`up`: from a spec to a running app. The flow reads on one screen; each of its steps can be run again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from portable.certificate_stores import request_certificates
from portable.certificates import ensure_certificates
from portable.clusters import cluster_resources, require_existing, spare_others
from portable.deploy import deploy, watch
from portable.dns.routes import publish_routes, route_addresses
from portable.errors import ClusterError, PortableError, Problem, SecretsMissing, ToolError
from portable.events import Emit, Notice
from portable.identities import bind_identities
from portable.kube import Kube
from portable.migrate.home_record import require_home
from portable.outputs import Address
from portable.plan import (
    Plan,
    fingerprint,
    look_as_far_as_let_in,
    open_engine,
    plan_target,
    read_plan,
    require_same,
)
from portable.polling import Pending, poll
from portable.preconditions import require_possible
from portable.provider import KeptVolumes, LocalImages
from portable.secrets import SecretFiles, ensure_namespace, set_secret
from portable.situation import (
    Situation,
    app_images,
    cluster_digest,
    look_inside,
    missing_secrets,
    settled,
)
from portable.steps import step
from portable.target import Request, Target, open_target

if TYPE_CHECKING:
    from portable.compile.objects import Objects
    from portable.engine import Engine
    from portable.home import Home

# Not reached, not known, not allowed yet: cloud's access rules take up to a minute or two to arrive.
_NOT_YET = (0, 401, 403)
_ADMISSION_SECONDS = 120.0


@dataclass(frozen=True)
class UpResult:
    """`changed` False: everything already was as the spec says, and the engine was not started."""

    changed: bool
    seconds: float
    addresses: tuple[Address, ...]
    outputs: Mapping[str, str]
    revision: int | None
    warnings: tuple[Problem, ...]


def up(
    request: Request,
    *,
    emit: Emit,
    confirm: Callable[[Plan], bool] | None = None,
    plan_file: Path | None = None,
    secrets: SecretFiles | None = None,
    publish: bool = True,
) -> UpResult:
    """Makes the cluster if needed, deploys the app and waits until it is ready. `secrets`: values to set, by name and key.
    `publish` False: DNS is left alone.

    Raises SpecError, UsageError, PlanStale, ToolError, ProviderError, EngineError, ClusterError, SecretsMissing, and
    RolloutFailed with every cause once what failed was rolled back.
    """
    started = time.monotonic()
    target = open_target(request)
    with step(emit, "look", "looking at what is there"):
        engine = open_engine(request, emit)
        now = look_as_far_as_let_in(target, engine)
        require_home(request, target, now.kube, now.objects.namespace)
        now = _with_certificates(target, now, emit)
        unchanged = plan_file is None and not secrets and settled(target, now) and not _state_lost(target, engine)
    if unchanged:
        _check_ready(target, now, emit)
        return _result(target, now, _publish(target, now, emit, publish=publish, settled=True), started, changed=False)
    require_possible(target, now, emit, secrets)
    _agree(target, now, engine, emit, confirm, plan_file)
    _build(target, now, emit)
    kube = ensure_cluster(target, now, engine, emit)
    target = _deliver(target, emit)
    now = prepare(target, now, kube, secrets or {}, emit)
    now = replace(now, last=deploy(target, now, kube, engine, emit))
    return _result(target, now, _publish(target, now, emit, publish=publish), started, changed=True)


def _state_lost(target: Target, engine: Engine) -> bool:
    """What runs and is not in the state has to be taken over: nothing could destroy it."""
    home = target.home
    ours = (home.app_stack,) if target.app.cluster.existing else (home.app_stack, home.cluster_stack)
    return any(map(engine.stacks.lost, ours))


def _with_certificates(target: Target, now: Situation, emit: Emit) -> Situation:
    """A certificate near its end is renewed even where nothing else changed."""
    if now.kube is None or now.last is None:
        return now
    if ensure_certificates(target, now.kube, now.objects, emit, renew_only=True):
        return look_inside(target, now.kube, now.cluster)
    return now


def _check_ready(target: Target, now: Situation, emit: Emit) -> None:
    assert now.kube is not None, "nothing is settled without a cluster"
    with (
        step(emit, "rollout", "nothing to change; checking that everything is ready"),
        watch(target, now, emit) as watcher,
    ):
        watcher.wait_all()


def _agree(
    target: Target,
    now: Situation,
    engine: Engine,
    emit: Emit,
    confirm: Callable[[Plan], bool] | None,
    plan_file: Path | None,
) -> None:
    if plan_file is not None:
        require_same(read_plan(plan_file), fingerprint(target, now, engine))
    elif confirm is not None and not confirm(plan_target(target, now, engine, emit)):
        raise PortableError("nothing was changed: you said no")


def ensure_cluster(target: Target, now: Situation, engine: Engine, emit: Emit) -> Kube:
    """The cluster stack, skipped while what the app asks of its cluster is the same and the provider calls it healthy."""
    provider, home = target.provider, target.home
    digest = cluster_digest(target)
    with step(emit, "cluster", f"cluster {home.cluster} on {provider.title}") as progress:
        if target.app.cluster.existing:
            require_existing(target, now.cluster)
            progress.skip("used as it is")
            return now.kube or Kube.reach(provider.credentials(target.app.cluster))
        if now.kube is not None and _has_cluster(now, engine, home, digest):
            progress.skip("unchanged and healthy")
            return now.kube
        if now.kube is None:
            _require_machine(target, emit)
        engine.cluster.forget_vanished(home, lambda: provider.find(target.app.cluster), provider.resource_types())
        resources = cluster_resources(target)
        spare_others(target, resources, engine, emit)
        engine.cluster.up(home, resources, provider.resource_types(), digest=digest)
        return _admitted(Kube.reach(provider.credentials(target.app.cluster)), emit)


def _admitted(kube: Kube, emit: Emit) -> Kube:
    """Once a cluster is made, its API server may need a while to answer, and to learn who may use it."""

    def ask() -> Kube | Pending:
        try:
            kube.get("v1", "Namespace", "default")
        except ClusterError as error:
            if error.status not in _NOT_YET or time.monotonic() - started > _ADMISSION_SECONDS:
                raise
            return Pending(error.message)
        return kube

    started = time.monotonic()
    return poll(ask, what="the API server", timeout=2 * _ADMISSION_SECONDS, emit=emit, interval=2)


def _has_cluster(now: Situation, engine: Engine, home: Home, digest: str) -> bool:
    """Whether the app had its cluster so at its last `up`; or, where it is new, another app made it so."""
    if now.last is not None:
        return now.last.cluster_digest == digest and not engine.stacks.lost(home.cluster_stack)
    return now.cluster is not None and engine.cluster.has(home, digest, now.cluster)


def _require_machine(target: Target, emit: Emit) -> None:
    """What making a cluster needs, told all at once before anything is made."""
    lacking = [
        check for check in target.provider.doctor(target.app.cluster, fix=False, emit=emit) if check.status == "missing"
    ]
    if lacking:
        raise ToolError(
            f"{target.provider.title} is not ready to make a cluster",
            detail="\n".join(f"{check.name}: {check.detail}" for check in lacking),
            fix="\n".join(dict.fromkeys(check.fix for check in lacking if check.fix))
            or f"run `portable doctor --fix --cloud {target.provider.name}`",
        )


def prepare(target: Target, before: Situation, kube: Kube, secrets: SecretFiles, emit: Emit) -> Situation:
    """Namespace, secrets, certificates and local images: what the workloads need to find when they start."""
    objects = before.objects
    with step(emit, "prepare", "secrets and images") as progress:
        ensure_namespace(kube, objects)
        for name, values in secrets.items():
            set_secret(kube, target.app, objects, name, values)
        ensure_certificates(target, kube, objects, emit)
        if isinstance(target.provider, LocalImages):
            progress.note("loading images that are on this machine")
            target.provider.load_images(target.app.cluster, app_images(objects), emit)
        bind_identities(target, objects.namespace, progress)
        _bring_back_volumes(target, objects, kube, emit)
        now = look_inside(target, kube, before.cluster)
        if names := missing_secrets(now):
            again = f"-e {target.app.environment}" if target.app.environment else f"--cloud {target.provider.name}"
            raise SecretsMissing(names, fix="\n".join(f"portable secret set {name} {again}" for name in names))
    request_certificates(target, objects, emit)
    return now


def _bring_back_volumes(target: Target, objects: Objects, kube: Kube, emit: Emit) -> None:
    """Disks that outlived their cluster, where the claims that they belong to will find them again."""
    if not isinstance(target.provider, KeptVolumes):
        return
    for volume in target.provider.persistent_volumes(target.app.cluster, objects.namespace):
        claim = volume["spec"]["claimRef"]
        live = kube.get("v1", "PersistentVolumeClaim", claim["name"], claim["namespace"])
        if live is not None and live["spec"].get("volumeName"):
            continue  # it has its disk
        kube.apply(volume)
        emit(Notice(f"the kept data of {claim['namespace']}/{claim['name']} is used again"))


def _build(target: Target, now: Situation, emit: Emit) -> None:
    """Before there is a cluster: an image that cannot be built should not cost the time, and the money, that one takes."""
    if target.app.builds and now.kube is None:
        from portable.images.delivery import build_images

        build_images(target, emit)


def _deliver(target: Target, emit: Emit) -> Target:
    if not target.app.builds:
        return target
    from portable.images.delivery import deliver

    return deliver(target, emit)


def _publish(
    target: Target, now: Situation, emit: Emit, *, publish: bool, settled: bool = False
) -> tuple[Address, ...]:
    """DNS, once the workloads are ready: traffic comes to what can serve it."""
    assert now.kube is not None, "only what runs has routes"
    if not publish:
        return route_addresses(target, now.kube, now.objects)
    return publish_routes(target, now.kube, now.objects, emit, settled=settled)


def _result(target: Target, now: Situation, at: tuple[Address, ...], started: float, *, changed: bool) -> UpResult:
    return UpResult(
        changed=changed,
        seconds=time.monotonic() - started,
        addresses=at,
        outputs=now.objects.outputs,
        revision=now.last.number if now.last else None,
        warnings=target.warnings,
    )
