"""The movers' own program has tests of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from portable.tools import go_build
from portable_kind import mover_image

pytestmark = pytest.mark.unit


@pytest.mark.skipif(shutil.which("go") is None, reason="the Go toolchain is not installed")
@pytest.mark.skipif(not go_build.folder(mover_image.PROGRAM).exists(), reason="the mover was never built here")
def test_the_movers_own_tests() -> None:
    """Run only where its dependencies are compiled already."""
    done = subprocess.run(
        ["go", "test", "-trimpath", "-vet=off", "."],
        cwd=Path(str(mover_image.PROGRAM.module)),
        env=go_build.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
