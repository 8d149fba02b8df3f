"""How each builder is told what to build: `docker build`, `docker buildx build`, `buildctl build`, `podman build`, `buildah build`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from portable.errors import UsageError
from portable.images.builders import VARIABLE, Builder
from portable.images.content import ignore_file
from portable.images.wanted import Wanted, host_platform
from portable.spec.model import BuildSecret


def command_line(builder: Builder, image: Wanted, layout: Path) -> list[str]:
    """The program and its arguments; it writes into the folder `layout` what it does not keep itself.

    Raises UsageError for a secret that is not there, and for what Docker without BuildKit cannot do.
    """
    _check(builder, image)
    words = _buildctl(image, layout) if builder.name == "buildkit" else _build(builder, image, layout)
    return [builder.program, *words]


def environment(builder: Builder) -> dict[str, str] | None:
    """None: this process' own."""
    if builder.name != "docker":
        return None
    if builder.buildkit:
        # Its provenance is made of times: the same build would get another digest each time.
        return os.environ | {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    # The classic builder that the engine has: said so, or the client refuses where BuildKit is its default.
    return os.environ | {"DOCKER_BUILDKIT": "0"}


def _buildctl(image: Wanted, layout: Path) -> list[str]:
    """https://github.com/moby/buildkit/blob/master/docs/reference/buildctl.md; it takes the Dockerfile by folder and name."""
    build, dockerfile = image.build, _dockerfile(image)
    options = {"filename": dockerfile.name, "platform": ",".join(image.platforms)}
    options |= {"target": build.target} if build.target else {}
    options |= {f"build-arg:{name}": value for name, value in sorted(build.args.items())}
    words = ["build", "--progress=plain", "--frontend=dockerfile.v0"]
    words += [f"--local=context={build.context}", f"--local=dockerfile={dockerfile.parent}"]
    words += [f"--opt={name}={value}" for name, value in options.items()]
    return [*words, *_secrets(image, "env"), f"--output=type=oci,tar=false,dest={layout}"]


def _build(builder: Builder, image: Wanted, layout: Path) -> list[str]:
    """What is alike in the command lines of Docker, Podman and Buildah."""
    build = image.build
    words = ["buildx", "build", "--progress=plain"] if builder.buildkit else ["build"]
    words += ["--file", str(_dockerfile(image))]
    words += ["--target", build.target] if build.target else []
    for name, value in sorted(build.args.items()):
        words += ["--build-arg", f"{name}={value}"]
    words += _secrets(image, "env" if builder.name == "docker" else "src")  # src: Buildah's word for both
    ignored = Path(build.context) / ignore_file(build)
    if builder.name != "docker" and ignored.is_file():
        words += ["--ignorefile", str(ignored)]  # theirs would prefer a .containerignore
    return [*words, *_naming(builder, image, layout), build.context]


def _naming(builder: Builder, image: Wanted, layout: Path) -> Sequence[str]:
    """What it is built for, and where it goes."""
    platforms = ("--platform", ",".join(image.platforms))
    if len(image.platforms) == 1:
        # An image for this machine's platform may well come from a base that names none.
        given = () if image.platforms == (host_platform(),) else platforms
        # Of buildx' builders only Docker's own puts what it builds among Docker's images unasked.
        return (*given, *(("--load",) if builder.buildkit else ()), "--tag", image.name)
    if builder.buildkit:
        return (*platforms, "--tag", image.name, f"--output=type=oci,tar=false,dest={layout}")
    # Podman 4 takes one platform's cached layers for another's; without them (Buildah's default) each is built for itself.
    return (*platforms, "--layers=false", "--manifest", image.name)


def _dockerfile(image: Wanted) -> Path:
    return Path(image.build.context) / image.build.dockerfile


def _secrets(image: Wanted, variable: str) -> Iterator[str]:
    """Names of variables and files; values are the builder's to read. `variable`: the builder's word for the name of one."""
    for name, secret in sorted(image.build.secrets.items()):
        source = f"type=file,src={secret.file}" if secret.env is None else f"type=env,{variable}={secret.env}"
        yield f"--secret=id={name},{source}"


def _check(builder: Builder, image: Wanted) -> None:
    for name, secret in sorted(image.build.secrets.items()):
        _check_secret(image, name, secret)
    if builder.name != "docker" or builder.buildkit:
        return
    lacking = {
        "build secrets": ", ".join(sorted(image.build.secrets)),
        f"images for more than {host_platform()}": ""
        if image.platforms == (host_platform(),)
        else ", ".join(image.platforms),
    }
    for what, asked in lacking.items():
        if asked:
            raise UsageError(
                f"Docker here has no BuildKit, which {what} need",
                detail=f"wanted by {image.title}: {asked}",
                fix=f"install Docker's buildx plugin, or use Podman or Buildah ({VARIABLE}=podman)",
            )


def _check_secret(image: Wanted, name: str, secret: BuildSecret) -> None:
    if secret.env is not None and secret.env not in os.environ:
        raise UsageError(f"the build secret {name} of {image.title} is not set", fix=f"export {secret.env}")
    if secret.file is not None and not Path(secret.file).is_file():
        raise UsageError(f"the build secret {name} of {image.title} is not there", fix=f"put it into {secret.file}")
