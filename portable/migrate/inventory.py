"""What there is to move, and what cannot move and why, in the spec's words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portable.compile.app import pod_template
from portable.compile.names import WORKLOAD_LABEL
from portable.compile.objects import Item
from portable.provider import Registry
from portable.spec.model import Database, Volume
from portable.spec.quantities import parse_quantity
from portable.target import compile_target

if TYPE_CHECKING:
    from portable.migrate.databases import Way
    from portable.migrate.sides import Side
    from portable.migrate.transfer import VolumeCopy
    from portable.provider import KubeObject
    from portable.target import Target


@dataclass(frozen=True)
class VolumeItem:
    """A volume claim. `size` is what it asks for, in bytes; `files` and `bytes` what is in it, None while nobody has counted."""

    claim: str
    used_by: str
    size: int
    storage: str
    how: str
    files: int | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Inventory:
    """`routes` are hosts, `secrets` names of Secrets whose values are copied from API to API. `notes`: what a person should know.

    `refusals`: what cannot move, each in words that say what to change.
    """

    workloads: Mapping[str, int]
    volumes: tuple[VolumeItem, ...]
    databases: tuple[Way, ...]
    secrets: tuple[str, ...]
    routes: tuple[str, ...]
    images: tuple[str, ...]
    notes: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


def is_stateless(target: Target) -> bool:
    """Whether the app keeps nothing: no volume and no database of its own."""
    return not any(isinstance(resource, Volume | Database) for resource in target.app.resources.values())


def live_claims(side: Side) -> list[KubeObject]:
    """The app's claims as they are: also those that an autoscaler had made for further pods."""
    claims = side.kube.list("v1", "PersistentVolumeClaim", side.namespace, label_selector="portable.dev/app")
    return sorted((claim for claim in claims if not _leaving(claim)), key=lambda claim: claim["metadata"]["name"])


def volumes(side: Side, *, skip: Collection[str] = ()) -> tuple[VolumeCopy, ...]:
    """What the transfer is told of each claim. `skip`: workloads and databases whose data moves in another way."""
    from portable.migrate.transfer import VolumeCopy

    found = []
    for claim in live_claims(side):
        name, user = claim["metadata"]["name"], used_by(side, claim)
        if user not in skip:
            context = _pod_context(side, user)
            found.append(VolumeCopy(name, context.get("runAsUser"), context.get("fsGroup"), user))
    return tuple(found)


def used_by(side: Side, claim: KubeObject) -> str:
    """The workload or database whose pods mount it; of several the first. Empty: none does any more."""
    owner = claim["metadata"].get("labels", {}).get(WORKLOAD_LABEL)
    return owner or next(_mounters(side, claim["metadata"]["name"]), "")


def take_inventory(source: Side, target: Target, ways: tuple[Way, ...], counted: Mapping[str, Any]) -> Inventory:
    """`counted`: claim -> {"files", "bytes"}, of the last copy or count."""
    replicated = {way.name: way for way in ways if way.how == "replication"}
    objects = source.objects
    return Inventory(
        workloads=live_counts(source),
        volumes=tuple(_volumes(source, target, replicated, counted)),
        databases=ways,
        secrets=tuple(sorted({each.name for each in (*objects.expected, *objects.generated)})),
        routes=tuple(sorted({route.host for route in objects.routes})),
        images=tuple(sorted({image for each in objects.workloads.values() for image in each.images})),
        notes=tuple(_notes(source)),
        refusals=tuple(_refusals(source, target, ways)),
    )


def live_counts(side: Side) -> dict[str, int]:
    """Workload -> pods that are wanted at present; a cron job has none."""
    found: dict[str, int] = {}
    for kind in ("Deployment", "StatefulSet"):
        for live in side.kube.list("apps/v1", kind, side.namespace, label_selector=WORKLOAD_LABEL):
            found[live["metadata"]["labels"][WORKLOAD_LABEL]] = int(live["spec"].get("replicas", 1))
    return dict(sorted(found.items()))


def _volumes(
    source: Side, target: Target, replicated: Mapping[str, Way], counted: Mapping[str, Any]
) -> Iterator[VolumeItem]:
    for claim in live_claims(source):
        name, user = claim["metadata"]["name"], used_by(source, claim)
        shared = "ReadWriteMany" in claim["spec"]["accessModes"]
        storage = target.profile.storage.shared if shared else target.profile.storage.single
        size = int(parse_quantity(claim["spec"]["resources"]["requests"]["storage"]))
        known = counted.get(name, {})
        how = "replication" if user in replicated else "copy"
        yield VolumeItem(name, user, size, storage or "", how, known.get("files"), known.get("bytes"))


def _notes(source: Side) -> Iterator[str]:
    for workload in source.objects.workloads.values():
        if workload.controller.kind == "Job":
            yield f"the job {workload.name} runs once more, on the target: it belongs to starting the app"
        elif workload.controller.kind == "CronJob":
            yield f"the cron job {workload.name} is suspended while the app moves; a run that falls in that time is left out"


def _refusals(source: Side, target: Target, ways: tuple[Way, ...]) -> Iterator[str]:
    """What the target's cloud cannot honour at all was refused when the spec was read for it."""
    for way in ways:
        if way.how == "refused":
            yield f"resources.{way.name}: {way.why}"
    yield from _private_images(source, target)
    if target.home.cloud != source.app.home.cloud:
        for workload in source.app.app.workloads.values():
            if workload.identity:
                yield (
                    f"workloads.{workload.name}.identity: {workload.identity!r} is an identity of {source.app.provider.title}, which"
                    f" {target.provider.title} does not know: leave it out while the app moves, then name one of the new cloud's"
                )


def _private_images(source: Side, target: Target) -> Iterator[str]:
    """Images that the target would pull from a registry that only the source's cloud can read."""
    provider, cluster = source.app.provider, source.app.app.cluster
    if not isinstance(provider, Registry) or target.home.cloud == source.app.home.cloud:
        return
    for workload in compile_target(target).workloads.values():
        for image in workload.images:
            if provider.owns_image(cluster, image):
                yield (
                    f"workloads.{workload.name}: the image {image} lies in a registry that is private to {provider.title}: name"
                    f" one of {target.provider.title}'s own in a patch for {target.home.cloud}, and it is copied there by its digest"
                )


def _mounters(side: Side, claim: str) -> Iterator[str]:
    for item, template in _templates(side):
        names = [
            volume["persistentVolumeClaim"]["claimName"]
            for volume in template["spec"].get("volumes", ())
            if "persistentVolumeClaim" in volume
        ]
        if claim in names and item.workload is not None:
            yield item.workload


def _pod_context(side: Side, workload: str) -> Mapping[str, Any]:
    for item, template in _templates(side):
        if item.workload == workload:
            return template["spec"].get("securityContext") or {}
    return {}


def _templates(side: Side) -> Iterator[tuple[Item, Mapping[str, Any]]]:
    for item in side.objects.items:
        template = pod_template(item.manifest)
        if template is not None:
            yield item, template


def _leaving(claim: KubeObject) -> bool:
    return "deletionTimestamp" in claim["metadata"]
