"""What is there now: the cluster, the app's objects as they should be, and the last revision that was applied."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, is_dataclass, replace

from portable import __version__
from portable.compile.objects import ExpectedSecret, Objects
from portable.kube import FIELD_MANAGER, Kube
from portable.provider import ClusterResource, ClusterState, KubeObject, LocalImages
from portable.rollout.ownership import owned_digest
from portable.rollout.revisions import Revision, revisions
from portable.secret_digests import secret_digests
from portable.target import Target, compile_target


@dataclass(frozen=True)
class Situation:
    """`cluster` None: there is none. `kube` None: none that answers. `secrets`: keyed digests of those with a value, `missing`
    those without. `last` None: nothing was applied yet."""

    cluster: ClusterState | None
    kube: Kube | None
    objects: Objects
    secrets: Mapping[str, str]
    missing: tuple[ExpectedSecret, ...]
    last: Revision | None
    cluster_uid: str = ""


def look(target: Target, *, inside: bool = True) -> Situation:
    """Asks the provider and the cluster; changes nothing but the key that secrets are digested with. `inside` False: the
    provider alone."""
    cluster = target.provider.find(target.app.cluster)
    if cluster is None or not cluster.healthy or not inside:
        objects = _with_digests(target, bare := compile_target(target), local_images(target, bare), {})
        return Situation(cluster, None, objects, {}, objects.expected, None)
    return look_inside(target, Kube.reach(target.provider.credentials(target.app.cluster)), cluster)


def look_inside(target: Target, kube: Kube, cluster: ClusterState | None) -> Situation:
    """As `look`, for a cluster that is connected."""
    bare = compile_target(target)
    history = revisions(kube, bare.namespace)
    if target.app.builds:
        target = pinned_images(target, history)
        bare = compile_target(target)
    images = local_images(target, bare)
    digests, missing = secret_digests(kube, bare.namespace, bare.expected, namespace_labels(bare))
    objects = _with_digests(target, bare, images, digests)
    return Situation(cluster, kube, objects, digests, missing, history[-1] if history else None, kube.cluster_uid())


def pinned_images(target: Target, history: Sequence[Revision]) -> Target:
    """Images that are built, by digest: as they were delivered just now, or for an earlier revision."""
    from portable.images.wanted import known_from, pinned

    before = (image for revision in history for entry in revision.workloads.values() for image in entry.images)
    return replace(target, app=pinned(target.app, {**known_from(target.app, before), **target.built}))


def _with_digests(target: Target, bare: Objects, images: Mapping[str, str], secrets: Mapping[str, str]) -> Objects:
    """Compiled again only where there is a digest to write: a large app takes its time."""
    if not images and not secrets:
        return bare
    return compile_target(target, secret_digests=secrets, image_digests=images)


def settled(target: Target, now: Situation) -> bool:
    """Whether everything is as it was when the last `up` ended well: spec, portable's version, cluster, secrets, images, and
    on the live objects every field that is ours. What admission or a controller took from us then is no difference."""
    if now.kube is None or now.last is None or now.missing:
        return False
    same = (
        now.last.status == "good"
        and now.last.spec_digest == target.app.digest
        and now.last.objects_digest == now.objects.digest
        and now.last.portable_version == __version__
        and now.last.cluster_uid == now.cluster_uid
        and now.last.cluster_digest == cluster_digest(target)
        and now.last.secret_versions == now.secrets
    )
    return same and now.last.live == live_fields(now.kube, now.objects)


def missing_secrets(now: Situation) -> tuple[str, ...]:
    """Names of the user secrets without a value; certificates are the provider's to make."""
    return tuple(secret.resource for secret in now.missing if not secret.certificate_hosts)


def local_images(target: Target, objects: Objects) -> Mapping[str, str]:
    """image -> digest of the app's images that are on this machine, where the cluster can be given those; what a digest names
    is always the same."""
    if not isinstance(target.provider, LocalImages):
        return {}
    return target.provider.find_images([image for image in app_images(objects) if "@" not in image])


def app_images(objects: Objects) -> Sequence[str]:
    return sorted({image for workload in objects.workloads.values() for image in workload.images})


def namespace_labels(objects: Objects) -> Mapping[str, str]:
    """The labels that everything of this app and environment carries."""
    labels = objects.items[0].manifest["metadata"]["labels"]
    return {key: value for key, value in labels.items() if not key.startswith("pod-security.")}


def cluster_digest(target: Target) -> str:
    """A digest of what is asked of the cluster: the cluster step is skipped while it is the same."""

    def plain(value: object) -> object:
        return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)

    asked = () if target.app.cluster.existing else target.provider.cluster(target.app.cluster)
    resources: Sequence[ClusterResource] = [replace(resource, note="") for resource in asked]
    return hashlib.sha256(json.dumps(resources, default=plain, sort_keys=True).encode()).hexdigest()


def live_fields(kube: Kube, objects: Objects) -> dict[str, str]:
    """object -> digest of the fields that we own on it, for every object of the app that exists; one list for each kind.

    A field that someone else changed by force is no longer ours, so the digest differs from that right after our apply.
    """
    wanted = [item.manifest for item in objects.items] + [secret.manifest for secret in objects.generated]
    keys = {_key(manifest) for manifest in wanted}
    kinds = sorted({(manifest["apiVersion"], manifest["kind"]) for manifest in wanted})

    def fields(kind: tuple[str, str]) -> dict[str, str]:
        live = kube.list(*kind, objects.namespace)
        return {_key(entry): owned_digest(entry, FIELD_MANAGER) for entry in live if _key(entry) in keys}

    with ThreadPoolExecutor(8) as pool:
        return {key: digest for part in pool.map(fields, kinds) for key, digest in part.items()}


def _key(manifest: KubeObject) -> str:
    return f"{manifest['apiVersion']}/{manifest['kind']}/{manifest['metadata']['name']}"
