"""`portable` as a user runs it, with a third party's plugin: a process on a real API server that has no nodes."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.control_plane import ControlPlane

PORTABLE = Path(sys.executable).with_name("portable")


@dataclass(frozen=True)
class Run:
    command: tuple[str, ...]
    code: int
    out: str
    err: str

    def json(self) -> Any:
        """The document, or of an operation the last line."""
        return json.loads(self.out if self.out.startswith("{\n") else self.out.splitlines()[-1])

    def __str__(self) -> str:
        return f"$ portable {' '.join(self.command)}\n[exit {self.code}]\n{self.out}\n{self.err}"


@dataclass(frozen=True)
class Portable:
    folder: Path
    env: Mapping[str, str] = field(repr=False)

    def __call__(self, *arguments: str, code: int = 0, stdin: str | None = None) -> Run:
        done = subprocess.run(
            [PORTABLE, *arguments],
            env=dict(self.env),
            cwd=self.folder,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        run = Run(arguments, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in run.out + run.err, run
        assert run.code == code, str(run)
        return run

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """As a running process, for tests that interrupt it."""
        return subprocess.Popen(
            [PORTABLE, *arguments], env=dict(self.env), cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip


def environment(folder: Path, site: Path, cloud: Path) -> dict[str, str]:
    env = os.environ | {
        "PORTABLE_STATE": str(folder / "state"),
        "KUBECONFIG": str(folder / "kubeconfig"),
        "PYTHONPATH": str(site),
        "ACME_CLOUD": str(cloud),
        "NO_COLOR": "1",
        "PATH": f"{PORTABLE.parent}{os.pathsep}{os.environ['PATH']}",
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


def describe_api(cloud: Path, plane: ControlPlane) -> None:
    """Acme's clusters have this API server from now on."""
    user = yaml.safe_load(plane.kubeconfig)["users"][0]["user"]
    ca = base64.b64encode((plane.folder / "server.crt").read_bytes()).decode()
    (cloud / "api.json").write_text(json.dumps({"server": plane.server, "ca": ca, "token": user["token"]}))
