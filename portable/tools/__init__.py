"""External tools: found where they are, and obtained (by `portable doctor --fix` and nothing else) where they are not.

find(tool)          PATH, if its version fits; then the tool cache
obtain(tool, emit)  the official release, checked against its published sums; else a build from pinned Go modules
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

from portable.errors import ToolError
from portable.events import Emit, Step
from portable.tools import cache, download, go_build
from portable.tools.tool import Download, GoBuild, Tool, host

__all__ = ["Download", "GoBuild", "Tool", "find", "obtain", "require", "version_of"]


def find(tool: Tool) -> Path | None:
    """The tool's path: on PATH if its version fits, else from the tool cache; None where there is neither."""
    on_path = shutil.which(tool.name)
    if on_path is not None and _fits(tool, version_of(tool, Path(on_path))):
        return Path(on_path)
    cached = _cached(tool)
    return cached if cached.exists() else None


def require(tool: Tool) -> Path:
    """As `find`, but raises ToolError, with what to do, where there is none."""
    found = find(tool)
    if found is None:
        raise ToolError(
            f"{tool.name} {tool.version} is not here",
            detail=f"{tool.purpose}; looked on PATH and in {_cached(tool).parent}",
            fix="run `portable doctor --fix`",
        )
    return found


def obtain(tool: Tool, emit: Emit) -> Path:
    """The tool's path, after getting it if need be.

    Raises ToolError where it can be neither downloaded nor built, and where a download does not match its published sum.
    """
    found = find(tool)
    if found is not None:
        return found
    with cache.lock(tool.name, emit):
        target = _cached(tool)
        if target.exists():
            return target
        began = time.monotonic()
        emit(Step(tool.name, "started", title=f"Getting {tool.name} {tool.version}"))
        with cache.filling(target.parent) as folder:
            refusal = _try_download(tool, folder, emit)
            if refusal is not None:
                _build(tool, folder, refusal, emit)
        emit(Step(tool.name, "done", detail=str(target), seconds=time.monotonic() - began))
        return target


def version_of(tool: Tool, path: Path) -> str | None:
    """The version that the program at `path` reports; None where it does not run or says nothing that is a version."""
    try:
        done = subprocess.run(
            [path, *tool.version_arguments], capture_output=True, text=True, timeout=30, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(tool.version_pattern, done.stdout)
    return match.group(1) if done.returncode == 0 and match else None


def _fits(tool: Tool, version: str | None) -> bool:
    if version is None:
        return False
    has, oldest = _parts(version), _parts(tool.oldest or tool.version)
    return has[0] == oldest[0] and has >= oldest


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _cached(tool: Tool) -> Path:
    return cache.root() / "tools" / f"{tool.name}-{tool.version}-{'-'.join(host())}" / tool.name


def _try_download(tool: Tool, folder: Path, emit: Emit) -> str | None:
    """None after a download that succeeded; else why there is none."""
    release = tool.download(*host())
    if release is None:
        return "there is no official release for " + "/".join(host())
    emit(Step(tool.name, "progress", detail=f"downloading {release.url}"))
    try:
        download.fetch(release, folder, tool.name)
    except download.Unreachable as unreachable:
        return str(unreachable)
    return None


def _build(tool: Tool, folder: Path, refusal: str, emit: Emit) -> None:
    if tool.build is None:
        raise ToolError(f"{tool.name} cannot be downloaded", detail=refusal, fix=f"install {tool.name} {tool.version}")
    emit(Step(tool.name, "progress", detail=f"no download ({refusal}): building from source"))
    built = go_build.build(tool.build, emit)
    shutil.copy2(built / tool.name, folder / tool.name)
