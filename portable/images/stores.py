"""Images that Docker, Podman and Buildah keep on this machine: asked for by name, given out as archives that anything can load."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from portable.errors import ToolError

Store: TypeAlias = Literal["docker", "podman", "buildah"]
STORES: tuple[Store, ...] = ("docker", "podman", "buildah")
_SECONDS = 30
# How each tells an image's id; all of them take "app:1", which Podman and Buildah keep as "localhost/app:1".
_ID: Mapping[Store, Sequence[str]] = {
    "docker": ("image", "inspect", "--format", "{{.Id}}"),
    "podman": ("image", "inspect", "--format", "{{.Id}}"),
    "buildah": ("inspect", "--type", "image", "--format", "{{.FromImageID}}"),
}


@dataclass(frozen=True)
class Stored:
    """An image in a store. `id` is the digest of its configuration, "sha256:...", however the store writes it."""

    store: Store
    image: str
    id: str


def find(image: str, stores: Sequence[Store] = STORES) -> Stored | None:
    """`image` ("NAME:TAG") in the first of `stores` that is installed and has it."""
    for store in installed(stores):
        if image_id := _id(store, image):
            return Stored(store, image, image_id)
    return None


def installed(stores: Sequence[Store] = STORES) -> list[Store]:
    """Those of `stores` whose program is here."""
    return [store for store in stores if shutil.which(str(store))]


def _id(store: Store, image: str) -> str | None:
    try:
        done = subprocess.run(
            [store, *_ID[store], image], capture_output=True, text=True, timeout=_SECONDS, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = done.stdout.strip().removeprefix("sha256:")
    return f"sha256:{found}" if done.returncode == 0 and found else None


@contextmanager
def saved(stored: Stored) -> Iterator[Path]:
    """The image as an archive, for the time of the block: a file as `docker save` writes it, or a folder that is an OCI layout.

    Raises ToolError with the store's words.
    """
    with tempfile.TemporaryDirectory(prefix="portable-image-") as folder:
        target = Path(folder) / ("image.tar" if stored.store == "docker" else "image")
        words = {
            "docker": ("save", "--output", str(target), stored.image),
            "podman": ("save", "--quiet", "--format", "oci-dir", "--output", str(target), stored.image),
            "buildah": ("push", "--quiet", stored.image, f"oci:{target}:{stored.image}"),
        }[stored.store]
        give_out(stored.store, words, stored.image)
        yield target


def give_out(store: Store, words: Sequence[str], image: str) -> None:
    """Runs the command by which `store` writes `image` somewhere. Raises ToolError with its words."""
    done = subprocess.run([store, *words], capture_output=True, text=True, check=False, errors="replace")
    if done.returncode != 0:
        raise ToolError(
            f"{store.capitalize()} cannot give out the image {image}",
            detail=done.stderr.strip()[-2000:],
            fix=f"see whether `{store} images` lists it and the disk has room, then run the command again",
        )
