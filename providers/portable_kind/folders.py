"""Where the plugin keeps things on the user's machine, under `$PORTABLE_DATA` or the platform's data folder for `portable`.

kind/CLUSTER/volumes       NAMESPACE/CLAIM: the data of volumes, mounted into all nodes; outlives the cluster
kind/CLUSTER/kubeconfig    0600, ours alone
kind/CLUSTER/cluster.json  which cluster was completed, and the host ports it was given
kind/CLUSTER/lock          held while a cluster is made or ended
kind/authority/            the local certificate authority and the certificates that it issued
"""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def root() -> Path:
    chosen = os.environ.get("PORTABLE_DATA")
    path = Path(chosen) if chosen else platformdirs.user_data_path("portable")
    return path.absolute() / "kind"


def cluster(name: str) -> Path:
    """The cluster's folder, not created."""
    return root() / name


def volumes(name: str) -> Path:
    """The host folder of the cluster's volumes, not created."""
    return cluster(name) / "volumes"


def write_private(path: Path, content: bytes) -> None:
    """Writes a file that only its owner may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
