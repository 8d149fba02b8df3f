"""One operator at a time: a Lease in the cluster that the running `migrate` holds and renews.

One that was killed leaves a lease that ends by itself: https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import os
import socket
import threading
import time
from datetime import UTC, datetime
from typing import Self

from portable.deploy import who
from portable.engine.lock import started_at
from portable.errors import ClusterError, PortableError
from portable.kube import Kube
from portable.provider import KubeObject

NAME = "portable-migration"
SECONDS = 20
_RENEW = 5.0
# What another machine's clock may be off without our taking its lease away from it: it is watched for renewals that long.
_WATCHED = 2 * _RENEW


class Lost(PortableError):
    """Somebody else holds the lease by now, or it could not be renewed for as long as it lasts."""


def operator() -> str:
    """This process, for others to read: "USER@HOST, process PID"; with its start, so that a reused PID is told apart."""
    pid = os.getpid()
    return f"{who()}@{socket.gethostname()}, process {pid} ({started_at(pid)})"


def shown(holder: str) -> str:
    return holder.partition(" (")[0]


class Lease:
    """Held from `with` to its end. `require` raises Lost where it is ours no more."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube, self._namespace = kube, namespace
        self._me = operator()
        self._renewed = time.monotonic()
        self._lost = ""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def place(self) -> tuple[str, str]:
        return self._kube.server, self._namespace

    def __enter__(self) -> Self:
        """Raises PortableError naming the one who holds it."""
        self._take()
        self._thread = threading.Thread(target=self._renew, name="migration-lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Gives it back, so that the next operator need not wait."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        try:
            live = self._get()
            if live is not None and _holder(live) == self._me:
                uid = live["metadata"]["uid"]
                self._kube.delete(
                    "coordination.k8s.io/v1", "Lease", NAME, self._namespace, propagation="Background", uid=uid
                )
        except ClusterError:
            pass  # it ends by itself

    def require(self) -> None:
        if not self._lost and time.monotonic() - self._renewed > SECONDS:
            self._lost = f"it could not be renewed for {SECONDS} s"
        if self._lost:
            raise Lost(
                f"this migration's lease is lost: {self._lost}",
                fix="see who works on it with `portable migrate status`; if nobody does, `portable migrate resume`",
            )

    def _take(self) -> None:
        live = self._get()
        if live is not None and _holder(live) not in ("", self._me) and not self._is_dead(live):
            raise held_by(live)
        try:
            if live is None:
                self._kube.create(self._manifest(""))
            else:
                self._kube.replace(self._manifest(live["metadata"]["resourceVersion"]))
        except ClusterError as error:
            if error.status != 409:
                raise
            raise held_by(self._get() or live or {}) from error
        self._renewed = time.monotonic()

    def _is_dead(self, live: KubeObject) -> bool:
        """A process of this machine is looked up. One of another is taken for dead once its lease has ended by our clock, and
        nothing has renewed it while we looked."""
        host, pid, start = _parts(_holder(live))
        if host == socket.gethostname():
            return started_at(pid) != start
        if _age(live) < SECONDS:
            return False
        deadline = time.monotonic() + _WATCHED
        while time.monotonic() < deadline:
            time.sleep(0.5)
            found = self._get()
            if found is None or found["spec"].get("renewTime") != live["spec"].get("renewTime"):
                return found is None
        return True

    def _renew(self) -> None:
        while not self._stop.wait(_RENEW):
            try:
                live = self._get()
                if live is None or _holder(live) != self._me:
                    self._lost = f"{shown(_holder(live)) if live else 'nobody'} holds it"
                    return
                self._kube.replace(self._manifest(live["metadata"]["resourceVersion"], live))
                self._renewed = time.monotonic()
            except ClusterError:
                continue  # tried again; `require` knows when it has taken too long

    def _get(self) -> KubeObject | None:
        return self._kube.get("coordination.k8s.io/v1", "Lease", NAME, self._namespace)

    def _manifest(self, version: str, live: KubeObject | None = None) -> KubeObject:
        metadata = {"name": NAME, "namespace": self._namespace, "labels": {"app.kubernetes.io/managed-by": "portable"}}
        now = _stamp()
        acquired = live["spec"].get("acquireTime", now) if live else now
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata | ({"resourceVersion": version} if version else {}),
            "spec": {
                "holderIdentity": self._me,
                "leaseDurationSeconds": SECONDS,
                "acquireTime": acquired,
                "renewTime": now,
            },
        }


def held_by(live: KubeObject) -> PortableError:
    since = str(live.get("spec", {}).get("acquireTime", ""))[:19].replace("T", " ")
    return PortableError(
        f"another operator works on this migration: {shown(_holder(live)) or 'unknown'}, since {since} UTC",
        detail=f"if it was killed, its lease ends within {SECONDS} s",
        fix="wait until it has ended; `portable migrate status` shows how far it is",
    )


def holder(kube: Kube, namespace: str) -> str:
    """Who works on it at present: "USER@HOST, process PID"; empty for nobody."""
    live = kube.get("coordination.k8s.io/v1", "Lease", NAME, namespace)
    return shown(_holder(live)) if live is not None and _age(live) < SECONDS else ""


def _holder(live: KubeObject) -> str:
    return str(live.get("spec", {}).get("holderIdentity") or "")


def _parts(identity: str) -> tuple[str, int, str]:
    """(host, pid, start) of what `operator` wrote."""
    who, _, rest = identity.partition(", process ")
    pid, _, start = rest.partition(" (")
    return who.rpartition("@")[2], int(pid) if pid.isdigit() else 0, start.removesuffix(")")


def _age(live: KubeObject) -> float:
    """Seconds since it was renewed, by this machine's clock; endless where it never was."""
    try:
        renewed = datetime.fromisoformat(str(live["spec"]["renewTime"]))
    except (KeyError, ValueError):
        return float("inf")
    return (datetime.now(UTC) - renewed).total_seconds()


def _stamp() -> str:
    """A MicroTime."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
