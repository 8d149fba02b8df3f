"""`rollback`: the whole app back at an earlier revision, through the engine and the watcher, recorded as a new revision."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from portable.deploy import anew, deploy
from portable.errors import PortableError, UsageError
from portable.events import Emit
from portable.history import changes
from portable.kube import Kube
from portable.plan import Plan, fingerprint, open_engine
from portable.provider import LocalImages
from portable.rollout import revisions
from portable.rollout.restore import Images, needs, pinned_images, restore
from portable.rollout.revisions import Revision
from portable.rollout.view import condition
from portable.running import Running, open_running
from portable.situation import app_images, local_images
from portable.steps import step

if TYPE_CHECKING:
    from portable.compile.objects import Objects
    from portable.target import Request

_ACTION = "rollback to "


@dataclass(frozen=True)
class RollbackResult:
    """`to`: the revision whose version runs again; `revision`: the number that going back got. `changed` False: it ran already."""

    to: int
    revision: int
    changed: bool
    changes: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float


def rollback(
    request: Request, number: int | None = None, *, emit: Emit, confirm: Callable[[Plan], bool] | None = None
) -> RollbackResult:
    """Applies revision `number` (None: the last good one before the present) and waits until it is ready.

    Raises UsageError where there is no such revision or it cannot be gone back to, RolloutFailed once what cannot become ready
    is back as it was, and as `up` otherwise.
    """
    started = time.monotonic()
    with open_running(request, emit) as app:
        kept = revisions.revisions(app.kube, app.namespace)
        wanted = choose(kept, number)
        pins = pinned_images(wanted, _local(app, wanted))
        objects = restore(app.now.objects, wanted, app.last, jobs=_succeeded(app), secrets=app.now.secrets, pins=pins)
        require_needs(app.kube, objects, wanted.number)
        notes = tuple(_notes(wanted, app.last, pins))
        engine = open_engine(request, emit)
        with step(emit, "plan", f"comparing with revision {wanted.number}"):
            preview = engine.app.preview(app.target.home, objects, app.kube, app.kube.kubeconfig)
        title = f"{app.target.home.app} back at revision {wanted.number} of {wanted.at}, by {wanted.by}"
        plan = Plan(title, (), preview, notes, False, (), fingerprint(app.target, app.now, engine))
        words = tuple(changes(app.last, wanted))
        if not plan.changes and app.last.status == "good":
            return RollbackResult(wanted.number, app.last.number, False, (), notes, time.monotonic() - started)
        if confirm is not None and not confirm(plan):
            raise PortableError("nothing was changed: you said no")
        _load(app, objects, pins, emit)
        revision = _recorded(app, wanted, objects)
        made = deploy(app.target, replace(app.now, objects=objects), app.kube, engine, emit, revision)
        return RollbackResult(wanted.number, made.number, True, words, notes, time.monotonic() - started)


def choose(kept: list[Revision], number: int | None) -> Revision:
    """The revision to go back to, of `kept` (oldest first). Raises UsageError."""
    known = ", ".join(str(revision.number) for revision in kept if revision.status == "good")
    fix = f"good ones: {known or 'none'}; see `portable history`"
    present = kept[-1]
    if number is None and present.status == "applied":
        number = _interrupted(kept)
    if number is None:
        before = kept[:-1] if present.status == "good" else kept
        good = [each for each in before if each.status == "good" and each.objects_digest != present.objects_digest]
        if not good:
            raise UsageError("there is no earlier good revision to go back to", fix="see `portable history`")
        wanted = good[-1]
    else:
        found = next((each for each in kept if each.number == number), None)
        if found is None:
            raise UsageError(f"revision {number} is not kept", fix=fix)
        wanted = found
    if wanted.status != "good":
        raise UsageError(
            f"revision {wanted.number} was never ready" + (f": {wanted.outcome}" if wanted.outcome else ""), fix=fix
        )
    if not wanted.complete:
        raise UsageError(
            f"revision {wanted.number} was too large to be kept whole", fix="put its spec back and run `portable up`"
        )
    return wanted


def _interrupted(kept: list[Revision]) -> int | None:
    """Where a rollback that broke off was going to: the same command goes on there."""
    _, found, number = kept[-1].action.partition(_ACTION)
    wanted = int(number) if found else None
    return wanted if any(revision.number == wanted for revision in kept) else None


def require_needs(kube: Kube, objects: Objects, number: int) -> None:
    """Raises UsageError where a Secret or ConfigMap that the pods refer to is gone, or has lost a key."""
    live = {
        kind: {each["metadata"]["name"]: each.get("data") or {} for each in kube.list("v1", kind, objects.namespace)}
        for kind in ("Secret", "ConfigMap")
    }
    gone = [
        f"{needed.kind} {needed.name}" + (f", key {needed.key}" if needed.key else "")
        for needed in needs(objects)
        if needed.name not in live[needed.kind] or (needed.key and needed.key not in live[needed.kind][needed.name])
    ]
    if gone:
        raise UsageError(
            f"revision {number} needs what is no longer in the cluster",
            detail="\n".join(gone),
            fix="add the secret to the spec again and set it with `portable secret set`, or go back to another revision",
        )


def _local(app: Running, wanted: Revision) -> Mapping[str, str]:
    objects = replace(app.now.objects, workloads=wanted.workloads)
    return local_images(app.target, objects)


def _succeeded(app: Running) -> set[str]:
    """The present jobs that have run: they are left, and so not run again."""
    found: set[str] = set()
    for name, workload in app.last.workloads.items():
        at = workload.controller
        if at.kind == "Job":
            live = app.kube.get(at.api_version, at.kind, at.name, app.namespace)
            complete = condition(live, "Complete") if live is not None else None
            if complete is not None and complete["status"] == "True":
                found.add(name)
    return found


def _notes(wanted: Revision, present: Revision, pins: Images) -> Iterator[str]:
    data = [name for name, found in present.workloads.items() if found.section == "resources"]
    held = any(item.manifest["kind"] == "PersistentVolumeClaim" for item in present.items)
    if data or held:
        what = f"databases ({', '.join(data)}) and volumes" if data else "volumes"
        yield f"{what} stay as they are: data is never rolled back"
    if jobs := [name for name, found in wanted.workloads.items() if found.controller.kind == "Job"]:
        yield f"{', '.join(jobs)}: a job is not run again"
    for name, images in pins.items():
        yield f"{name}: by the digest that ran: {', '.join(images.values())}"
    if wanted.cluster_digest != present.cluster_digest:
        yield "the cluster stays as it is"
    if wanted.secret_versions != present.secret_versions:
        yield "secrets keep the values that they have now"
    yield "the spec is not changed: `portable plan` shows what the next `up` would change back"


def _load(app: Running, objects: Objects, pins: Images, emit: Emit) -> None:
    """Images of this machine, where a node may be new since. What is pinned is loaded under no tag: its tag means another."""
    provider = app.target.provider
    if isinstance(provider, LocalImages):
        pinned = {image for images in pins.values() for image in images.values()}
        provider.load_images(app.target.app.cluster, [i for i in app_images(objects) if i not in pinned], emit)


def _recorded(app: Running, wanted: Revision, objects: Objects) -> Revision:
    return replace(
        anew(wanted, f"{_ACTION}{wanted.number}"),
        items=objects.items,
        workloads=objects.workloads,
        names=tuple(dict.fromkeys((*wanted.names, *(f"Secret/{secret.name}" for secret in objects.generated)))),
        objects_digest=objects.digest,
        cluster_digest=app.last.cluster_digest,
        cluster_uid=app.now.cluster_uid,
        secret_versions=app.now.secrets,
    )
