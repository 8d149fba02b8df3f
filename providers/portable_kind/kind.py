"""The `kind` command line: create, delete, kubeconfig. https://kind.sigs.k8s.io"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portable.errors import PortableError, ProviderError
from portable.events import Emit, Step
from portable_kind import docker, folders
from portable_kind.configuration import Configuration

STEP = "cluster"
CREATE_SECONDS = 900.0
LOCK_SECONDS = 1200.0


def binary() -> Path:
    """The kind binary. Raises ToolError where there is none."""
    from portable.tools import require
    from portable_kind.kind_tool import KIND

    return require(KIND)


@contextmanager
def lock(cluster_name: str, emit: Emit) -> Iterator[int]:
    """Holds the cluster's lock; yields its file descriptor.

    `create` hands it down to kind: when portable is killed, kind goes on and still holds it, so that the next run waits
    for kind to end and finds a whole cluster or a failed one, never one that is in the making.
    """
    folder = folders.cluster(cluster_name)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _acquire(handle, cluster_name, emit)
        yield handle
    finally:
        os.close(handle)


def _acquire(handle: int, cluster_name: str, emit: Emit) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    said = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise ProviderError(
                    f"another process has been working on the cluster {cluster_name} for {LOCK_SECONDS / 60:.0f} minutes",
                    fix="end the other `portable` or `kind` process, then run the command again",
                ) from None
            if not said:
                said = True
                emit(Step(STEP, "progress", detail="waiting for another process that works on this cluster"))
            time.sleep(0.3)


def create(configuration: Configuration, kubeconfig: Path, lock_handle: int, emit: Emit) -> None:
    """Runs `kind create cluster` and reports its phases. The kubeconfig goes to our own file only.

    Raises ProviderError with kind's last lines and, where the node's kubelet failed, its log. Leaves nothing behind then.
    """
    log = kubeconfig.with_name("kind.log")
    kubeconfig.unlink(missing_ok=True)
    # --retain: with the node gone there would be no log to read; a failure below deletes it.
    command = [str(binary()), "create", "cluster", "--config", "-", "--kubeconfig", str(kubeconfig), "--retain"]
    # A file, not a pipe: kind would die of a broken pipe where it can finish without us.
    with log.open("wb") as words:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=words, stderr=words, pass_fds=(lock_handle,))
    assert process.stdin is not None
    with process.stdin as configured:
        configured.write(json.dumps(configuration.document()).encode())
    tail = _follow(process, log, emit)
    if process.returncode != 0:
        detail = "\n".join([*tail, *_kubelet_log(configuration.name)])
        delete(configuration.name, kubeconfig)
        raise ProviderError("`kind create cluster` failed", detail=detail, fix=_advice(detail))


def _follow(process: subprocess.Popen[bytes], log: Path, emit: Emit) -> deque[str]:
    """Reports kind's phases until it ends, which it must within CREATE_SECONDS; the last lines that are no phase."""
    deadline = time.monotonic() + CREATE_SECONDS
    tail: deque[str] = deque(maxlen=15)
    with log.open(errors="replace") as lines:
        while True:
            ended = process.poll() is not None
            for line in lines:
                phase = phase_of(line)
                if phase:
                    emit(Step(STEP, "progress", detail=phase))
                elif line.strip() and not line.startswith(" ✓"):
                    tail.append(line.rstrip()[:400])
            if ended:
                return tail
            if time.monotonic() > deadline:
                process.kill()
                tail.append(f"kind did not end within {CREATE_SECONDS / 60:.0f} minutes and was ended")
            time.sleep(0.1)


def phase_of(line: str) -> str | None:
    """The phase that a line of kind's output starts: " • Preparing nodes 📦  ..." -> "Preparing nodes"."""
    words = line.strip()
    if not (words.startswith("• ") and words.endswith("...")):
        return None
    return "".join(character for character in words if character.isascii()).strip(" .")


def _kubelet_log(cluster_name: str) -> list[str]:
    """The last lines of a kubelet that does not run, in the first node that has one."""
    for node in _nodes_or_none(cluster_name):
        try:
            lines = docker.execute(
                node.name, "journalctl", "--unit=kubelet", "--no-pager", "--output=cat", "--lines=12"
            )
        except PortableError:
            continue
        if any(re.match(r"E\d{4} ", line) or "err=" in line for line in lines.splitlines()):
            return [f"kubelet on {node.name}:", *(line[:400] for line in lines.splitlines())]
    return []


def _nodes_or_none(cluster_name: str) -> tuple[docker.Node, ...]:
    try:
        return docker.nodes(cluster_name)
    except PortableError:
        return ()


_PORT_TAKEN = ("port is already allocated", "address already in use")
_ADVICE = (
    *((sign, "free that port or end what uses it, then run the command again") for sign in _PORT_TAKEN),
    ("no space left on device", "make room on the disk: `docker system prune` removes what Docker no longer needs"),
    ("too many open files", "raise fs.inotify.max_user_instances and max_user_watches (`portable doctor --fix`)"),
    ("Cannot connect to the Docker daemon", docker.ENGINE_FIX),
    ("failed to pull image", "no registry answers: `portable doctor --fix --cloud kind` builds the node image"),
)


def failed_for_ports(error: ProviderError) -> bool:
    return any(sign in error.detail for sign in _PORT_TAKEN)


def _advice(words: str) -> str:
    found = next((advice for sign, advice in _ADVICE if sign.lower() in words.lower()), "")
    return found or "run `portable doctor --cloud kind`, then the command again"


def delete(cluster_name: str, kubeconfig: Path) -> None:
    """Runs `kind delete cluster`: every node container of that name goes, half-made ones too. No cluster is no error."""
    _run("delete", "cluster", "--name", cluster_name, "--kubeconfig", str(kubeconfig), timeout=180)


def kubeconfig(cluster_name: str) -> str:
    """The cluster's kubeconfig document. Raises ProviderError where the cluster does not run."""
    return _run("get", "kubeconfig", "--name", cluster_name, timeout=30)


def _run(*arguments: str, timeout: float) -> str:
    try:
        done = subprocess.run([str(binary()), *arguments], capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise ProviderError(
            f"`kind {arguments[0]} {arguments[1]}` did not end within {timeout:.0f} s",
            fix="see whether the Docker engine still answers",
        ) from error
    if done.returncode != 0:
        words = "\n".join(done.stderr.strip().splitlines()[-8:])
        raise ProviderError(f"`kind {arguments[0]} {arguments[1]}` failed", detail=words, fix=_advice(words))
    return done.stdout
