"""Images that tests run, made by the Makefiles of their own folders."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock


def make_images(folder: Path, version: str = "1.0") -> None:
    """Quick where nothing has changed; processes that ask for the same take turns."""
    with FileLock(Path(tempfile.gettempdir()) / f"portable-images-{folder.name}.lock"):
        command = ["make", "-C", folder, "images", f"VERSION={version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
