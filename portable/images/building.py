"""An image built, looked for, and given out as an archive, whichever builder is here."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portable.errors import PortableError, ToolError
from portable.events import Emit, Step
from portable.images import stores
from portable.images.builders import VARIABLE, Builder
from portable.images.command_lines import command_line, environment
from portable.images.wanted import Wanted
from portable.tools.running import lines_of

_LAST_WORDS = 25
# What buildx says where the engine's own builder is asked for an index: https://docs.docker.com/build/builders/drivers/
_NOT_BY_THIS_DRIVER = "not supported for the docker driver"


class BuildFailed(PortableError):
    """An image cannot be built; `detail` is the builder's own words."""


def has(builder: Builder, image: Wanted) -> bool:
    """Whether the image was built here already, and is kept."""
    if store := _store(builder, image):
        return stores.find(image.name, (store,)) is not None
    return (_layout_of(image.name) / "index.json").exists()


def build(builder: Builder, image: Wanted, emit: Emit, *, step: str) -> None:
    """Builds `image` under its name; each line that the builder says becomes the progress of `step`.

    Raises BuildFailed with the builder's last words, UsageError where it cannot build what is asked for.
    """
    layout = _layout_of(image.name)
    part = layout.with_name(f"{layout.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    kept = _store(builder, image)
    listing = builder.store if kept is None and not builder.buildkit else None
    if listing:
        _forget_list(listing, image)  # what an interrupted build left would be added to
    _run(builder, image, part, emit, step)
    if kept:
        return
    if listing:
        words = ["manifest", "push", "--all", "--quiet", image.name, f"oci:{part}:{image.name}"]
        stores.give_out(listing, words, image.name)
        _forget_list(listing, image)
    _check_platforms(builder, image, part)
    part.rename(layout)


def _store(builder: Builder, image: Wanted) -> stores.Store | None:
    """Whose store keeps the image. None where it is put aside: not every store can hold one of several platforms."""
    return builder.store if len(image.platforms) == 1 else None


def _run(builder: Builder, image: Wanted, part: Path, emit: Emit, step: str) -> None:
    last: deque[str] = deque(maxlen=_LAST_WORDS)
    process = subprocess.Popen(
        command_line(builder, image, part),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environment(builder),
    )
    with lines_of(process, process.stdout) as lines:
        for line in lines:
            if words := line.strip():
                last.append(words)
                emit(Step(step, "progress", detail=f"{image.title}: {words[:200]}"))
    if process.returncode != 0:
        detail = "\n".join(last)
        mend = f"see {Path(image.build.context) / image.build.dockerfile}, mend it, and run the command again"
        if _NOT_BY_THIS_DRIVER in detail:
            mend = (
                f"`docker buildx create --use` makes a builder that can; or use Podman or Buildah ({VARIABLE}=podman)"
            )
        raise BuildFailed(
            f"the image of {image.title} could not be built with {builder.title}", detail=detail, fix=mend
        )


def _forget_list(store: stores.Store, image: Wanted) -> None:
    """Out of the store, where an index of several platforms makes `podman images` of Podman 4 fail."""
    subprocess.run([store, "manifest", "rm", image.name], capture_output=True, check=False)


def _check_platforms(builder: Builder, image: Wanted, layout: Path) -> None:
    if len(image.platforms) > 1 and (lacking := sorted(set(image.platforms) - _platforms(layout))):
        raise BuildFailed(
            f"{builder.title} left out {', '.join(lacking)} of the image of {image.title}",
            fix=f"use another builder ({VARIABLE}), or a newer {builder.title}",
        )


def _platforms(layout: Path) -> set[str]:
    """What an OCI layout of one index holds, as the index tells: "linux/arm64", "linux/arm/v7"."""
    top = json.loads((layout / "index.json").read_text())["manifests"][0]
    index = json.loads((layout / "blobs" / top["digest"].replace(":", "/")).read_text())
    found = (entry.get("platform", {}) for entry in index.get("manifests", ()))
    words = [[one[key] for key in ("os", "architecture", "variant") if one.get(key)] for one in found]
    return {"/".join(each[:count]) for each in words for count in (2, 3)}


def _layout_of(name: str) -> Path:
    """Where what no store keeps is put aside, as an OCI layout."""
    from portable.tools import cache

    folder = cache.root() / "images" / name.replace("/", "_").replace(":", "_")
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def saved(builder: Builder, image: Wanted) -> Iterator[Path]:
    """The image, which was built, as an archive, for the time of the block; as `stores.saved`."""
    store = _store(builder, image)
    if store is None:
        layout = _layout_of(image.name)
        yield layout
        shutil.rmtree(layout)  # delivered: it is looked for where it was brought to
        return
    stored = stores.find(image.name, (store,))
    if stored is None:
        raise ToolError(f"{builder.title} no longer has the image {image.name}", fix="run the command again")
    with stores.saved(stored) as archive:
        yield archive
