"""The images of the postgres and redis resources where no registry can be reached: built from Debian's packages.

Same user id (999), variables and start command as the official images. The names are the profile's; a label holds the digest
of the recipe, so that an image of an older recipe counts as missing. Built by `doctor --fix`, never while deploying.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from portable.errors import ToolError
from portable.events import Emit, Step
from portable_kind import docker
from portable_kind.profile import POSTGRES_IMAGE, REDIS_IMAGE

SUITE = "bookworm"
RECIPE_LABEL = "portable.dev/recipe"
BASE = ("base-files", "bash", "coreutils", "findutils", "grep", "libc-bin", "sed")


@dataclass(frozen=True)
class Image:
    """`environment` and `data` (its working folder) are what the official image sets too."""

    service: str
    reference: str
    packages: tuple[str, ...]
    environment: tuple[str, ...]
    command: tuple[str, ...]
    port: int
    data: str
    stop_signal: str = "SIGTERM"

    @property
    def recipe(self) -> str:
        """Digest of everything that we decide about the image's content."""
        digest = hashlib.sha256(repr(self).encode())
        for name in _files(self):
            digest.update(_text(name).encode())
        return digest.hexdigest()[:16]


def _files(image: Image) -> tuple[str, str]:
    return "customize.sh", f"{image.service}.sh"


def _text(name: str) -> str:
    return files("portable_kind").joinpath("databases", name).read_text()


POSTGRES = Image(
    service="postgres",
    reference=POSTGRES_IMAGE,
    packages=("postgresql-15", "gzip", "tzdata"),
    environment=("PGDATA=/var/lib/postgresql/data", "LANG=C.UTF-8", "HOME=/var/lib/postgresql"),
    command=("postgres",),
    port=5432,
    data="/",
    stop_signal="SIGINT",
)
REDIS = Image(
    service="redis",
    reference=REDIS_IMAGE,
    packages=("redis-server", "redis-tools"),
    environment=("LANG=C.UTF-8", "HOME=/data"),
    command=("redis-server",),
    port=6379,
    data="/data",
)
IMAGES = (POSTGRES, REDIS)


def missing() -> tuple[Image, ...]:
    """Those that Docker does not have yet, or has from another recipe."""
    found = docker.image_ids([image.reference for image in IMAGES])
    return tuple(image for image in IMAGES if image.reference not in found or not is_of(image.reference, image.recipe))


def is_of(reference: str, recipe: str) -> bool:
    """Whether an image that Docker has was built from this very recipe."""
    return docker.image_label(reference, RECIPE_LABEL) == recipe


def build(image: Image, emit: Emit) -> str:
    """Builds the image into Docker and returns its reference. Raises ToolError with mmdebstrap's last words."""
    step = f"{image.service} image"
    began = time.monotonic()
    emit(Step(step, "started", title=f"Building the {image.service} image from Debian's packages", usual=60))
    need_mmdebstrap(step, emit)
    # In the working folder of the user, not in /tmp: a root file system does not fit into every tmpfs.
    with tempfile.TemporaryDirectory(prefix="portable-", ignore_cleanup_errors=True) as folder:
        archive = Path(folder) / "root.tar"
        for name in _files(image):
            (Path(folder) / name).write_text(_text(name))
        hook = f'sh "{folder}/customize.sh" "$1" {image.service} "{folder}/{image.service}.sh"'
        bootstrap(image.service, (*BASE, *image.packages), hook, archive)
        emit(Step(step, "progress", detail="importing it into Docker"))
        _import(image, archive)
    emit(Step(step, "done", detail=image.reference, seconds=time.monotonic() - began))
    return image.reference


def need_mmdebstrap(step: str, emit: Emit) -> None:
    if shutil.which("mmdebstrap") is None:
        from portable_kind.docker_engine import install_debian_packages

        install_debian_packages(("mmdebstrap",), step, emit)


def bootstrap(name: str, packages: Sequence[str], hook: str, archive: Path) -> None:
    """A root file system of Debian's packages as a tar archive, without running their scripts: what those would set up does
    `hook`, a shell command whose $1 is the root. Raises ToolError with mmdebstrap's last words."""
    command = ["mmdebstrap", "--variant=extract", f"--include={','.join(packages)}"]
    sources = _debian_sources()
    command += [f"--extract-hook={hook}", SUITE, str(archive), *(["-"] if sources else [])]
    done = subprocess.run(command, input=sources, capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode != 0:
        raise ToolError(
            f"the {name} image could not be built",
            detail="\n".join(done.stderr.strip().splitlines()[-10:]),
            fix="check that Debian's package mirror can be reached (`apt-get update`), then run the command again",
        )


def _debian_sources() -> str:
    """This machine's own Debian mirrors of SUITE as sources.list lines; "": none, mmdebstrap uses its default."""
    if shutil.which("apt-get") is None:
        return ""
    layout = "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)"
    command = ["apt-get", "indextargets", "Created-By: Packages", "--format", layout]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    rows = (line.split("|") for line in dict.fromkeys(done.stdout.splitlines()))
    return "".join(
        f"deb {uri} {codename} {component}\n"
        for origin, codename, component, uri in rows
        if origin == "Debian" and codename.partition("-")[0] == SUITE
    )


def _import(image: Image, archive: Path) -> None:
    # `docker import` cannot set a stop signal, and PostgreSQL waits for its clients on the usual one.
    command = ", ".join(f'"{word}"' for word in image.command)
    lines = [
        "FROM scratch",
        f"ADD {archive.name} /",
        *(f"ENV {pair}" for pair in ("PATH=/usr/local/bin:/usr/bin:/bin", *image.environment)),
        'ENTRYPOINT ["/usr/local/bin/docker-entrypoint.sh"]',
        f"CMD [{command}]",
        f"EXPOSE {image.port}",
        f"WORKDIR {image.data}",
        f"STOPSIGNAL {image.stop_signal}",
        "USER 999:999",
        f"LABEL {RECIPE_LABEL}={image.recipe}",
    ]
    (archive.parent / "Dockerfile").write_text("\n".join(lines) + "\n")
    docker.run("build", "--quiet", "--tag", image.reference, str(archive.parent), timeout=600)
