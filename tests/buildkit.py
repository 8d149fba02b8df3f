"""BuildKit itself for tests: a daemon of one's own, the client that needs nothing else, and Docker's buildx plugin.

Debian 12 has none of the three. They are built from Go's packages, which takes minutes the first time, so only whole runs ask for them.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from portable.events import nowhere
from portable.tools import GoBuild, go_build
from tests.packages import need

BUILDKIT = GoBuild(
    name="buildkit",
    module=Path(__file__).parent / "buildkit_module",
    packages={
        "buildctl": "github.com/moby/buildkit/cmd/buildctl",
        "buildkitd": "github.com/moby/buildkit/cmd/buildkitd",
        "docker-buildx": "github.com/docker/buildx/cmd/buildx",
    },
    usual=600,
)
# With this besides, buildx builds with the tests' own daemon in place of Docker's engine.
REMOTE: Mapping[str, str] = {"BUILDX_BUILDER": "portable-tests"}
_START_SECONDS = 60.0


@contextmanager
def buildkit() -> Iterator[dict[str, str]]:
    """The environment in which `buildctl` finds its daemon, and Docker its buildx plugin."""
    programs = go_build.build(BUILDKIT, nowhere)
    need("runc")
    with tempfile.TemporaryDirectory(prefix="buildkit-") as name:  # a short name: it holds a socket
        folder = Path(name)
        plugins = folder / "docker" / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-buildx").symlink_to(programs / "docker-buildx")
        address = f"unix://{folder / 'socket'}"
        environment = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "BUILDKIT_HOST": address,
            "DOCKER_CONFIG": str(folder / "docker"),
        }
        with _daemon(programs / "buildkitd", folder, address, environment):
            create = ["docker", "buildx", "create", "--name", REMOTE["BUILDX_BUILDER"], "--driver", "remote", address]
            subprocess.run(create, env=os.environ | environment, check=True, capture_output=True)
            yield environment


@contextmanager
def _daemon(program: Path, folder: Path, address: str, environment: dict[str, str]) -> Iterator[None]:
    command = [program, "--addr", address, "--root", folder / "root", "--containerd-worker=false"]
    log = folder / "log"
    with log.open("w") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + _START_SECONDS
        ask = ["buildctl", "debug", "workers"]
        while subprocess.run(ask, env=os.environ | environment, capture_output=True, check=False).returncode != 0:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)
