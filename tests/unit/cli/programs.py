"""Runs `portable` as a user does: the installed program, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PORTABLE = Path(sys.executable).with_name("portable")

HELLO = """\
apiVersion: portable/v1
kind: App
metadata: {name: hello}
workloads:
  web:
    containers:
      web: {image: "example.com/web:1"}
    service:
      ports:
        http: {port: 80, targetPort: 8080}
    routes:
      main: {host: hello.localhost, port: http}
resources:
  api-token: {type: secret}
  pair: {type: secret, keys: [user, password]}
  images: {type: registry, server: registry.example.com}
environments:
  dev: {cloud: kind}
"""


def portable(
    folder: Path, *arguments: str, stdin: bytes | None = b"", environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the program in `folder`, whose state and log folders it also gets."""
    return subprocess.run(
        [PORTABLE, *arguments],
        cwd=folder,
        env=clean_environment(folder) | dict(environment or {}),
        input=stdin.decode() if stdin is not None else None,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run_python(folder: Path, program: str, arguments: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=clean_environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def clean_environment(folder: Path) -> dict[str, str]:
    """This process's environment without what changes how output looks."""
    dropped = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "CI", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    kept = {key: value for key, value in os.environ.items() if key not in dropped}
    return kept | {"XDG_STATE_HOME": str(folder / "state"), "HOME": str(folder), "LC_ALL": "C.UTF-8"}
