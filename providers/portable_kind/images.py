"""Local images into the nodes: what the user built with Docker runs in the cluster without a registry.

An image counts as present in a node when the node's containerd has it under the same name with the label that we set at its
import: Docker's image id. So a rebuilt image of the same name is loaded again, and an unchanged one never is.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from portable.errors import ClusterGone, ProviderError
from portable.events import Emit, Step
from portable_kind import docker

STEP = "images"
LABEL = "portable.dev/image-id"
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
    """image -> Docker's image id, for those that Docker on this machine has."""
    return docker.image_ids(tuple(dict.fromkeys(images)))


def load(cluster_name: str, images: Sequence[str], emit: Emit) -> dict[str, str]:
    """Loads those that Docker has into every node that lacks them; as `find`. Raises ProviderError, ClusterGone."""
    found = find(images)
    if not found:
        return {}
    nodes = docker.nodes(cluster_name)
    if not nodes:
        raise ClusterGone(f"there is no kind cluster {cluster_name}", fix="run `portable up --cloud kind`")
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=4) as pool:
        lacking = dict(zip(nodes, pool.map(lambda node: _lacking(node.name, found), nodes), strict=True))
        wanted = [(node, names) for node, names in lacking.items() if names]
        if not wanted:
            return found
        names = sorted({name for _, names in wanted for name in names})
        emit(Step(STEP, "started", title="Loading local images", detail=", ".join(names)))
        for _ in pool.map(lambda pair: _load_into(pair[0].name, pair[1], found), wanted):
            pass
    emit(Step(STEP, "done", detail=", ".join(names), seconds=time.monotonic() - began))
    return found


def _lacking(node: str, found: Mapping[str, str]) -> list[str]:
    present = labels_from(docker.execute(node, *CTR, "list"))
    return [image for image, digest in found.items() if present.get(canonical(image)) != digest]


def labels_from(listing: str) -> dict[str, str]:
    """Image name -> the id that we labelled it with, from the output of `ctr images list` (labels are its last column)."""
    present: dict[str, str] = {}
    for line in listing.splitlines()[1:]:
        words = line.split()
        pairs = dict(pair.split("=", 1) for pair in words[-1].split(",") if "=" in pair) if words else {}
        if LABEL in pairs:
            present[words[0]] = pairs[LABEL]
    return present


def _load_into(node: str, images: Sequence[str], found: Mapping[str, str]) -> None:
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
    for image in images:
        docker.execute(node, *CTR, "label", canonical(image), f"{LABEL}={found[image]}")
