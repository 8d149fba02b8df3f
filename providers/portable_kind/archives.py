"""Image archives into the nodes, by whatever builder they were made: read from a stream, without any image store between.

An image that is loaded gets a second name in containerd, the one by digest that its pods ask for. The kubelet finds it there and
asks no registry.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

from portable.errors import ClusterGone, ProviderError
from portable_kind import docker
from portable_kind.images import CTR, canonical, targets_from

# What containerd's import names an image by: https://github.com/containerd/containerd, images.AnnotationImageName
_NAME = "io.containerd.image.name"
_LAYOUT = "index.json"
# Where containerd mounts what runs: https://github.com/containerd/containerd/blob/main/docs/ops.md
TASKS = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"


def held(cluster_name: str, images: Sequence[str]) -> dict[str, str]:
    """image -> its reference by digest, for those that every node of the cluster has under both names."""
    nodes = _nodes(cluster_name)
    if not images or not nodes:
        return {}
    with ThreadPoolExecutor(max_workers=4) as pool:
        listings = list(pool.map(lambda node: targets_from(docker.execute(node, *CTR, "list")), nodes))
    found: dict[str, str] = {}
    for image in images:
        digests = {listing.get(canonical(image)) for listing in listings}
        digest = digests.pop() if len(digests) == 1 else None
        if digest and all(pinned_name(image, digest) in listing for listing in listings):
            found[image] = f"{image}@{digest}"
    return found


def pinned_name(image: str, digest: str) -> str:
    """The name under which the kubelet asks for "NAME:TAG@DIGEST": the runtime drops the tag where there is a digest."""
    return f"{canonical(image).rpartition(':')[0]}@{digest}"


def load(cluster_name: str, archive: Path, image: str) -> str:
    """Loads the archive's one image into every node as `image`; returns its reference by digest. Raises ProviderError, ClusterGone."""
    nodes = _nodes(cluster_name)
    if not nodes:
        raise ClusterGone(f"there is no kind cluster {cluster_name}", fix="run `portable up --cloud kind`")
    with ThreadPoolExecutor(max_workers=4) as pool:
        digests = set(pool.map(lambda node: _load_into(node, archive, image), nodes))
    assert len(digests) == 1, "of one archive every node makes the same image"
    return f"{image}@{digests.pop()}"


def write_files(node: str, container: str, archive: bytes) -> None:
    """Into the running container's own root, as the node sees it: there neither its user nor a read-only mount is in the way."""
    root = f"{TASKS}/{container}/rootfs"
    docker.execute(node, "tar", "--extract", "--no-same-owner", "--directory", root, stdin=archive)


def _nodes(cluster_name: str) -> list[str]:
    return [node.name for node in docker.nodes(cluster_name) if node.running]


def _load_into(node: str, archive: Path, image: str) -> str:
    name = canonical(image)
    command = [docker.client(), "exec", "--interactive", node, *CTR, "import", "--snapshotter=overlayfs", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            _write(archive, name, process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass  # it says why
        words = process.stderr.read().decode(errors="replace")
    if process.returncode != 0:
        raise ProviderError(
            f"the image {image} could not be loaded into {node}",
            detail="\n".join(words.strip().splitlines()[-6:]),
            fix="see whether the disk is full, then run the command again",
        )
    digest = targets_from(docker.execute(node, *CTR, "list")).get(name)
    if digest is None:
        raise ProviderError(f"{node} has taken the image {image} under another name", detail=words.strip()[-500:])
    docker.execute(node, *CTR, "tag", "--force", name, pinned_name(image, digest))
    return digest


def _write(archive: Path, name: str, stream: IO[bytes]) -> None:
    """The archive as a tar stream. A layout's image is named in its index; `docker save` has named its own."""
    if archive.is_file():
        with archive.open("rb") as file:
            while block := file.read(1 << 20):
                stream.write(block)
        return
    with tarfile.open(fileobj=stream, mode="w|") as tar:
        for path in sorted(archive.rglob("*")):
            inside = str(path.relative_to(archive))
            if inside != _LAYOUT:
                tar.add(path, inside, recursive=False)
        index = _named(json.loads((archive / _LAYOUT).read_text()), name)
        entry = tarfile.TarInfo(_LAYOUT)
        entry.size = len(index)
        tar.addfile(entry, io.BytesIO(index))


def _named(index: Mapping[str, object], name: str) -> bytes:
    manifests = index["manifests"]
    assert isinstance(manifests, list)
    named = [{**manifest, "annotations": {**manifest.get("annotations", {}), _NAME: name}} for manifest in manifests]
    return json.dumps({**index, "manifests": named}).encode()
