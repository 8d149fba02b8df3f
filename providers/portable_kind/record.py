"""What this machine remembers of a cluster: that it was completed, and the host ports that it had. No secrets."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from portable_kind import folders
from portable_kind.ports import Ports


@dataclass(frozen=True)
class Record:
    """`container` is the id of the control-plane's container in the completed cluster; "" once the cluster was deleted."""

    container: str
    http: int
    https: int

    @property
    def ports(self) -> Ports:
        return Ports(self.http, self.https)


def read(cluster_name: str) -> Record | None:
    """None where nothing usable is remembered."""
    try:
        kept = json.loads((folders.cluster(cluster_name) / "cluster.json").read_text())
        return Record(str(kept["container"]), int(kept["http"]), int(kept["https"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(cluster_name: str, record: Record) -> None:
    folders.write_private(folders.cluster(cluster_name) / "cluster.json", json.dumps(asdict(record)).encode())
