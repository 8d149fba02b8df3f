"""Images that Podman or Buildah keep on this machine: they are as good as Docker's, where Docker has none of that name."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from portable.errors import ProviderError

_SECONDS = 30
# How each tells an image's id, and gives the image out as an OCI layout; both know "app:1" as "localhost/app:1" too.
_INSPECT: Mapping[str, Sequence[str]] = {
    "podman": ("image", "inspect", "--format", "{{.Id}}"),
    "buildah": ("inspect", "--type", "image", "--format", "{{.FromImageID}}"),
}


@dataclass(frozen=True)
class Stored:
    """`program` has it; `id` is the digest of its configuration, as Docker's ids are."""

    program: str
    id: str


def find(images: Sequence[str]) -> dict[str, Stored]:
    """Those of `images` that the first of Podman and Buildah that is installed keeps, by their tags. Nothing where neither is."""
    program = next((name for name in _INSPECT if shutil.which(name)), None)
    images = [image for image in images if "@" not in image]
    if program is None or not images:
        return {}
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = zip(images, pool.map(lambda image: _id(program, image), images), strict=True)
        return {image: Stored(program, image_id) for image, image_id in found if image_id}


def _id(program: str, image: str) -> str | None:
    try:
        done = subprocess.run(
            [program, *_INSPECT[program], image], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = done.stdout.strip().removeprefix("sha256:")
    return f"sha256:{found}" if done.returncode == 0 and found else None


def load(cluster_name: str, image: str, stored: Stored) -> None:
    """Loads it into every node, under its own name. Raises ProviderError."""
    from portable_kind import archives

    with tempfile.TemporaryDirectory(prefix="portable-image-") as folder:
        layout = Path(folder) / "image"
        save = {
            "podman": ("save", "--quiet", "--format", "oci-dir", "--output", str(layout), image),
            "buildah": ("push", "--quiet", image, f"oci:{layout}:{image}"),
        }[stored.program]
        done = subprocess.run([stored.program, *save], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ProviderError(
                f"{stored.program} cannot give out the image {image}",
                detail=done.stderr.strip()[-800:],
                fix=f"see whether `{stored.program} images` lists it and the disk has room",
            )
        archives.load(cluster_name, layout, image)
