"""Builds from pinned Go modules: go.sum verifies what is fetched, -mod=readonly keeps the pins, no C compiler is needed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from importlib.resources import as_file
from pathlib import Path

from portable.errors import ToolError
from portable.events import Emit, Step
from portable.tools import cache
from portable.tools.running import lines_of
from portable.tools.tool import GoBuild, host

_REPORT_EVERY = 2.0


def folder(recipe: GoBuild) -> Path:
    """Where the programs of `recipe` are kept: named by the digest of everything that the build is made from."""
    return cache.root() / "builds" / f"{recipe.name}-{digest(recipe)[:12]}"


def digest(recipe: GoBuild) -> str:
    hashed = hashlib.sha256(repr((sorted(recipe.packages.items()), recipe.ldflags, recipe.tags, host())).encode())
    for file in sorted(recipe.module.iterdir(), key=lambda entry: entry.name):
        if file.name in ("go.mod", "go.sum") or (file.name.endswith(".go") and not file.name.endswith("_test.go")):
            hashed.update(f"\0{file.name}\0".encode() + file.read_bytes())
    return hashed.hexdigest()


def build(recipe: GoBuild, emit: Emit) -> Path:
    """The folder with the programs of `recipe`, built if it is not there yet. Raises ToolError with the compiler's words."""
    target = folder(recipe)
    if target.exists():
        return target
    with cache.lock(f"build-{recipe.name}", emit):
        if target.exists():
            return target
        began = time.monotonic()
        emit(Step(recipe.name, "started", title=f"Building {recipe.name} from source", usual=recipe.usual))
        with cache.filling(target) as output, as_file(recipe.module) as module:
            for program, package in recipe.packages.items():
                _compile(recipe, module, package, output / program, emit)
        emit(Step(recipe.name, "done", seconds=time.monotonic() - began))
    return target


def go_command() -> str:
    """The `go` command. Raises ToolError where there is none."""
    found = shutil.which("go")
    if found is None:
        raise ToolError(
            "`go` is not installed",
            detail="what cannot be downloaded is built from source, and that needs the Go toolchain",
            fix="install Go 1.26 or newer (your package manager has it, or https://go.dev/dl), or connect to the internet",
        )
    return found


def environment() -> dict[str, str]:
    return os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}


def module_folder(recipe: GoBuild, module: str) -> Path:
    """The source of `module`, one that `recipe` pins, in Go's module cache: fetched and verified if it is not there."""
    with as_file(recipe.module) as folder:
        for arguments in (["mod", "download", module], ["list", "-m", "-f", "{{.Dir}}", module]):
            done = subprocess.run(
                [go_command(), *arguments], cwd=folder, env=environment(), capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise ToolError(f"Go cannot fetch {module}", detail=done.stderr.strip()[-2000:], fix=_NETWORK_FIX)
    return Path(done.stdout.strip())


_NETWORK_FIX = "check the network and GOPROXY, then run the command again: what was fetched and compiled is kept"


def _compile(recipe: GoBuild, module: Path, package: str, output: Path, emit: Emit) -> None:
    command = [go_command(), "build", "-v", "-trimpath", "-ldflags", recipe.ldflags]
    command += ["-tags", recipe.tags] if recipe.tags else []
    command += ["-o", str(output), package]
    process = subprocess.Popen(
        command, cwd=module, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    tail: list[str] = []
    compiled, reported = 0, time.monotonic()
    with lines_of(process, process.stderr) as lines:
        for line in lines:
            tail = [*tail[-19:], line.rstrip()]
            compiled += not line.startswith("go: ")
            if time.monotonic() - reported > _REPORT_EVERY:
                reported = time.monotonic()
                emit(Step(recipe.name, "progress", detail=f"{compiled} packages compiled, now {line.strip()}"))
    if process.returncode != 0:
        raise ToolError(f"building {recipe.name} failed", detail="\n".join(tail), fix=_NETWORK_FIX)
