"""The Docker engine that kind runs on: found where there is one, else (root on Debian) installed and started by us.

An engine that we start is ours alone to stop: its process id, log and configuration lie in `docker/` in the cache folder.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from portable.errors import ToolError
from portable.events import Emit, Step
from portable.tools import cache

STEP = "docker"
PACKAGES = ("docker.io", "iptables")
CAP_SYS_RESOURCE = 24
START_SECONDS = 60.0
STOP_SECONDS = 60.0
APT_SECONDS = 120


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answers. `cgroup` is "1" or "2"; `ours` is true for one that `start` started."""

    client: Path
    version: str
    cgroup: str
    memory_bytes: int
    data_root: Path
    ours: bool


def find() -> Engine | None:
    """The engine that the `docker` client reaches (DOCKER_HOST and contexts count); None where none answers."""
    client = shutil.which("docker")
    if client is None:
        return None
    asked = _docker_info(client)
    # The client exits 0 with "ServerErrors" where the engine cannot be reached.
    if asked is None or not asked.get("ServerVersion"):
        return None
    return Engine(
        client=Path(client),
        version=asked["ServerVersion"],
        cgroup=str(asked.get("CgroupVersion") or "1"),
        memory_bytes=int(asked.get("MemTotal") or 0),
        data_root=Path(asked.get("DockerRootDir") or "/var/lib/docker"),
        ours=_our_pid() is not None,
    )


def why_not() -> str:
    """In plain words why `find` returned None."""
    client = shutil.which("docker")
    if client is None:
        return "no `docker` command is installed"
    socket = Path("/var/run/docker.sock")
    if socket.exists() and not os.access(socket, os.R_OK | os.W_OK):
        return f"you may not use the Docker socket {socket} (you are not in the group `docker`)"
    return "no Docker engine answers (it is not running, or DOCKER_HOST names the wrong place)"


def start(emit: Emit) -> Engine:
    """Installs Docker's packages if they are missing, starts `dockerd` detached, and waits until it answers.

    Raises ToolError where that cannot be done: not root, no apt, or the engine ends while starting.
    """
    found = find()
    if found is not None:
        return found
    if os.geteuid() != 0:
        raise ToolError(
            "no usable Docker engine", detail=why_not(), fix="install and start Docker, or run this command as root"
        )
    with cache.lock(STEP, emit):
        found = find()
        if found is not None:
            return found
        began = time.monotonic()
        emit(Step(STEP, "started", title="Starting a Docker engine", usual=10))
        _install_packages(emit)
        engine = find()  # where systemd runs, installing Docker's packages has started it
        if engine is None:
            _launch()
            engine = _wait_until_it_answers()
        emit(Step(STEP, "done", detail=f"Docker {engine.version}", seconds=time.monotonic() - began))
        return engine


def stop() -> bool:
    """Ends the engine that `start` started, with its containers. False where none of ours is running."""
    pid = _our_pid()
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _our_pid() is not None:
        if time.monotonic() > deadline:
            raise ToolError(f"the Docker engine (process {pid}) does not end", fix=f"see {_folder() / 'dockerd.log'}")
        time.sleep(0.2)
    return True


def _docker_info(client: str) -> dict[str, str] | None:
    try:
        done = subprocess.run(
            [client, "info", "--format", "{{json .}}"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    try:
        return json.loads(done.stdout)
    except ValueError:
        return None


def _folder() -> Path:
    folder = cache.root() / "docker"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _our_pid() -> int | None:
    """The process id of the engine that we started, if it still lives (a recycled id is recognised by its command)."""
    try:
        pid = int((_folder() / "dockerd.pid").read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return None
    alive = state != "Z" and str(_folder() / "daemon.json").encode() in command
    return pid if alive else None


def _install_packages(emit: Emit) -> None:
    if shutil.which("dockerd") and shutil.which("iptables") and shutil.which("docker"):
        return
    install_debian_packages(PACKAGES, STEP, emit)
    if shutil.which("docker") is None:  # since Debian 13 the client is a package of its own
        install_debian_packages(("docker-cli",), STEP, emit)


def install_debian_packages(packages: tuple[str, ...], step: str, emit: Emit) -> None:
    """Installs Debian packages with apt-get. Raises ToolError without apt or root, or with apt's last words."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise ToolError(
            "cannot install " + ", ".join(packages),
            detail="that needs root and apt-get",
            fix="install them yourself, then run the command again",
        )
    emit(Step(step, "progress", detail="installing Debian packages: " + " ".join(packages)))
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # A machine that has just come up may be installing updates by itself.
    waiting = f"--option=DPkg::Lock::Timeout={APT_SECONDS}"
    install = ["apt-get", "install", waiting, "--yes", "--no-install-recommends", *packages]
    with only_apt(emit):
        # It fails when any one source is unreachable; the install is what counts.
        subprocess.run(["apt-get", "update"], capture_output=True, env=environment, check=False)
        done = subprocess.run(install, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise ToolError(
            "apt-get could not install " + ", ".join(packages),
            detail=done.stderr.strip()[-2000:],
            fix="mend apt's sources, then run the command again",
        )


def only_apt(emit: Emit) -> AbstractContextManager[None]:
    """Held while apt-get is run: of two at once the second fails, and `doctor --fix` and tests run in several processes."""
    return cache.lock("apt-get", emit)


def _launch() -> None:
    folder = _folder()
    config = folder / "daemon.json"
    config.write_text(json.dumps(_configuration(folder), indent=1))
    dockerd = shutil.which("dockerd", path="/usr/bin:/usr/sbin:" + os.environ.get("PATH", ""))
    if dockerd is None:
        raise ToolError("`dockerd` is not installed", fix="apt-get install " + " ".join(PACKAGES))
    with (folder / "dockerd.log").open("ab") as log:
        process = subprocess.Popen(
            [dockerd, "--config-file", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    (folder / "dockerd.pid").write_text(str(process.pid))


def _configuration(folder: Path) -> dict[str, object]:
    # A pid file of dockerd's own outlives kill -9 and would then block the next start: ours is checked by command.
    configuration: dict[str, object] = {
        "hosts": ["unix:///var/run/docker.sock"],
        "data-root": "/var/lib/docker",
        "pidfile": str(folder / "dockerd.own.pid"),
        "log-level": "warn",
    }
    if not _has_capability(CAP_SYS_RESOURCE):
        wrapper = _runtime_wrapper(folder)
        configuration["runtimes"] = {"runc-without-sys-resource": {"path": str(wrapper)}}
        configuration["default-runtime"] = "runc-without-sys-resource"
    return configuration


def _has_capability(number: int) -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return True


def _runtime_wrapper(folder: Path) -> Path:
    wrapper = folder / "runc-without-sys-resource"
    source = files("portable_kind").joinpath("node", "runc_without_sys_resource.py").read_text()
    wrapper.write_text(f"#!{sys.executable} -IS\n{source}")
    wrapper.chmod(0o755)
    return wrapper


def _wait_until_it_answers() -> Engine:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        engine = find()
        if engine is not None:
            return engine
        if _our_pid() is None:
            break
        time.sleep(0.2)
    log = _folder() / "dockerd.log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
    raise ToolError("the Docker engine did not start", detail=tail, fix=f"the whole log is in {log}")
