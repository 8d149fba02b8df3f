"""Prepare the target: its cluster, the app's namespace, and the app in it with no pod yet."""

from __future__ import annotations

from portable.certificate_stores import request_certificates
from portable.certificates import ensure_certificates, require_way
from portable.errors import PortableError
from portable.identities import bind_identities
from portable.kube import Kube
from portable.migrate import home_record
from portable.migrate.asleep import asleep
from portable.migrate.inventory import live_claims, used_by
from portable.migrate.move import Move, end_of
from portable.migrate.steps.secrets import differing
from portable.migrate.steps.step import Facts, MigrationStep
from portable.provider import KubeObject
from portable.secrets import ensure_namespace
from portable.situation import look
from portable.steps import Progress

NAMESPACE_SECONDS = 300.0


def _make_cluster(move: Move, progress: Progress) -> Facts:
    from portable.up import ensure_cluster

    now = look(move.target)
    made = bool(move.record.facts("cluster").get("made")) or now.cluster is None
    if now.kube is None:
        require_way(move.target, now.objects, move.emit)
    move.note("cluster", made=made)  # before it is made: a way back must know it
    kube = ensure_cluster(move.target, now, move.engine, move.emit)
    move.open_target(kube)
    ensure_namespace(kube, move.target_side.objects)
    home_record.write(kube, move.namespace, "arriving", move.migration, end_of(move.source))
    return {"made": made}


def _cluster_missing(move: Move) -> str:
    if move.target_kube is None:
        return "there is no cluster"
    record = home_record.read(move.target_kube, move.namespace)
    return (
        ""
        if record is not None and record.migration == move.migration
        else "the namespace is not held for this migration"
    )


def _leave_target(move: Move, progress: Progress) -> None:
    """All that the migration made there goes, the cluster too where it made that."""
    if move.target_kube is None:
        return
    if move.record.header.reverses:
        home_record.write(move.target_kube, move.namespace, "left", move.record.header.reverses, end_of(move.source))
        return
    from portable.destroy import destroy

    made = bool(move.record.facts("cluster").get("made"))
    request = move.request_for(move.target)
    confirmed = move.target.app.environment if move.target.app.protected else None
    if move.engine.stacks.state(move.target.home.app_stack) is None:
        _remove_namespace(move.target_kube, move.namespace, move.migration)
    destroy(request, emit=move.emit, destroy_data=True, keep_cluster=not made, confirmed=confirmed)


def _remove_namespace(kube: Kube, namespace: str, migration: str) -> None:
    """Made, with nothing in it that the engine knows."""
    record = home_record.read(kube, namespace)
    if record is None or record.migration != migration:
        return
    kube.delete("v1", "Namespace", namespace)
    if not kube.wait_gone("v1", "Namespace", namespace, timeout=NAMESPACE_SECONDS):
        raise PortableError(
            f"the namespace {namespace} is still there after {NAMESPACE_SECONDS:.0f} s",
            fix=f"see what holds it with `kubectl get namespace {namespace} -o yaml`",
        )


def _lay_down(move: Move, progress: Progress) -> Facts:
    side = move.target_side
    ensure_certificates(move.target, side.kube, side.objects, move.emit)
    request_certificates(move.target, side.objects, move.emit)
    bind_identities(move.target, side.namespace, progress)
    move.apply_to_target(asleep(side.objects))
    for claim in _further_claims(move):
        side.kube.apply(claim)
    move.note("asleep", objects=side.objects.digest)  # the step's own check looks at it
    return {}


def _not_laid_down(move: Move) -> str:
    side = move.target_side
    if move.record.facts("asleep").get("objects", side.objects.digest) != side.objects.digest:
        return "the spec has changed since"
    if differ := differing(move):  # the target's state remembered others, from an earlier life of the app there
        return differ
    there = {claim["metadata"]["name"] for claim in live_claims(side)}
    lacking = [claim["metadata"]["name"] for claim in live_claims(move.source_side)]
    return ", ".join(f"the volume claim {name} is missing" for name in lacking if name not in there)


def _further_claims(move: Move) -> list[KubeObject]:
    """Claims that an autoscaler's further pods have made on the source: the target needs them for their data."""
    source, target = move.source_side, move.target_side
    there = {claim["metadata"]["name"] for claim in live_claims(target)}
    found = []
    for claim in live_claims(source):
        metadata, spec = claim["metadata"], claim["spec"]
        if metadata["name"] in there:
            continue
        shared = "ReadWriteMany" in spec["accessModes"]
        storage = target.app.profile.storage
        found.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    "name": metadata["name"],
                    "namespace": target.namespace,
                    "labels": {**metadata["labels"], "app.kubernetes.io/name": used_by(source, claim)},
                },
                "spec": {
                    "accessModes": spec["accessModes"],
                    "resources": {"requests": spec["resources"]["requests"]},
                    "storageClassName": storage.shared if shared else storage.single,
                },
            }
        )
    return found


CLUSTER = MigrationStep("cluster", "the target's cluster", _make_cluster, check=_cluster_missing, undo=_leave_target)
ASLEEP = MigrationStep("asleep", "the app on the target, with no pod yet", _lay_down, check=_not_laid_down)
