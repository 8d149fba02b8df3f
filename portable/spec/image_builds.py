"""A container's `build`: the folder and the Dockerfile that its image is made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from portable.errors import Problem
from portable.spec.document import Document, Path, shown
from portable.spec.model import Build, BuildSecret

LOCAL = "portable.local"  # stands for a registry in the names of images that are given none
DOCKERFILES = ("Dockerfile", "Containerfile")


def image_name(app: str, container: Path, image: str, build: Build | None) -> str:
    """What is built gets a name of its own unless `image` is one. "." is Score's word for "what is built here".

    `container` is the container's place in the spec: ("workloads", WORKLOAD, "containers", NAME).
    """
    if build is None or image not in ("", "."):
        return image
    return f"{LOCAL}/{app}/{container[1]}-{container[3]}"


def read_build(
    document: Document, path: Path, body: str | Mapping[str, Any] | None, problems: list[Problem]
) -> Build | None:
    """The build at `path`, its context relative to the file that names it. What is not there is added to `problems`."""
    if body is None:
        return None
    given: Mapping[str, Any] = {"context": body} if isinstance(body, str) else body
    where = path if isinstance(body, str) else (*path, "context")
    naming = FilePath(document.find(path)[0].mark.file).parent
    context = (naming / given["context"]).resolve()
    dockerfile = given.get("dockerfile") or _dockerfile(context)
    if not context.is_dir():
        expected = f"a folder in {naming}"
        problems.append(document.problem(where, f"there is no folder {shown(given['context'])}", expected=expected))
    elif not (context / dockerfile).is_file():
        at = (*path, "dockerfile") if "dockerfile" in given else where
        problems.append(document.problem(at, f"there is no {dockerfile} in {shown(given['context'])}"))
    return Build(
        str(context),
        dockerfile,
        given.get("target"),
        dict(given.get("args", {})),
        {
            name: BuildSecret(source.get("env"), str((naming / source["file"]).resolve()) if "file" in source else None)
            for name, source in given.get("secrets", {}).items()
        },
        tuple(given.get("platforms", ())),
        dict(given.get("sync", {})),
    )


def _dockerfile(context: FilePath) -> str:
    return next((name for name in DOCKERFILES if (context / name).is_file()), DOCKERFILES[0])
