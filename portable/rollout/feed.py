"""One kind of object in one namespace, followed for as long as it takes: list, watch, and list again where that is needed.

Survives what a watch meets in practice: its regular end, a dropped connection, 410 Gone, an API server that restarts.
"""

from __future__ import annotations

import threading
from typing import Protocol

from portable.errors import ClusterError
from portable.kube import Kube
from portable.provider import KubeObject

# A dead connection that nobody closed is noticed after this long; ending a watch on time and going on costs one request.
WATCH_SECONDS = 30.0
REFUSALS = 5


class Sink(Protocol):
    """Receives what a feed sees. Called from the feed's thread."""

    def listed(self, kind: str, items: list[KubeObject]) -> None: ...
    def changed(self, kind: str, change: str, item: KubeObject) -> None: ...
    def trouble(self, kind: str, error: ClusterError | None) -> None: ...
    def broken(self, error: Exception) -> None: ...


def follow(kube: Kube, api_version: str, kind: str, namespace: str, sink: Sink, stopped: threading.Event) -> None:
    """Returns when `stopped` is set (at the latest `WATCH_SECONDS` after) or after `sink.broken`: no permission, or a bug."""
    version: str | None = None
    failures = 0
    while not stopped.is_set():
        try:
            if version is None:
                items, version = kube.list_page(api_version, kind, namespace)
                sink.listed(kind, items)
            for change, item in kube.watch(
                api_version, kind, namespace, resource_version=version, timeout=WATCH_SECONDS
            ):
                if stopped.is_set():
                    return
                version = item["metadata"]["resourceVersion"]
                failures = 0
                if change != "BOOKMARK":
                    sink.changed(kind, change, item)
            sink.trouble(kind, None)
        except (ClusterError, ValueError) as error:  # ValueError: a line cut off in the middle
            failures += 1
            known = error if isinstance(error, ClusterError) else ClusterError(f"the watch broke off: {error}")
            if known.status in (401, 403) and failures >= REFUSALS:
                sink.broken(known)
                return
            if known.status != 0:
                version = None
            if known.status != 410 or failures > 1:
                sink.trouble(kind, known)
                stopped.wait(min(0.1 * 2**failures, 3.0))
        except Exception as error:  # noqa: BLE001 - a thread must not die unseen; after `close` the client may be gone under it
            if not stopped.is_set():
                sink.broken(error)
            return
