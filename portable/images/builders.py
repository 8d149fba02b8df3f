"""Docker, BuildKit, Podman and Buildah: the one that is here makes the images.

Their command lines are used, not their sockets: contexts, credential helpers and storage then work as the user set them up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from portable.errors import ToolError, UsageError
from portable.images.stores import Store

Name: TypeAlias = Literal["docker", "buildkit", "podman", "buildah"]
NAMES: tuple[Name, ...] = ("docker", "buildkit", "podman", "buildah")
VARIABLE = "PORTABLE_BUILDER"
_ASK_SECONDS = 20
# What works only where the builder would. Podman and Buildah have no engine that could be down.
_QUESTIONS: Mapping[Name, Sequence[str]] = {
    "docker": ("docker", "version", "--format", "{{.Server.Version}}"),
    "buildkit": ("buildctl", "debug", "workers"),
    "podman": ("podman", "version"),
    "buildah": ("buildah", "version"),
}


@dataclass(frozen=True)
class Builder:
    """`buildkit`: it builds with BuildKit, which also Docker does where its buildx plugin is there."""

    name: Name
    program: str
    buildkit: bool = False

    @property
    def title(self) -> str:
        if self.buildkit:
            return "Docker with BuildKit" if self.name == "docker" else "BuildKit"
        return self.name.capitalize()

    @property
    def store(self) -> Store | None:
        """Where it keeps images; None for BuildKit's own daemon, which only gives them out."""
        return None if self.name == "buildkit" else self.name


def find() -> Builder:
    """The builder that $PORTABLE_BUILDER names, else the first of Docker, BuildKit, Podman and Buildah that works.

    Raises UsageError for a name that is none of them, ToolError where the one that is asked for, or every one, does not work.
    """
    asked = os.environ.get(VARIABLE)
    if asked and asked not in NAMES:
        raise UsageError(f"{VARIABLE} is {asked!r}", fix=f"set it to one of {', '.join(NAMES)}, or leave it out")
    reasons: list[str] = []
    for name in (cast("Name", asked),) if asked else NAMES:
        found = _probe(name)
        if isinstance(found, Builder):
            return found
        reasons.append(found)
    raise ToolError(
        "there is nothing to build images with" if not asked else f"{asked} cannot build images here",
        detail="\n".join(reasons),
        fix="install Docker, Podman, Buildah or BuildKit" if not asked else f"mend it, or unset {VARIABLE}",
    )


def _probe(name: Name) -> Builder | str:
    """The builder if it works, else why not."""
    program, *question = _QUESTIONS[name]
    found = shutil.which(program)
    if found is None:
        return f"{program}: not installed"
    why = _fails(found, *question)
    if why is not None:
        return f"{name}: {why}"
    buildx = name == "docker" and _fails(found, "buildx", "version") is None
    return Builder(name, found, buildkit=buildx or name == "buildkit")


def _fails(program: str, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=_ASK_SECONDS, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it failed"])[-1]
