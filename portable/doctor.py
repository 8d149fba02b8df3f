"""`doctor`: is everything there that `up` needs? The core's own checks, then the provider's."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from portable.errors import EngineError, ToolError
from portable.events import Emit
from portable.provider import Check, Registry, load_provider
from portable.spec.model import Cluster

if TYPE_CHECKING:
    from portable.tools.tool import Tool

_OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Examined:
    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        """Warnings do not stop anything."""
        return all(check.status != "missing" for check in self.checks)


def examine(cloud: str | None, *, fix: bool, emit: Emit, cluster: Cluster | None = None) -> Examined:
    """Looks, and with `fix` gets or builds what is missing; `cluster`: what would be made. Raises UsageError for an unknown cloud."""
    provider = load_provider(cloud) if cloud else None
    checks = [_python(), _pulumi(fix, emit), *_folders()]
    if isinstance(provider, Registry):
        checks.append(_crane(fix, emit))
    if provider is not None:
        checks += provider.doctor(cluster or Cluster(), fix=fix, emit=emit)
    return Examined(tuple(checks))


def spec_cluster(file: Path | None, environment: str | None) -> tuple[str | None, Cluster]:
    """(cloud, cluster) that the spec asks for; of a spec that is not here, (None, a default). Raises SpecError, UsageError."""
    from portable.spec import load_app
    from portable.target import DEFAULT_FILES

    path = file or next((Path(name) for name in DEFAULT_FILES if Path(name).exists()), None)
    if path is None:
        return None, Cluster()
    app = load_app(path, environment=environment).app
    return app.cloud if environment else None, app.cluster


def _python() -> Check:
    has = sys.version.split()[0]
    if sys.version_info[:2] >= _OLDEST_PYTHON:
        return Check("python", "ok", has)
    oldest = ".".join(map(str, _OLDEST_PYTHON))
    return Check("python", "missing", f"{has} is too old", fix=f"install Python {oldest} or newer")


def _pulumi(fix: bool, emit: Emit) -> Check:
    from portable.tools.pulumi import PULUMI

    return _tool(PULUMI, "missing", "the engine is neither on PATH nor in the tool cache", fix, emit)


def _crane(fix: bool, emit: Emit) -> Check:
    """Only who builds images for a cloud, or migrates between clouds, cannot do without it."""
    from portable.tools.crane import CRANE

    return _tool(CRANE, "warning", "not here: images cannot be pushed to the cloud's registry", fix, emit)


def _tool(tool: Tool, lacking: Literal["missing", "warning"], absent: str, fix: bool, emit: Emit) -> Check:
    from portable.tools import find, obtain

    try:
        path = obtain(tool, emit) if fix else find(tool)
    except ToolError as error:
        return Check(tool.name, lacking, f"{error.message}\n{error.detail}".strip(), error.fix)
    if path is None:
        return Check(tool.name, lacking, absent, "run `portable doctor --fix`", True)
    return Check(tool.name, "ok", str(path))


def _folders() -> Iterator[Check]:
    from portable.engine.workspace import open_workspace
    from portable.tools import cache

    try:
        yield _folder("state folder", open_workspace(None).root)
    except EngineError as error:
        yield Check("state folder", "missing", error.message, error.fix)
    try:
        yield _folder("tool cache", cache.root())
    except ToolError as error:
        yield Check("tool cache", "missing", error.message, error.fix)


def _folder(name: str, path: Path) -> Check:
    reason = _not_writable(path)
    if reason is None:
        return Check(name, "ok", str(path))
    return Check(name, "missing", f"{path}: {reason}", "make it writable for this user")


def _not_writable(path: Path) -> str | None:
    """Why nothing can be written there; tried for real, since permission bits alone do not tell (read-only mounts, quotas)."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path)
        os.close(handle)
        os.unlink(name)
    except OSError as error:
        return error.strerror or str(error)
    return None
