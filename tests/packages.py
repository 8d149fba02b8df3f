"""Programs of Debian packages that only tests need: installed where they are missing, once, by whichever test is first."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from filelock import FileLock

from portable.events import nowhere
from portable_kind import docker_engine


def need(program: str, package: str = "") -> str:
    """The path of `program`, of Debian's `package` (its own name where none is given). Raises ToolError without apt or root."""
    with FileLock(Path(tempfile.gettempdir()) / "portable-test-packages.lock"):
        if shutil.which(program) is None:
            docker_engine.install_debian_packages((package or program,), "packages", nowhere)
    found = shutil.which(program)
    assert found is not None, f"{package or program} has no {program}"
    return found
