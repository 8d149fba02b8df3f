"""What an image is built from, as one digest: the same digest means that nothing has to be built."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from portable.errors import UsageError
from portable.spec.model import Build

# Part of every digest: a change of what is digested, or how, makes all of them new.
_FORMAT = "1"


def content_digest(build: Build, platforms: Sequence[str]) -> str:
    """SHA-256 over the Dockerfile, target, arguments, platforms, and name, kind, executability and content of each file of
    the context that its ignore file lets through. Times and owners do not count, nor does what the Dockerfile fetches.

    Raises UsageError for a file that cannot be read.
    """
    context = Path(build.context)
    hashed = hashlib.sha256()
    asked = {
        "target": build.target,
        "args": dict(build.args),
        "secrets": sorted(build.secrets),
        "platforms": list(platforms),
        "file": build.dockerfile,
    }
    hashed.update(json.dumps([_FORMAT, asked], sort_keys=True).encode())
    try:
        hashed.update((context / build.dockerfile).read_bytes())
        for name in sorted(files(build)):
            hashed.update(f"\0{name}\0{_kind(context / name)}\0".encode(errors="surrogateescape"))
            hashed.update(_content(context / name))
    except OSError as error:
        raise UsageError(
            f"the build context {context} cannot be read: {error}",
            fix=f"make the file readable, or name it in {context / ignore_file(build)}",
        ) from error
    return hashed.hexdigest()


def ignore_file(build: Build) -> str:
    """Relative to the context: the Dockerfile's own where there is one, as BuildKit has it, else the context's. It may not be there.

    https://docs.docker.com/build/concepts/context/#filename-and-location
    """
    own = f"{build.dockerfile}.dockerignore"
    return own if (Path(build.context) / own).is_file() else ".dockerignore"


def files(build: Build) -> Iterable[str]:
    """The paths that a builder sees, relative to the context, folders included."""
    # Docker's own SDK: the rules for `!`, `**` and folders are Docker's, not git's.
    from docker.utils.build import exclude_paths

    context = Path(build.context)
    ignore = context / ignore_file(build)
    patterns = _patterns(ignore.read_text(encoding="utf-8-sig")) if ignore.is_file() else []
    return exclude_paths(str(context), patterns, dockerfile=build.dockerfile)


def _patterns(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _kind(path: Path) -> str:
    mode = path.lstat().st_mode
    return f"{stat.S_IFMT(mode):o} {bool(mode & stat.S_IXUSR)}"


def _content(path: Path) -> bytes:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return os.readlink(path).encode(errors="surrogateescape")
    if not stat.S_ISREG(mode):
        return b""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
