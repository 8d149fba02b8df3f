"""Programs of Debian packages that only tests need: installed where they are missing, once, by whichever test is first."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

from filelock import FileLock

from portable.events import nowhere
from portable_kind import docker_engine


def need(program: str, package: str = "") -> str:
    """The path of `program`, of Debian's `package` (its own name where none is given). Raises ToolError without apt or root."""
    with FileLock(Path(tempfile.gettempdir()) / "portable-test-packages.lock"):
        if _find(program) is None:
            with patch.dict(os.environ, {"RUNLEVEL": "1"}):  # not as a service: tests start their own
                docker_engine.install_debian_packages((package or program,), "packages", nowhere)
    found = _find(program)
    assert found is not None, f"{package or program} has no {program}"
    return found


def _find(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin")
