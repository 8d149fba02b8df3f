"""What goes wrong while an app is migrated between two real clusters, and what mends it."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from portable.errors import ClusterError
from portable_kind import docker
from tests.contract.dns.name_server import NameServer
from tests.e2e.conftest import wait
from tests.e2e.migrating import ENDS, MovingApp, Place, Started

CLAIM = "files-uploads-0"
# Between beginning and end of a copy there is time for a fault, since the network is so slow and the file that large.
_RATE = "6mbit"
_LARGE = 4 * 2**20


@dataclass
class Faulty:
    """The app of the faults, and where it is: every case takes it to the other side."""

    app: MovingApp
    dns: NameServer
    at: str = ENDS[0]

    @property
    def to(self) -> str:
        return next(cloud for cloud in ENDS if cloud != self.at)

    def node(self, cloud: str) -> str:
        return self.app.places[cloud].behind.node

    def go(self) -> Started:
        return self.app.start(self.at, self.to, "--yes")

    def resume(self) -> dict[str, Any]:
        return self.app.run("migrate", "resume", self.at, self.to, "--watch", "2", "--output", "json").events()[-1]

    def arrived(self, result: dict[str, Any], case: str) -> None:
        assert result["phase"] == "committed", (case, result)
        assert self.app.differing(self.to) == [], case
        assert self.app.pods(self.at) == [], f"{case}: it serves from both sides"
        self.app.upload(self.to, f"after-{case.replace(' ', '-')}", case.encode())
        self.at = self.to

    def begin_anew(self, back: str, case: str) -> dict[str, Any]:
        """By `rollback` or `abort` the source serves again with all that was acknowledged; then it moves."""
        run = self.app.run("migrate", back, self.at, self.to, "--yes", "--output", "json", code=None)
        if run.code != 0 and "too late to abort" in run.error()["message"]:
            run = self.app.migrate("rollback", self.at, self.to)
        assert run.code == 0, (case, run)
        assert self.app.differing(self.at) == [], case
        assert self.app.pods(self.to) == [], f"{case}: it serves from both sides"
        return self.app.migrate(self.at, self.to).events()[-1]

    def settle(self) -> None:
        """Both clusters work again: of a node that was restarted, what it said before is what is first read of it."""
        began = datetime.now(UTC)
        wait(
            lambda: all(_well(place, began) for place in self.app.places.values()),
            "both clusters are well",
            seconds=180,
        )


def _well(place: Place, since: datetime) -> bool:
    """Its nodes are ready and have said so `since` then, and its load balancer's address is announced."""
    try:
        if not all(_is(node, "Ready") for node in place.kube.list("v1", "Node")):
            return False
        leases = place.kube.list("coordination.k8s.io/v1", "Lease", "kube-node-lease")
        if not all(datetime.fromisoformat(lease["spec"]["renewTime"]) > since for lease in leases):
            return False
        with socket.create_connection((place.address, 80), timeout=2):
            return True
    except (ClusterError, OSError):
        return False


def _is(live: Mapping[str, Any], condition: str) -> bool:
    return any(each["type"] == condition and each["status"] == "True" for each in live["status"]["conditions"])


Broken = Callable[[Faulty], AbstractContextManager[object]]


@dataclass(frozen=True)
class Fault:
    """`at`: the step in which it begins, or "copy": in the middle of one; "": before all. It is mended `lasts` seconds later, while the
    migration goes on; None: once that has ended. `says`: what the error has to name then; "" where none need be."""

    at: str
    breaks: Broken
    lasts: float | None = 0.0
    says: str = ""


def run_into(faulty: Faulty, fault: Fault) -> tuple[int, list[dict[str, Any]]]:
    """(exit code, events) of a migration that meets the fault. All is mended afterwards."""
    with ExitStack() as broken:
        if fault.at == "copy":
            faulty.app.upload(faulty.at, "large", random.randbytes(_LARGE))
            broken.enter_context(slowed(faulty))
        if not fault.at:
            broken.enter_context(fault.breaks(faulty))
        run = faulty.go()
        if fault.at:
            assert run.wait_for_copy() if fault.at == "copy" else run.wait_for_step(fault.at), run.events()[-1]
            broken.enter_context(fault.breaks(faulty))
        if fault.lasts is not None:
            time.sleep(fault.lasts)
            broken.close()
        ended = run.ended()
    faulty.settle()
    return ended


# -- nodes and pods ----------------------------------------------------------------------------------------------------


@contextmanager
def movers_deleted(faulty: Faulty) -> Iterator[None]:
    for place in faulty.app.places.values():
        for pod in place.kube.list("v1", "Pod", faulty.app.namespace, label_selector="portable.dev/mover"):
            place.kube.delete("v1", "Pod", pod["metadata"]["name"], faulty.app.namespace, propagation="Background")
    yield


@contextmanager
def source_restarted(faulty: Faulty) -> Iterator[None]:
    docker.run("restart", faulty.node(faulty.at))
    yield


@contextmanager
def target_restarted(faulty: Faulty) -> Iterator[None]:
    docker.run("restart", faulty.node(faulty.to))
    yield


@contextmanager
def target_paused(faulty: Faulty) -> Iterator[None]:
    """Nothing answers there, and no connection is closed."""
    docker.run("pause", faulty.node(faulty.to))
    try:
        yield
    finally:
        docker.run("unpause", faulty.node(faulty.to))


@contextmanager
def source_ignores_sigterm(faulty: Faulty) -> Iterator[None]:
    """The app's process takes no signal but SIGKILL, which comes when its whole grace is over."""
    (pod,) = _pods(faulty, faulty.at)
    uid = pod["metadata"]["uid"]
    either = f"{uid}|{uid.replace('-', '_')}"  # as cgroups are named by their driver
    script = (
        f"for file in $(grep -lsE '{either}' /proc/[0-9]*/cgroup); do kill -STOP $(basename $(dirname $file)); done"
    )
    docker.execute(faulty.node(faulty.at), "sh", "-c", script)
    yield


@contextmanager
def source_kubelet_silent(faulty: Faulty) -> Iterator[None]:
    """Nobody knows whether its pods have stopped, as on a node that is lost."""
    node = faulty.node(faulty.at)
    docker.execute(node, "systemctl", "stop", "kubelet")
    try:
        yield
    finally:
        docker.execute(node, "systemctl", "start", "kubelet")


def _pods(faulty: Faulty, cloud: str) -> list[dict[str, Any]]:
    kube, namespace = faulty.app.places[cloud].kube, faulty.app.namespace
    return kube.list("v1", "Pod", namespace, label_selector="portable.dev/workload")


# -- network -----------------------------------------------------------------------------------------------------------


@contextmanager
def cut(faulty: Faulty) -> Iterator[None]:
    """No packet of one cluster arrives at the other; both answer this machine."""
    rules = [(faulty.node(here), _address(faulty.node(there))) for here, there in (ENDS, ENDS[::-1])]
    with ExitStack() as mended:
        for node, other in rules:
            rule = ("PREROUTING", "-s", other, "-j", "DROP")
            docker.execute(node, "iptables", "-t", "raw", "-I", *rule)
            mended.callback(docker.execute, node, "iptables", "-t", "raw", "-D", *rule)
        yield


def _address(node: str) -> str:
    return docker.run("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", node).strip()


@contextmanager
def slowed(faulty: Faulty) -> Iterator[None]:
    """What leaves the source's cluster goes through a narrow pipe (token bucket)."""
    node = faulty.node(faulty.at)
    shape = f"tc qdisc add dev eth0 root tbf rate {_RATE} burst 16kb latency 400ms"
    docker.execute(node, "sh", "-c", shape)
    try:
        yield
    finally:
        docker.execute(node, "sh", "-c", "tc qdisc del dev eth0 root || true")  # a restarted node has none any more


# -- disk --------------------------------------------------------------------------------------------------------------


@contextmanager
def target_disk_full(faulty: Faulty) -> Iterator[None]:
    """The movers of a first staging find a disk of 1 MiB; those that replace them find the volume again."""
    faulty.app.upload(faulty.at, "large", random.randbytes(_LARGE))
    faulty.app.migrate(faulty.at, faulty.to, "--stage")
    node = faulty.node(faulty.to)
    mount = f"mount --namespace $pid -t tmpfs -o size=1m,mode=0777 tmpfs /volumes/{CLAIM}"
    script = (
        f"for pid in $(pgrep -f -- -role=target); do grep -qs /volumes/{CLAIM} /proc/$pid/mounts && {mount}; done; true"
    )
    docker.execute(node, "sh", "-c", script)
    try:
        yield
    finally:
        with movers_deleted(faulty):
            pass


# -- credentials and DNS -----------------------------------------------------------------------------------------------


@contextmanager
def source_refuses(faulty: Faulty) -> Iterator[None]:
    with faulty.app.places[faulty.at].behind.webhook.refusing():
        yield


@contextmanager
def target_refuses(faulty: Faulty) -> Iterator[None]:
    with faulty.app.places[faulty.to].behind.webhook.refusing():
        yield


@contextmanager
def dns_away(faulty: Faulty) -> Iterator[None]:
    """The server takes questions, and answers none."""
    configuration = str(faulty.dns.key.with_name("named.conf"))
    found = subprocess.run(["pgrep", "-f", configuration], capture_output=True, text=True, check=True)
    (process,) = map(int, found.stdout.split())
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


FAULTS: Mapping[str, Fault] = {
    "movers deleted in the copy": Fault("copy", movers_deleted),
    "movers deleted in the final sync": Fault("final", movers_deleted),
    "source's node restarted in the copy": Fault("copy", source_restarted),
    "target's node restarted in the copy": Fault("copy", target_restarted),
    "source's node restarted in the final sync": Fault("final", source_restarted),
    "target's node restarted at the start": Fault("start", target_restarted),
    "target's node restarted when nothing is copied yet": Fault("asleep", target_restarted),
    "target silent in the copy": Fault("copy", target_paused, lasts=15),
    "target silent at the start": Fault("start", target_paused, lasts=15),
    "network cut in the copy": Fault("copy", cut, lasts=20),
    "network cut from the freeze on": Fault("freeze", cut, None, "lost its way to the other cluster"),
    "network slow": Fault("", slowed, None),
    "target's disk full": Fault("", target_disk_full, None, f"the volume {CLAIM} of the target is full"),
    "source refuses the credentials in the copy": Fault("copy", source_refuses, None, "it is the source's"),
    "target refuses the credentials at the start": Fault("start", target_refuses, None, "it is the target's"),
    "DNS server away at the cut-over": Fault("smoke", dns_away, None, "the target serves meanwhile"),
    "source's pod ignores SIGTERM": Fault("", source_ignores_sigterm),
    "source's pod never known to have stopped": Fault("freeze", source_kubelet_silent, None, "do not stop"),
}


def explained(events: list[dict[str, Any]], fault: Fault) -> str:
    """The error that ended a migration: what it was, in words, with what to do."""
    last = events[-1]
    assert last["event"] == "error", last
    error = last["error"]
    assert "unexpected" not in error["message"], last
    assert error["fix"], "it says what to do"
    assert fault.says in error["message"] + (error["detail"] or ""), last
    return str(error["message"])
