"""Compiled objects onto a cluster: applied by the engine, watched until they are ready, recorded as a revision.

What `up` does once there is a cluster, and what going back to an earlier revision does with that one's objects.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from portable import __version__
from portable.errors import PortableError, RolloutFailed, StateLocked
from portable.events import Emit, Notice
from portable.kube import Kube
from portable.rollout import revisions
from portable.rollout.handover import dismiss_autoscalers, hand_over_replicas
from portable.rollout.rollback import left_as_it_is, roll_back
from portable.rollout.stuck import retry_failed
from portable.rollout.watch import Watcher
from portable.situation import Situation, cluster_digest, live_fields
from portable.steps import step
from portable.target import Target

if TYPE_CHECKING:
    from portable.compile.objects import Objects
    from portable.engine import Engine

KEPT_REVISIONS = 10


def deploy(
    target: Target,
    now: Situation,
    kube: Kube,
    engine: Engine,
    emit: Emit,
    revision: revisions.Revision | None = None,
) -> revisions.Revision:
    """Applies `now.objects`, watches, records. What fails goes back to its last good version before the failure is raised.

    `revision`: how it is recorded, where that is not as an `up` of this very spec. Returned with its number.
    """
    retry_failed(kube, now.objects.namespace, now.objects.workloads.values())
    revision = revision or new_revision(target, now)
    number = revisions.record(kube, now.objects.namespace, revision)
    revisions.prune(kube, now.objects.namespace, KEPT_REVISIONS)  # also of those that fail, over and over
    try:
        images = _roll_out(target, now, now.objects, kube, engine, emit)
    except StateLocked:
        revisions.withdraw(kube, now.objects.namespace, number)
        raise
    except RolloutFailed as failure:
        outcome = "; ".join(f"{cause.workload}: {cause.sign}" for cause in failure.causes)
        revisions.mark(kube, now.objects.namespace, number, "failed", outcome=outcome)
        _go_back(target, now, number, failure, kube, engine, emit)
        raise
    with step(emit, "tidy", "removing what is superseded"):
        live = live_fields(kube, now.objects)
        revisions.mark(kube, now.objects.namespace, number, "good", images=images, live=live)
        _tidy(target, now, kube, engine)
    return replace(revision, number=number)


def _roll_out(
    target: Target,
    now: Situation,
    objects: Objects,
    kube: Kube,
    engine: Engine,
    emit: Emit,
    awaited: Collection[str] | None = None,
) -> Mapping[str, Mapping[str, str]]:
    """Returns workload -> container -> image that really runs. `awaited`: the workloads that have to be ready; None: all."""
    hand_over_replicas(kube, objects)
    dismiss_autoscalers(kube, objects)
    with watch(target, replace(now, objects=objects, kube=kube), emit) as watcher:
        with step(emit, "app", f"app {target.home.app} in namespace {objects.namespace}"):
            engine.app.up(target.home, objects, kube, kube.kubeconfig, watcher.wait, superseded="keep")
        with step(emit, "rollout", "waiting until every workload is ready"):
            watcher.wait_all(awaited)
        return watcher.images()


def watch(target: Target, now: Situation, emit: Emit) -> Watcher:
    assert now.kube is not None, "only what runs can be watched"
    return Watcher(
        now.kube,
        now.objects.namespace,
        now.objects.workloads,
        emit,
        resources={secret.name: secret.resource for secret in now.objects.expected},
        node_autoscaling=target.profile.node_autoscaling,
    )


def _go_back(
    target: Target, now: Situation, number: int, failure: RolloutFailed, kube: Kube, engine: Engine, emit: Emit
) -> None:
    """Puts the last good version of what failed back, and says in the failure what was done."""
    failed = tuple(dict.fromkeys(cause.workload for cause in failure.causes))
    previous = revisions.last_good(kube, now.objects.namespace, before=number)
    back = roll_back(now.objects, failed, previous)
    if back is None:
        failure.fix = failure.fix or left_as_it_is(now.objects, failed, previous)
        return
    emit(Notice(f"rolling back: {back.message}", "warning"))
    try:
        with step(emit, "rollback", f"putting revision {back.revision} back"):
            _roll_out(target, now, back.objects, kube, engine, emit, awaited=back.restored)
    except PortableError as error:
        failure.fix = f"the way back failed too: {error.message}"
        return
    failure.fix = f"rolled back: {back.message}"


def _tidy(target: Target, now: Situation, kube: Kube, engine: Engine) -> None:
    """Superseded objects go only now that the new ones are ready; what a kept revision needs stays."""
    needed = revisions.names_needed(revisions.revisions(kube, now.objects.namespace))
    if set(engine.app.superseded(target.home, now.objects)) - set(needed):
        engine.app.up(
            target.home, now.objects, kube, kube.kubeconfig, _no_wait, superseded="delete", protect_names=needed
        )


def _no_wait(_workload: str, _condition: str) -> None:
    """Everything is ready already when superseded objects go."""


def new_revision(target: Target, now: Situation) -> revisions.Revision:
    return revisions.of_objects(
        now.objects,
        spec=json.dumps(target.app.spec, sort_keys=True),
        spec_digest=target.app.digest,
        cluster_uid=now.cluster_uid,
        portable_version=__version__,
        by=who(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        secret_versions=now.secrets,
        cluster_digest=cluster_digest(target),
    )


def anew(revision: revisions.Revision, action: str) -> revisions.Revision:
    """What was deployed before, to be recorded once more as what `action` does now."""
    return replace(
        revision,
        portable_version=__version__,
        by=who(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        action=action,
        status="applied",
        outcome="",
        images={},
        live={},
        operations=(),
    )


def who() -> str:
    """The user of this machine. A container may run as a number that no user has."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
