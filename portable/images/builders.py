"""Docker, Podman and Buildah: the one that is here makes the images, and gives them out as archives that anything can load.

Their command lines are used, not their sockets: contexts, credential helpers and storage then work as the user set them up.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast

from portable.errors import PortableError, ToolError, UsageError
from portable.events import Emit, Step
from portable.images.content import IGNORE_FILE
from portable.images.wanted import Wanted, host_platform
from portable.tools.running import lines_of

Name: TypeAlias = Literal["docker", "podman", "buildah"]
NAMES: tuple[Name, ...] = ("docker", "podman", "buildah")
VARIABLE = "PORTABLE_BUILDER"
_LAST_WORDS = 25
_ASK_SECONDS = 20


class BuildFailed(PortableError):
    """An image cannot be built; `detail` is the builder's own words."""


@dataclass(frozen=True)
class Builder:
    """`buildkit`: Docker builds with BuildKit (the buildx plugin is there), and so for several platforms at once."""

    name: Name
    program: str
    buildkit: bool = False

    @property
    def title(self) -> str:
        return "Docker with BuildKit" if self.buildkit else self.name.capitalize()


def find() -> Builder:
    """The builder that $PORTABLE_BUILDER names, else the first of Docker, Podman and Buildah that works.

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
        fix="install Docker, Podman or Buildah" if not asked else f"mend it, or unset {VARIABLE}",
    )


def _probe(name: Name) -> Builder | str:
    """The builder if it works, else why not."""
    program = shutil.which(name)
    if program is None:
        return f"{name}: not installed"
    # Buildah has no engine that could be down; Docker's client exits with 0 only where one answers.
    question = ("version",) if name != "docker" else ("version", "--format", "{{.Server.Version}}")
    why = _fails(program, *question)
    if why is not None:
        return f"{name}: {why}"
    return Builder(name, program, buildkit=name == "docker" and _fails(program, "buildx", "version") is None)


def _fails(program: str, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=_ASK_SECONDS, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it failed"])[-1]


def has(builder: Builder, image: Wanted) -> bool:
    """Whether the builder's own store has the image already."""
    if len(image.platforms) > 1:
        return (_archive_of(image.name) / "index.json").exists()
    question = {
        "docker": ("image", "inspect", "--format", "{{.Id}}"),
        "podman": ("image", "exists"),
        "buildah": ("inspect", "--type", "image", "--format", "{{.FromImageID}}"),
    }[builder.name]
    return _fails(builder.program, *question, image.name) is None


def build(builder: Builder, image: Wanted, emit: Emit, *, step: str) -> None:
    """Builds `image` under its name; each line that the builder says becomes the progress of `step`.

    Raises BuildFailed with the builder's last words, UsageError where it cannot build for the platforms that are asked for.
    """
    last: deque[str] = deque(maxlen=_LAST_WORDS)
    command = [builder.program, *_arguments(builder, image)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=_environment(builder),
    )
    with lines_of(process, process.stdout) as lines:
        for line in lines:
            if words := line.strip():
                last.append(words)
                emit(Step(step, "progress", detail=f"{image.title}: {words[:200]}"))
    if process.returncode != 0:
        raise BuildFailed(
            f"the image of {image.title} could not be built with {builder.title}",
            detail="\n".join(last),
            fix=f"see {Path(image.build.context) / image.build.dockerfile}, mend it, and run the command again",
        )
    if len(image.platforms) > 1 and not builder.buildkit:
        _put_aside(builder, image)


def _put_aside(builder: Builder, image: Wanted) -> None:
    """Out of the builder's store, where an index of several platforms makes `podman images` of Podman 4 fail."""
    archive = _archive_of(image.name)
    part = archive.with_name(f"{archive.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    _give_out(builder, ["manifest", "push", "--all", "--quiet", image.name, f"oci:{part}:{image.name}"], image)
    _fails(builder.program, "manifest", "rm", image.name)
    if lacking := sorted(set(image.platforms) - _platforms(part)):
        raise BuildFailed(
            f"{builder.title} left out {', '.join(lacking)} of the image of {image.title}",
            fix=f"use another builder ({VARIABLE}), or a newer {builder.title}",
        )
    part.rename(archive)


def _platforms(layout: Path) -> set[str]:
    """What an OCI layout of one index holds, as the index tells: "linux/arm64", "linux/arm/v7"."""
    top = json.loads((layout / "index.json").read_text())["manifests"][0]
    index = json.loads((layout / "blobs" / top["digest"].replace(":", "/")).read_text())
    found = (entry.get("platform", {}) for entry in index.get("manifests", ()))
    words = [[one[key] for key in ("os", "architecture", "variant") if one.get(key)] for one in found]
    return {"/".join(each[:count]) for each in words for count in (2, 3)}


def _environment(builder: Builder) -> dict[str, str] | None:
    # Without buildx, the classic builder that the engine has: said so, or the client refuses where BuildKit is its default.
    return os.environ | {"DOCKER_BUILDKIT": "0"} if builder.name == "docker" and not builder.buildkit else None


def _arguments(builder: Builder, image: Wanted) -> list[str]:
    build, context = image.build, Path(image.build.context)
    words = ["buildx", "build", "--progress=plain"] if builder.buildkit else ["build"]
    words += ["--file", str(context / build.dockerfile)]
    words += ["--target", build.target] if build.target else []
    for name, value in sorted(build.args.items()):
        words += ["--build-arg", f"{name}={value}"]
    words += _secrets(builder, image)
    if builder.name != "docker" and (context / IGNORE_FILE).is_file():
        words += ["--ignorefile", str(context / IGNORE_FILE)]  # theirs would prefer a .containerignore
    return [*words, *_naming(builder, image), str(context)]


def _secrets(builder: Builder, image: Wanted) -> Iterator[str]:
    """Names of variables and files; values are the builder's to read. Raises UsageError where one is not there."""
    for name, secret in sorted(image.build.secrets.items()):
        if builder.name == "docker" and not builder.buildkit:
            raise UsageError(
                "Docker here has no BuildKit, which build secrets need",
                detail=f"wanted by {image.title}: {name}",
                fix=f"install Docker's buildx plugin, or use Podman or Buildah ({VARIABLE}=podman)",
            )
        if secret.env is not None and secret.env not in os.environ:
            raise UsageError(f"the build secret {name} of {image.title} is not set", fix=f"export {secret.env}")
        if secret.file is not None and not Path(secret.file).is_file():
            raise UsageError(f"the build secret {name} of {image.title} is not there", fix=f"put it into {secret.file}")
        source = f"type=env,env={secret.env}" if secret.env is not None else f"type=file,src={secret.file}"
        if builder.name != "docker":
            source = source.replace(",env=", ",src=")  # Buildah's word for both
        yield f"--secret=id={name},{source}"


def _naming(builder: Builder, image: Wanted) -> Sequence[str]:
    """The image's name, and what it is built for."""
    single = len(image.platforms) == 1
    if builder.name == "docker" and not builder.buildkit:
        if image.platforms != (host_platform(),):
            raise UsageError(
                f"Docker here builds for {host_platform()} only, not for {', '.join(image.platforms)}",
                detail=f"wanted by {image.title}",
                fix=f"install Docker's buildx plugin, or use Podman or Buildah ({VARIABLE}=podman)",
            )
        return ("--tag", image.name)
    if builder.buildkit and not single:
        folder = _archive_of(image.name)
        return (
            "--platform",
            ",".join(image.platforms),
            "--tag",
            image.name,
            f"--output=type=oci,tar=false,dest={folder}",
        )
    platforms = ("--platform", ",".join(image.platforms))
    if single:
        # An image for this machine's platform may well come from a base that names none.
        return (*(() if image.platforms == (host_platform(),) else platforms), "--tag", image.name)
    _fails(builder.program, "manifest", "rm", image.name)  # what an interrupted build left would be added to
    # Podman 4 takes one platform's cached layers for another's; without them (Buildah's default) each is built for itself.
    return (*platforms, "--layers=false", "--manifest", image.name)


def _archive_of(name: str) -> Path:
    """Where an image of several platforms is kept, as an OCI layout: not every builder's store can hold one."""
    from portable.tools import cache

    folder = cache.root() / "images" / name.replace("/", "_").replace(":", "_")
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def saved(builder: Builder, image: Wanted) -> Iterator[Path]:
    """The image as an archive, for the time of the block: a file as `docker save` writes it, or a folder that is an OCI layout.

    Raises ToolError with the builder's words.
    """
    if len(image.platforms) > 1:
        archive = _archive_of(image.name)
        yield archive
        shutil.rmtree(archive)  # delivered: it is looked for where it was brought to
        return
    with tempfile.TemporaryDirectory(prefix="portable-image-") as folder:
        target = Path(folder) / ("image.tar" if builder.name == "docker" else "image")
        words = {
            "docker": ["save", "--output", str(target), image.name],
            "podman": ["save", "--quiet", "--format", "oci-dir", "--output", str(target), image.name],
            "buildah": ["push", "--quiet", image.name, f"oci:{target}:{image.name}"],
        }[builder.name]
        _give_out(builder, words, image)
        yield target


def _give_out(builder: Builder, words: Sequence[str], image: Wanted) -> None:
    done = subprocess.run([builder.program, *words], capture_output=True, text=True, check=False, errors="replace")
    if done.returncode != 0:
        raise ToolError(
            f"{builder.title} cannot give out the image {image.name}",
            detail=done.stderr.strip()[-2000:],
            fix="see whether the disk is full, then run the command again",
        )
