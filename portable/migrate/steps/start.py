"""The app starts on the target, as any `up` starts it, and proves itself at the target's own address."""

from __future__ import annotations

import time
from dataclasses import replace

from portable.errors import ClusterError
from portable.events import Notice
from portable.migrate import replicas
from portable.migrate.asleep import asleep, rehearsing
from portable.migrate.move import Move, end_of
from portable.migrate.sides import Sides
from portable.migrate.steps.freeze import wait_for_pods_gone
from portable.migrate.steps.step import Facts, MigrationStep
from portable.rollout.watch import Watcher
from portable.situation import look_inside
from portable.steps import Progress


def has_routes(move: Move) -> bool:
    return bool(move.source_side.objects.routes)


def _start(move: Move, progress: Progress) -> Facts:
    from portable.up import up

    side = move.target_side
    replicas.release(side.kube, side.namespace)
    done = up(move.request_for(move.target), emit=move.emit, publish=False)
    if move.record.header.reverses and has_routes(move):
        _end_earlier_forwarding(move)
    move.note("start", objects=side.objects.digest)  # the step's own check looks at it
    return {"revision": done.revision, "seconds": round(done.seconds, 1), "ready_at": time.time()}


def _not_started(move: Move) -> str:
    """As long as the source may be changed, it may have been: then another version of the app runs on the target."""
    digest = move.target_side.objects.digest
    changed = move.source_may_change and move.record.facts("start").get("objects", digest) != digest
    return "the spec has changed since" if changed else ""


def _end_earlier_forwarding(move: Move) -> None:
    """When the app moved away from here its routes led to where it comes back from now: that would go round in a circle."""
    from portable.migrate.cutover import Forwarding

    here, there = replace(move.target_side, role="source"), replace(move.source_side, role="target")
    Forwarding(Sides(move.record.header.reverses, here, there), move.emit).remove()


def _put_to_sleep(move: Move, progress: Progress) -> None:
    """A target that is lost keeps nobody from going back; one that only does not answer just now does."""
    if move.target_kube is None:
        words = f"{end_of(move.target)} cannot be reached: if the app's pods run there, they still do. Nothing leads to them"
        move.emit(Notice(words, "warning"))
        return
    side = move.target_side
    running = replicas.record(side.kube, side.namespace)
    move.apply_to_target(asleep(side.objects))
    wait_for_pods_gone(side.kube, side.namespace, running, progress)


def _smoke(move: Move, progress: Progress) -> Facts:
    from portable.migrate.cutover import smoke

    side = move.target_side
    if problems := smoke(side):
        raise ClusterError(
            f"the app does not answer on {side} as it should",
            detail="\n".join(problems),
            fix="see `portable logs` and `portable status` there; then `portable migrate resume`",
        )
    return {"hosts": sorted({route.host for route in side.objects.routes})}


def _rehearse(move: Move, progress: Progress) -> Facts:
    """The app beside its source, on a copy of its data, with nothing done by the clock. Then it sleeps again; what it wrote is
    overwritten by the next copy, and databases that stood on their own begin anew."""
    for replication in move.replications.values():
        replication.promote(rehearsal=True)
    side = move.target_side
    now = look_inside(move.target, side.kube, None)
    objects = rehearsing(now.objects)
    with Watcher(side.kube, side.namespace, objects.workloads, move.emit) as watcher:
        move.apply_to_target(objects, watcher.wait)
        watcher.wait_all()
    told = _smoke(move, progress) if has_routes(move) else {}
    _put_to_sleep(move, progress)
    return {**told, "workloads": sorted(objects.workloads)}


START = MigrationStep("start", "the app starts on the target", _start, check=_not_started, undo=_put_to_sleep)
SMOKE = MigrationStep("smoke", "routes and certificates of the target", _smoke, when=has_routes)
REHEARSE = MigrationStep("rehearse", "the app tried beside its source", _rehearse, undo=_put_to_sleep)
