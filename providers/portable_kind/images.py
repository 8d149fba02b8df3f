"""Local images into the nodes: what the user built runs in the cluster without a registry.

An image counts as present in a node when the node's containerd has the same content under the same name, told by the
image id (the digest of its configuration). So a rebuilt image of the same name is loaded again, and an unchanged one never is.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from portable.errors import ClusterGone, ProviderError
from portable.events import Emit, Step
from portable.images import stores
from portable.images.stores import Stored
from portable_kind import docker

STEP = "images"
_OTHERS: tuple[stores.Store, ...] = ("podman", "buildah")
CTR = ("ctr", "--namespace=k8s.io", "images")


def canonical(image: str) -> str:
    """The name that containerd gives an image: "redis:7" -> "docker.io/library/redis:7"."""
    name, at, digest = image.partition("@")
    first, slash, _ = name.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    if not is_host:
        name = f"docker.io/{name}" if slash else f"docker.io/library/{name}"
    last = name.rpartition("/")[2]
    return name + at + digest if digest or ":" in last else name + ":latest"


def find(images: Sequence[str]) -> dict[str, str]:
    """image -> image id, for those that Docker on this machine has, or else Podman or Buildah."""
    ids, others = _found(images)
    return ids | {image: stored.id for image, stored in others.items()}


def _found(images: Sequence[str]) -> tuple[dict[str, str], dict[str, Stored]]:
    wanted = tuple(dict.fromkeys(images))
    ids = docker.image_ids(wanted)
    return ids, _elsewhere([image for image in wanted if image not in ids and "@" not in image])


def _elsewhere(images: Sequence[str]) -> dict[str, Stored]:
    """Those that Podman or Buildah keeps, by their tags. The two share a store, so the first that is installed is asked."""
    asked = stores.installed(_OTHERS)[:1]
    if not asked or not images:
        return {}
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = pool.map(lambda image: stores.find(image, asked), images)
        return {stored.image: stored for stored in found if stored}


def load(cluster_name: str, images: Sequence[str], emit: Emit) -> dict[str, str]:
    """Loads those that are here into every node that lacks them; as `find`. Raises ProviderError, ClusterGone."""
    ids, others = _found(images)
    found = ids | {image: stored.id for image, stored in others.items()}
    if not found:
        return {}
    nodes = docker.nodes(cluster_name)
    if not nodes:
        raise ClusterGone(f"there is no kind cluster {cluster_name}", fix="run `portable up --cloud kind`")
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=4) as pool:
        lacking = pool.map(lambda node: _lacking(node.name, found), nodes)
        wanted = [(node.name, names) for node, names in zip(nodes, lacking, strict=True) if names]
        if not wanted:
            return found
        names = sorted({name for _, names in wanted for name in names})
        emit(Step(STEP, "started", title="Loading local images", detail=", ".join(names)))
        dockers = [(node, mine) for node, lacked in wanted if (mine := [name for name in lacked if name in ids])]
        for _ in pool.map(lambda pair: _load_into(*pair), dockers):
            pass
        for stored in (others[name] for name in names if name in others):
            _load_from_elsewhere(cluster_name, stored)
    emit(Step(STEP, "done", detail=", ".join(names), seconds=time.monotonic() - began))
    return found


def _lacking(node: str, found: Mapping[str, str]) -> list[str]:
    targets = targets_from(docker.execute(node, *CTR, "list"))
    return [image for image, image_id in found.items() if not is_present(image, image_id, targets)]


def targets_from(listing: str) -> dict[str, str]:
    """Name -> digest of its manifest, from the output of `ctr images list` (columns REF TYPE DIGEST ...)."""
    rows = (line.split() for line in listing.splitlines()[1:])
    return {row[0]: row[2] for row in rows if len(row) > 2}


def is_present(image: str, image_id: str, targets: Mapping[str, str]) -> bool:
    """Docker's id is an image's configuration digest, under which containerd's Kubernetes side keeps a second name for the
    same manifest; or, where Docker uses containerd's image store, it is the manifest's digest itself."""
    target = targets.get(canonical(image))
    return target is not None and target in (image_id, targets.get(image_id))


def _load_from_elsewhere(cluster_name: str, stored: Stored) -> None:
    from portable_kind import archives

    with stores.saved(stored) as archive:
        archives.load(cluster_name, archive, stored.image)


def _load_into(node: str, images: Sequence[str]) -> None:
    """One `docker save` for all, so that layers which images share go over once."""
    command = [docker.client(), "exec", "--interactive", node, *CTR, "import", "--snapshotter=overlayfs", "-"]
    with (
        subprocess.Popen([docker.client(), "save", *images], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as saving,
        subprocess.Popen(command, stdin=saving.stdout, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as importing,
    ):
        assert saving.stdout is not None
        saving.stdout.close()
        words = importing.communicate()[1].decode(errors="replace")
        refusal = saving.stderr.read().decode(errors="replace") if saving.stderr else ""
        if importing.returncode != 0 or saving.wait() != 0:
            raise ProviderError(
                f"local images could not be loaded into {node}",
                detail="\n".join((refusal + words).strip().splitlines()[-6:]),
                fix="see whether the disk is full, then run the command again",
            )
