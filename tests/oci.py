"""OCI image layouts made of nothing: real manifests and blobs, without a builder."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def layout(
    folder: Path,
    files: Mapping[str, bytes],
    platforms: Sequence[str] = ("amd64",),
    *,
    docker: bool = False,
    entrypoint: Sequence[str] = (),
) -> str:
    """Writes an image of one layer for each platform; with more than one, an index of them. Returns its digest.

    `docker`: Docker's media types in place of OCI's.
    """
    made = [_image(folder, files, platform, docker, entrypoint) for platform in platforms]
    top = made[0]
    if len(made) > 1:
        kind = DOCKER_LIST if docker else INDEX
        top = _blob(folder, kind, {"schemaVersion": 2, "mediaType": kind, "manifests": made})
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    return top["digest"]


def _image(
    folder: Path, files: Mapping[str, bytes], platform: str, docker: bool, entrypoint: Sequence[str]
) -> dict[str, Any]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    plain = stream.getvalue()
    layer_type = (
        "application/vnd.docker.image.rootfs.diff.tar.gzip" if docker else "application/vnd.oci.image.layer.v1.tar+gzip"
    )
    config_type = (
        "application/vnd.docker.container.image.v1+json" if docker else "application/vnd.oci.image.config.v1+json"
    )
    manifest_type = DOCKER_MANIFEST if docker else MANIFEST
    layer = _blob(folder, layer_type, gzip.compress(plain, mtime=0))
    config = {
        "architecture": platform,
        "os": "linux",
        "config": {"Entrypoint": list(entrypoint), "User": "65532:65532"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(plain).hexdigest()}"]},
    }
    body = {
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": _blob(folder, config_type, config),
        "layers": [layer],
    }
    return _blob(folder, manifest_type, body) | {"platform": {"os": "linux", "architecture": platform}}


def _blob(folder: Path, media_type: str, content: bytes | Mapping[str, Any]) -> dict[str, Any]:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    digest = hashlib.sha256(data).hexdigest()
    place = folder / "blobs" / "sha256" / digest
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}
