"""A real Kubernetes control plane for tests: etcd and kube-apiserver on loopback, without nodes.

Enough for everything that the API server itself decides: server-side apply, dry runs, defaulting, admission, validation,
foreground deletion and finalizers (with the controller manager). No pod ever runs. Tests use the fixture `control_plane` of
`tests/conftest.py`, or `start(folder)` for a cluster of their own. The binary is the project's multi-call Kubernetes build
(acts by the name it is called by), as `portable doctor --fix` leaves it in the tool cache; `$PORTABLE_KUBE_BINARY` names
another one.
"""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from portable.errors import ClusterError
from portable.kube import Kube
from portable.tools import go_build
from portable_kind.node_image import KUBERNETES
from tests.certificates import self_signed
from tests.ports import free_ports

START_SECONDS = 120.0


@dataclass(frozen=True)
class ControlPlane:
    """`kubeconfig` is the document's text (cluster-admin); `folder` holds the logs and `kubectl` (a link to run)."""

    kubeconfig: str
    server: str
    folder: Path

    @property
    def kubectl(self) -> Path:
        return self.folder / "kubectl"


def binary() -> Path:
    """The multi-call binary. Fails the test where it has not been built: a skip would hide half of the suite."""
    chosen = os.environ.get("PORTABLE_KUBE_BINARY")
    path = Path(chosen) if chosen else go_build.folder(KUBERNETES) / next(iter(KUBERNETES.packages))
    if not path.is_file():
        pytest.fail(f"there is no Kubernetes at {path}: run `portable doctor --fix --cloud kind`", pytrace=False)
    return path


@contextmanager
def start(folder: Path, *, controllers: Sequence[str] = ()) -> Iterator[ControlPlane]:
    """Runs etcd and kube-apiserver until the block ends. `controllers`: names for the controller manager; none: it is not run."""
    kube = binary()
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl"):
        (folder / name).symlink_to(kube)
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    # its key also signs service-account tokens
    self_signed(folder, addresses=["127.0.0.1"])
    etcd_port, peer_port, port, manager_port = free_ports(4)
    server = f"https://127.0.0.1:{port}"
    kubeconfig = _kubeconfig(server, (folder / "server.crt").read_bytes(), token)
    (folder / "kubeconfig").write_text(kubeconfig)
    with ExitStack() as stack:
        stack.enter_context(_running(folder, "etcd", _etcd_arguments(folder, etcd_port, peer_port)))
        api = stack.enter_context(_running(folder, "kube-apiserver", _api_arguments(folder, etcd_port, port)))
        _wait_ready(api, folder, kubeconfig)
        if controllers:
            arguments = _manager_arguments(folder, manager_port, controllers)
            stack.enter_context(_running(folder, "kube-controller-manager", arguments))
        yield ControlPlane(kubeconfig, server, folder)


def _etcd_arguments(folder: Path, port: int, peer_port: int) -> list[str]:
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    return [
        f"--data-dir={folder / 'etcd-data'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # thrown away with the test
        "--log-level=error",
    ]


def _api_arguments(folder: Path, etcd_port: int, port: int) -> list[str]:
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        # the server publishes itself under an address that must not be loopback; nothing dials it
        "--advertise-address=192.0.2.1",
        f"--secure-port={port}",
        f"--tls-cert-file={folder / 'server.crt'}",
        f"--tls-private-key-file={folder / 'server.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'server.key'}",
        f"--service-account-signing-key-file={folder / 'server.key'}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--profiling=false",
    ]


def _manager_arguments(folder: Path, port: int, controllers: Sequence[str]) -> list[str]:
    return [
        f"--kubeconfig={folder / 'kubeconfig'}",
        f"--controllers={','.join(controllers)}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'manager-certs'}",
        "--leader-elect=false",
    ]


@contextmanager
def _running(folder: Path, name: str, arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([folder / name, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()  # nothing of it is kept, and an API server with open watches takes long to end in order
            process.wait()


def _wait_ready(api: subprocess.Popen[bytes], folder: Path, kubeconfig: str) -> None:
    """Ready: the default namespace is there and may be written to (RBAC's own roles included)."""
    deadline = time.monotonic() + START_SECONDS
    with Kube.connect(kubeconfig) as kube:
        while True:
            if api.poll() is not None:
                raise RuntimeError(f"kube-apiserver ended: {(folder / 'kube-apiserver.log').read_text()[-2000:]}")
            try:
                if kube.get("v1", "Namespace", "default") is not None:
                    return
            except ClusterError:
                pass
            if time.monotonic() > deadline:
                raise TimeoutError(f"kube-apiserver is not ready after {START_SECONDS:.0f} s; see {folder}")
            time.sleep(0.2)


def _kubeconfig(server: str, certificate: bytes, token: str) -> str:
    return f"""\
apiVersion: v1
kind: Config
current-context: test
contexts: [{{name: test, context: {{cluster: test, user: admin}}}}]
clusters:
- name: test
  cluster: {{server: "{server}", certificate-authority-data: {base64.b64encode(certificate).decode()}}}
users:
- name: admin
  user: {{token: {token}}}
"""
