"""Which DNS records an app has, written or asked for: kept in its namespace, so that one that is no longer wanted is known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from portable.kube import Kube
from portable.provider import Record

NAME = "portable-dns"
_KEY = "records.json"


@dataclass(frozen=True)
class Entry:
    """`service` is what wrote it, in words; empty: it is to be written by hand. `ours`: it may be deleted."""

    record: Record
    service: str = ""
    zone: str = ""
    ours: bool = False


def read(kube: Kube, namespace: str) -> tuple[Entry, ...]:
    live = kube.get("v1", "ConfigMap", NAME, namespace)
    if live is None:
        return ()
    return tuple(_entry(value) for value in json.loads(live["data"][_KEY]))


def write(kube: Kube, namespace: str, labels: Mapping[str, str], entries: Sequence[Entry]) -> None:
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME, "namespace": namespace, "labels": dict(labels)},
            "data": {_KEY: json.dumps([asdict(entry) for entry in entries], sort_keys=True)},
        }
    )


def _entry(value: dict[str, Any]) -> Entry:
    record = value.pop("record")
    return Entry(Record(**{**record, "values": tuple(record["values"]), "weights": tuple(record["weights"])}), **value)
