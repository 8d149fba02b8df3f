"""The whole app as a revision had it: pure.

What holds data stays as it is now (volumes, databases, their credentials): an older version of a database does not read what
a newer one wrote, and a volume cannot shrink. Jobs that have run are not run again.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from portable.compile.app import containers, pod_template
from portable.compile.names import DIGEST_ANNOTATION, IMAGE_ANNOTATION, SECRET_ANNOTATION, digest
from portable.compile.objects import CompiledWorkload, Item, Objects, logical_name
from portable.provider import KubeObject
from portable.rollout.revisions import Revision
from portable.spec.images import parts

# workload -> container -> image
Images = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Needed:
    """A Secret or ConfigMap that a pod cannot start without. `key` "": all of it."""

    kind: str
    name: str
    key: str = ""


def restore(
    objects: Objects,
    wanted: Revision,
    present: Revision,
    *,
    jobs: Collection[str],
    secrets: Mapping[str, str],
    pins: Images,
) -> Objects:
    """`wanted` as objects to apply over `present`, the last revision that was applied. `objects`: what the spec compiles to.

    `jobs`: names of the present jobs that have succeeded. `secrets`: keyed digests of the values that there are now. `pins`:
    images that go by their digest (see `pinned_images`).
    """
    staying = {name for name, found in present.workloads.items() if found.section == "resources" or name in jobs}
    items = _merged(wanted, present, staying)
    workloads = _workloads(wanted, present, staying)
    stamped = [_stamped(item, secrets, pins.get(item.workload or "", {})) for item in items]
    for item in stamped:
        template = pod_template(item.manifest)
        if template is not None and item.workload in workloads:
            known = template["metadata"]["annotations"][DIGEST_ANNOTATION]
            images = tuple(dict.fromkeys(container["image"] for container in containers(template["spec"])))
            workloads[item.workload] = replace(workloads[item.workload], digest=known, images=images)
    same = _manifests(stamped) == _manifests(wanted.items)
    found = wanted.objects_digest if same else digest([item.manifest for item in stamped], 64)
    return replace(objects, items=tuple(stamped), workloads=workloads, digest=found)


def pinned_images(wanted: Revision, local: Mapping[str, str]) -> Images:
    """The images of `wanted` that must be named by the digest that ran, for a tag may mean something else by now.

    `local`: image -> digest of what is on this machine now, where the cluster is given such images.
    """
    found: dict[str, dict[str, str]] = {}
    for item in wanted.items:
        template = pod_template(item.manifest)
        if template is None or item.workload is None:
            continue
        annotations = template["metadata"].get("annotations", {})
        for container in containers(template["spec"]):
            ran = wanted.images.get(item.workload, {}).get(container["name"], "")
            known = annotations.get(IMAGE_ANNOTATION + container["name"])
            if pin := _pin(container["image"], ran, known, local.get(container["image"])):
                found.setdefault(item.workload, {})[container["name"]] = pin
    return found


def needs(objects: Objects) -> Iterator[Needed]:
    """What the pods refer to and `objects` do not bring themselves."""
    brought = {logical_name(item.manifest) for item in objects.items}
    brought |= {logical_name(secret.manifest) for secret in objects.generated}
    seen: set[Needed] = set()
    for item in objects.items:
        template = pod_template(item.manifest)
        for needed in references(template["spec"]) if template is not None else ():
            if f"{needed.kind}/{needed.name}" not in brought and needed not in seen:
                seen.add(needed)
                yield needed


def _manifests(items: Iterable[Item]) -> dict[str, KubeObject]:
    return {logical_name(item.manifest): item.manifest for item in items}


def _merged(wanted: Revision, present: Revision, staying: Collection[str]) -> list[Item]:
    ran = [item for item in wanted.items if item.manifest["kind"] != "Job"]
    policies = {logical_name(item.manifest) for item in ran if item.manifest["kind"] == "NetworkPolicy"}
    stay = {
        logical_name(item.manifest): item
        for item in present.items
        if item.kept or (item.workload in staying and logical_name(item.manifest) not in policies)
    }
    back = [item for item in ran if logical_name(item.manifest) not in stay]
    known = stay.keys() | {logical_name(item.manifest) for item in back}
    return [
        replace(item, depends_on=tuple(name for name in item.depends_on if name in known))
        for item in (*(i for i in back if i.manifest["kind"] == "Namespace"), *stay.values(), *_but_namespaces(back))
    ]


def _but_namespaces(items: Iterable[Item]) -> Iterator[Item]:
    return (item for item in items if item.manifest["kind"] != "Namespace")


def _workloads(wanted: Revision, present: Revision, staying: Collection[str]) -> dict[str, CompiledWorkload]:
    found = {name: present.workloads[name] for name in present.workloads if name in staying}
    found |= {
        name: workload
        for name, workload in wanted.workloads.items()
        if name not in staying and workload.controller.kind != "Job"
    }
    return {
        name: replace(workload, after={other: state for other, state in workload.after.items() if other in found})
        for name, workload in found.items()
    }


def _stamped(item: Item, secrets: Mapping[str, str], pins: Mapping[str, str]) -> Item:
    """With pinned images and the present secrets' digests in its pod template, and the digest that follows from them."""
    if pod_template(item.manifest) is None or item.manifest["kind"] == "Job":
        return item
    manifest: KubeObject = copy.deepcopy(item.manifest)
    template = pod_template(manifest)
    assert template is not None
    annotations: dict[str, str] = template["metadata"].get("annotations", {})
    for key, known in annotations.items():
        if key.startswith(SECRET_ANNOTATION):
            annotations[key] = secrets.get(key.removeprefix(SECRET_ANNOTATION), known)
    for container in containers(template["spec"]):
        container["image"] = pins.get(container["name"], container["image"])
    if manifest == item.manifest:
        return item
    annotations.pop(DIGEST_ANNOTATION, None)
    annotations[DIGEST_ANNOTATION] = digest(template)
    template["metadata"]["annotations"] = dict(sorted(annotations.items()))
    return replace(item, manifest=manifest)


def _pin(image: str, ran: str, known: str | None, now: str | None) -> str:
    """ "" where the image is named well enough as it is. `ran` is the kubelet's imageID, "repository@sha256:..." of one that
    was pulled. `known`: the id of an image of this machine at that time, under which nodes keep it also when its tag has
    gone on to another (`now`).
    """
    if "@" in image:
        return ""
    if known is not None:
        return known if now != known else ""
    repository, _tag, _digest = parts(image)
    pulled, _, its_digest = ran.partition("@")
    return f"{repository}@{its_digest}" if its_digest and _plain(pulled) == _plain(repository) else ""


def _plain(repository: str) -> str:
    """A node may know the same image by other repositories too, which need not have it any more."""
    return repository.removeprefix("docker.io/").removeprefix("library/")


def references(pod: Mapping[str, Any]) -> Iterator[Needed]:
    """Secrets and ConfigMaps that a pod's spec says it cannot do without."""
    for container in containers(pod):
        for variable in container.get("env", ()):
            for source, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                found = variable.get("valueFrom", {}).get(source)
                if found and not found.get("optional"):
                    yield Needed(kind, found["name"], found["key"])
    for volume in pod.get("volumes", ()):
        for source, key, kind in (("secret", "secretName", "Secret"), ("configMap", "name", "ConfigMap")):
            found = volume.get(source)
            if found and not found.get("optional"):
                yield Needed(kind, found[key])
