"""The image of the movers that carry volumes from cluster to cluster: one program, built from ./mover, and Debian's rsync.

A root file system from packages, as the databases' images are; the recipe's digest is in a label too. Built by `doctor --fix`.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from importlib.resources import files
from pathlib import Path

from portable.events import Emit, Step
from portable.tools import GoBuild, go_build
from portable_kind import database_images, docker
from portable_kind.profile import MOVER_IMAGE

STEP = "mover image"
PROGRAM = GoBuild(name="mover", module=files("portable_kind") / "mover", packages={"mover": "."}, usual=60)
PACKAGES = ("base-files", "libc-bin", "rsync")
# What an image of one program never reads. Never the whole tree: mmdebstrap mounts /proc and /sys of this machine into it.
_HOOK = (
    'rm -rf "$1"/usr/share/doc "$1"/usr/share/man "$1"/usr/share/info "$1"/usr/share/locale "$1"/usr/lib/*/gconv '
    '"$1"/var/cache/* "$1"/var/lib/apt "$1"/var/lib/dpkg "$1"/usr/lib/locale "$1"/usr/share/perl* "$1"/usr/lib/*/perl* '
    '&& mkdir -p "$1/run" "$1/tmp" "$1/volumes" && chmod 1777 "$1/tmp"'
)
_DOCKERFILE = f"""\
FROM scratch
ADD root.tar /
COPY mover /usr/local/bin/mover
ENV PATH=/usr/local/bin:/usr/bin:/bin
ENTRYPOINT ["/usr/local/bin/mover"]
USER 65534:65534
LABEL {database_images.RECIPE_LABEL}="""


def recipe() -> str:
    return hashlib.sha256(repr((PACKAGES, _HOOK, _DOCKERFILE, go_build.digest(PROGRAM))).encode()).hexdigest()[:16]


def is_missing() -> bool:
    """Whether Docker lacks it, or has it from another recipe."""
    return MOVER_IMAGE not in docker.image_ids([MOVER_IMAGE]) or not database_images.is_of(MOVER_IMAGE, recipe())


def build(emit: Emit) -> str:
    """Builds the image into Docker and returns its name. Raises ToolError."""
    began = time.monotonic()
    emit(Step(STEP, "started", title="Building the mover image", usual=60))
    database_images.need_mmdebstrap(STEP, emit)
    program = go_build.build(PROGRAM, emit) / "mover"
    with tempfile.TemporaryDirectory(prefix="portable-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        database_images.bootstrap("mover", PACKAGES, _HOOK, folder / "root.tar")
        shutil.copy2(program, folder / "mover")
        (folder / "Dockerfile").write_text(f"{_DOCKERFILE}{recipe()}\n")
        docker.run("build", "--quiet", "--tag", MOVER_IMAGE, str(folder), timeout=600)
    emit(Step(STEP, "done", detail=MOVER_IMAGE, seconds=time.monotonic() - began))
    return MOVER_IMAGE
