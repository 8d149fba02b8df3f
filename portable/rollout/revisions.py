"""Every applied revision of an app, kept as a Secret in its namespace.

    portable-revision-7   type portable.dev/revision   labels: app, environment, revision, status

A revision holds what is needed to put it back: the resolved spec, and the compiled objects of each workload, gzipped. It
holds no secret values: generated and user secrets are referred to by name and version. It is a Secret all the same, because
a spec's variables and files are nobody's business who may only read ConfigMaps.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypeAlias

from portable.compile.objects import CompiledWorkload, Item, Objects, Reference, logical_name
from portable.errors import ClusterError
from portable.kube import Kube
from portable.provider import KubeObject

SECRET_TYPE = "portable.dev/revision"
NUMBER_LABEL, STATUS_LABEL = "portable.dev/revision", "portable.dev/revision-status"
# A Secret's data may hold 1 MiB in all (core/v1 MaxSecretSize); a little is left for the key and what may be added.
MAX_BYTES = 1024 * 1024 - 16 * 1024
KEPT_OPERATIONS = 50
_TRIES = 20

RevisionStatus: TypeAlias = Literal["applied", "good", "failed"]


@dataclass(frozen=True)
class Operation:
    """Something that was done to the app as it runs, without a new version: "restarted web". `at` RFC 3339."""

    at: str
    by: str
    words: str


@dataclass(frozen=True)
class Revision:
    """`spec` is the resolved spec as canonical JSON, `spec_digest` its digest; `secret_versions` maps a Secret to its
    resourceVersion or keyed digest; `images` is workload -> container -> image ID that really ran; `at` RFC 3339.

    `objects_digest` is that of the compiled objects, `cluster_digest` of what was asked of the cluster, and `live` maps each
    object to a digest of the fields that we owned on it once it was ready: what a later `up` without changes compares.

    `action` is what made it ("up", "rollback to 3"), `outcome` why it failed, in words; `operations` what was done to it since.

    `items` and `workloads` are the compiled objects. A spec too large for one Secret is kept without them (`complete`
    False): it can be compiled again from `spec`, by the same version of portable to the same bytes.
    """

    app: str
    environment: str | None
    spec: str
    spec_digest: str
    items: tuple[Item, ...]
    workloads: Mapping[str, CompiledWorkload]
    names: tuple[str, ...]
    cluster_uid: str
    portable_version: str
    by: str
    at: str
    secret_versions: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    objects_digest: str = ""
    cluster_digest: str = ""
    live: Mapping[str, str] = field(default_factory=dict)
    status: RevisionStatus = "applied"
    number: int = 0
    complete: bool = True
    action: str = "up"
    outcome: str = ""
    operations: tuple[Operation, ...] = ()


def of_objects(
    objects: Objects,
    *,
    spec: str,
    spec_digest: str,
    cluster_uid: str,
    portable_version: str,
    by: str,
    at: str,
    secret_versions: Mapping[str, str] | None = None,
    cluster_digest: str = "",
) -> Revision:
    """The revision that these compiled objects are."""
    return Revision(
        app=objects.app,
        environment=objects.environment,
        spec=spec,
        spec_digest=spec_digest,
        items=objects.items,
        workloads=objects.workloads,
        names=(
            *(logical_name(item.manifest) for item in objects.items),
            *(logical_name(secret.manifest) for secret in objects.generated),
        ),
        cluster_uid=cluster_uid,
        portable_version=portable_version,
        by=by,
        at=at,
        secret_versions=secret_versions or {},
        objects_digest=objects.digest,
        cluster_digest=cluster_digest,
    )


def record(kube: Kube, namespace: str, revision: Revision) -> int:
    """Keeps the revision under the next free number, which it returns. Of two at once each gets its own.

    Raises ClusterError.
    """
    number = max((known for known, _ in _found(kube, namespace)), default=0)
    for _ in range(_TRIES):
        number += 1
        try:
            kube.create(_secret(replace(revision, number=number), namespace))
        except ClusterError as error:
            if error.reason != "AlreadyExists":
                raise
        else:
            return number
    raise ClusterError("no revision could be recorded: others were faster each time", fix="run one `up` at a time")


def mark(
    kube: Kube,
    namespace: str,
    number: int,
    status: RevisionStatus,
    *,
    images: Mapping[str, Mapping[str, str]] | None = None,
    live: Mapping[str, str] | None = None,
    outcome: str = "",
) -> None:
    """Sets what became of a revision, with `images` what really ran (`Watcher.images()`), with `live` what was there once it
    was ready, with `outcome` why it failed. A pruned one is left gone.

    Raises ClusterError.
    """

    def marked(revision: Revision) -> Revision:
        known = {"images": images or revision.images, "live": live or revision.live}
        return replace(revision, status=status, outcome=outcome, **known)

    _edit(kube, namespace, number, marked)


def note(
    kube: Kube, namespace: str, number: int, operation: Operation, *, live: Mapping[str, str] | None = None
) -> None:
    """Adds what was done to the revision's history, of which the last `KEPT_OPERATIONS` are kept. `live`: as for `mark`.

    Raises ClusterError.
    """

    def noted(revision: Revision) -> Revision:
        operations = (*revision.operations, operation)[-KEPT_OPERATIONS:]
        return replace(revision, operations=operations, live=live or revision.live)

    _edit(kube, namespace, number, noted)


def _edit(kube: Kube, namespace: str, number: int, change: Callable[[Revision], Revision]) -> None:
    """Compare-and-set, again when someone else was first. One that is gone stays gone."""
    for attempt in range(_TRIES):
        kept = kube.get("v1", "Secret", _name(number), namespace)
        if kept is None:
            return
        changed = _secret(change(_decode(kept)), namespace)
        changed["metadata"]["resourceVersion"] = kept["metadata"]["resourceVersion"]
        try:
            kube.replace(changed)
        except ClusterError as error:
            if error.status != 409 or attempt == _TRIES - 1:
                raise
        else:
            return


def revisions(kube: Kube, namespace: str) -> list[Revision]:
    """All that are kept, oldest first; () in a namespace that does not exist. Raises ClusterError."""
    return [_decode(secret) for _, secret in _found(kube, namespace)]


def last_of(secrets: Iterable[KubeObject]) -> tuple[Revision, int] | None:
    """(the last revision, the number of the last good one or 0) of Secrets that have been read already; others among them are
    passed over. Only that one is unpacked: the rest stands in labels."""
    kept = _by_number(secret for secret in secrets if NUMBER_LABEL in (secret["metadata"].get("labels") or {}))
    if not kept:
        return None
    good = [number for number, secret in kept if secret["metadata"]["labels"].get(STATUS_LABEL) == "good"]
    return _decode(kept[-1][1]), good[-1] if good else 0


def last_good(kube: Kube, namespace: str, *, before: int | None = None) -> Revision | None:
    """The newest revision that became ready (`before` that number)."""
    for number, secret in reversed(_found(kube, namespace)):
        if secret["metadata"]["labels"].get(STATUS_LABEL) == "good" and (before is None or number < before):
            return _decode(secret)
    return None


def prune(kube: Kube, namespace: str, keep: int = 10) -> list[int]:
    """Deletes all but the newest `keep` and the last good one; returns the numbers of those deleted. Raises ClusterError."""
    found = _found(kube, namespace)
    good = [number for number, secret in found if secret["metadata"]["labels"].get(STATUS_LABEL) == "good"]
    kept = {number for number, _ in found[-keep:]} | set(good[-1:])
    gone = [number for number, _ in found if number not in kept]
    for number in gone:
        kube.delete("v1", "Secret", _name(number), namespace, propagation="Background")
    return gone


def withdraw(kube: Kube, namespace: str, number: int) -> None:
    """Takes back a revision of which nothing was applied. Raises ClusterError."""
    kube.delete("v1", "Secret", _name(number), namespace, propagation="Background")


def names_needed(kept: Iterable[Revision]) -> tuple[str, ...]:
    """Logical names ("ConfigMap/web-3f2a") of config that going back to one of `kept` needs; sorted.

    Config only: it is immutable and named by digest, so older versions live side by side. Everything else of a revision is
    made again from the revision itself.
    """
    return tuple(
        sorted({name for revision in kept for name in revision.names if name.startswith(("ConfigMap/", "Secret/"))})
    )


# -- the Secret ------------------------------------------------------------------------------------------------------


def _name(number: int) -> str:
    return f"portable-revision-{number}"


def _found(kube: Kube, namespace: str) -> list[tuple[int, KubeObject]]:
    return _by_number(kube.list("v1", "Secret", namespace, label_selector=NUMBER_LABEL))


def _by_number(secrets: Iterable[KubeObject]) -> list[tuple[int, KubeObject]]:
    return sorted(
        ((int(secret["metadata"]["labels"][NUMBER_LABEL]), secret) for secret in secrets), key=lambda pair: pair[0]
    )


def _secret(revision: Revision, namespace: str) -> KubeObject:
    labels = {
        "app.kubernetes.io/managed-by": "portable",
        "portable.dev/app": revision.app,
        NUMBER_LABEL: str(revision.number),
        STATUS_LABEL: revision.status,
    }
    if revision.environment is not None:
        labels["portable.dev/environment"] = revision.environment
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": SECRET_TYPE,
        "metadata": {"name": _name(revision.number), "namespace": namespace, "labels": labels},
        "data": {"revision": b64encode(_pack(revision)).decode()},
    }


def _pack(revision: Revision) -> bytes:
    """Gzipped JSON, small enough for a Secret. Raises ClusterError where even the bare spec is not."""
    for candidate in (revision, replace(revision, items=(), complete=False)):
        packed = gzip.compress(json.dumps(_encode(candidate), separators=(",", ":")).encode(), mtime=0)
        if len(packed) <= MAX_BYTES:
            return packed
    raise ClusterError(
        f"the revision cannot be kept: its spec takes {len(packed)} bytes compressed, a Secret holds {MAX_BYTES}",
        fix="move large files out of the spec, into the image or a volume",
    )


def _encode(revision: Revision) -> dict[str, Any]:
    found = asdict(replace(revision, items=()))
    found["items"] = [asdict(replace(item, manifest=_without_values(item.manifest))) for item in revision.items]
    return found


def _without_values(manifest: KubeObject) -> KubeObject:
    """The compiler puts no secret values into manifests; should a patch have, they stay out of here."""
    if manifest["kind"] != "Secret":
        return manifest
    return {key: value for key, value in manifest.items() if key not in ("data", "stringData")}


def _decode(secret: KubeObject) -> Revision:
    try:
        found = json.loads(gzip.decompress(b64decode(secret["data"]["revision"])))
        found["items"] = tuple(Item(**{**item, "depends_on": tuple(item["depends_on"])}) for item in found["items"])
        found["workloads"] = {name: _workload(fields) for name, fields in found["workloads"].items()}
        found["names"] = tuple(found["names"])
        found["operations"] = tuple(Operation(**operation) for operation in found.get("operations", ()))
        return Revision(**found)
    except (KeyError, TypeError, ValueError, OSError, EOFError) as error:
        name = secret["metadata"]["name"]
        raise ClusterError(
            f"Secret {name} is no revision that this version of portable can read: {error}",
            fix="use the version of portable that wrote it, or delete that Secret",
        ) from error


def _workload(fields: Mapping[str, Any]) -> CompiledWorkload:
    changed = {"controller": Reference(**fields["controller"]), "images": tuple(fields["images"])}
    return CompiledWorkload(**{**fields, **changed})


__all__: Sequence[str] = [
    "Operation",
    "Revision",
    "RevisionStatus",
    "last_good",
    "last_of",
    "mark",
    "names_needed",
    "note",
    "of_objects",
    "prune",
    "record",
    "revisions",
]
