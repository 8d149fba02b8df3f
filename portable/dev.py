"""`dev`: the app on a cluster of this machine, brought up again at each change of the spec or of what its images are built from.

Files that `build.sync` names are copied into the running containers instead; every decision is told with its reason.
"""

from __future__ import annotations

import io
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from portable.compile.names import WORKLOAD_LABEL
from portable.errors import PortableError, SpecError, UsageError
from portable.events import Emit, Notice
from portable.images.changes import Verdict, judge
from portable.images.delivery import images_of
from portable.kube import Kube
from portable.logs import LogLine, Selection, follow_logs
from portable.outputs import Address, addresses
from portable.provider import LiveFiles
from portable.reach import Forward, choose_port, forward
from portable.target import Request, Target, compile_target, connect, open_target
from portable.up import up

_DEBOUNCE_MILLISECONDS = 200
_CALM_MILLISECONDS = 200
_UNPRIVILEGED = 1024


@dataclass(frozen=True)
class Show:
    """Where what happens goes. `failed`: the app could not be brought up; `dev` goes on watching."""

    emit: Emit
    log: Callable[[LogLine], None]
    address: Callable[[Address], None]
    failed: Callable[[PortableError], None]


def dev(target: Target, request: Request, show: Show, stop: threading.Event) -> None:
    """Until `stop` is set; `target` is what `request` asks for. Raises UsageError on a cloud: there nothing is loaded from this machine.

    The app stays as it is when this ends.
    """
    if not isinstance(target.provider, LiveFiles):
        raise UsageError(
            f"`dev` works on a cluster of this machine, not on {target.provider.title}",
            fix="name a local one: `portable dev --cloud kind`",
        )
    loop = _Loop(request, show, target)
    with ExitStack() as beside:
        shown = ""
        changes = _changes(target, stop)
        next(changes)  # from here on none is missed: not even one of while the app is brought up
        loop.bring_up("the start")
        for changed in changes:
            # Logs and forwarded ports outlive a rollout: their pods are looked up anew.
            if loop.running not in ("", shown):
                beside.close()
                beside.enter_context(_beside(loop.target, show))
                shown = loop.running
            if changed:
                loop.handle(changed)


@dataclass
class _Loop:
    """`target` is the app as it was last brought up, `running` the digest of its spec; empty before the first time."""

    request: Request
    show: Show
    target: Target
    running: str = ""

    def bring_up(self, reason: str) -> None:
        began = time.monotonic()
        try:
            result = up(self.request, emit=self.show.emit)
            self.target = open_target(self.request, images=False)
        except PortableError as error:
            self.show.failed(error)
            return
        self.running = self.target.app.digest
        words = "running" if result.changed else "nothing to change"
        self._say(f"{words} after {time.monotonic() - began:.1f} s ({reason})")

    def handle(self, changed: Collection[Path]) -> None:
        found = [verdict for image in images_of(self.target) if (verdict := judge(image, changed)) is not None]
        building = [verdict for verdict in found if verdict.action == "build"]
        for verdict in found:
            if verdict.action == "nothing":
                self._say(f"{verdict.image.title}: nothing to do: {verdict.reason}")
        if building:
            for verdict in building:
                self._say(f"{verdict.image.title}: building anew: {verdict.reason}")
            self.bring_up(building[0].reason)
            return
        for verdict in found:
            if verdict.action == "sync":
                self._sync(verdict)
        if not found and self._spec_changed():
            self.bring_up(f"{min(path.name for path in changed)} changed the spec")

    def _spec_changed(self) -> bool:
        try:
            return open_target(self.request, images=False).app.digest != self.target.app.digest
        except (SpecError, UsageError) as error:
            self.show.failed(error)
            return False

    def _sync(self, verdict: Verdict) -> None:
        began = time.monotonic()
        try:
            count = sync(self.target, verdict)
        except PortableError as error:
            self._say(f"{verdict.image.title}: building anew, since the files could not be copied: {error.message}")
            self.bring_up(verdict.reason)
            return
        if not count:
            self._say(f"{verdict.image.title}: building anew: no running container takes the files")
            self.bring_up(verdict.reason)
            return
        pairs = ", ".join(f"{path.name} -> {inside}" for path, inside in list(verdict.files.items())[:3])
        seconds = time.monotonic() - began
        self._say(f"{verdict.image.title}: copied into {count} running, {seconds:.1f} s ({pairs})")

    def _say(self, words: str) -> None:
        self.show.emit(Notice(words))


def sync(target: Target, verdict: Verdict) -> int:
    """Copies the verdict's files into the running containers of its image; returns how many containers that were."""
    provider = target.provider
    assert isinstance(provider, LiveFiles), "asked before"
    archive = _archive(verdict)
    namespace, count = compile_target(target).namespace, 0
    with connect(target) as kube:
        for workload, container in verdict.image.containers:
            for pod in kube.list("v1", "Pod", namespace, label_selector=f"{WORKLOAD_LABEL}={workload}"):
                for status in pod.get("status", {}).get("containerStatuses") or ():
                    if status["name"] == container and "running" in status["state"]:
                        running = status["containerID"].partition("://")[2]
                        provider.write_files(target.app.cluster, pod["spec"]["nodeName"], running, archive)
                        count += 1
    return count


def _archive(verdict: Verdict) -> bytes:
    """A tar of the files, by their place in the container; readable by every user that a container may run as."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for path, inside in verdict.files.items():
            entry = tar.gettarinfo(str(path), inside.lstrip("/"))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mode |= 0o444
            with path.open("rb") as file:
                tar.addfile(entry, file)
    return stream.getvalue()


def _changes(target: Target, stop: threading.Event) -> Iterator[set[Path]]:
    """Sets of files that changed, together where they changed together; an empty set at first, and whenever nothing has changed for
    a moment. From the first set on all changes are seen, whenever the next is asked for.

    Editors' own files and caches do not count.
    """
    from watchfiles import watch

    folders = {target.file.resolve().parent, *(Path(image.build.context) for image in images_of(target))}
    places = [
        folder for folder in folders if not any(folder != other and folder.is_relative_to(other) for other in folders)
    ]
    for changes in watch(
        *places,
        stop_event=stop,
        debounce=_DEBOUNCE_MILLISECONDS,
        step=50,
        rust_timeout=_CALM_MILLISECONDS,
        yield_on_timeout=True,
        raise_interrupt=True,
    ):
        yield {Path(path) for _, path in changes}


@contextmanager
def _beside(target: Target, show: Show) -> Iterator[None]:
    """While the app runs: its logs, and where it answers; workloads without a route get a port of this machine."""
    objects = compile_target(target)
    with ExitStack() as open_now:
        kube = open_now.enter_context(connect(target))
        found = list(addresses(target, objects))
        for address in found:
            show.address(address)
        for workload in _without_route(target, found):
            port = choose_port(objects, workload, None)
            made = open_now.enter_context(_forwarded(kube, objects.namespace, workload, port.target, show))
            scheme = "http://" if port.http else ""
            show.address(Address(workload, "", f"{scheme}127.0.0.1:{made.port}", f"port {port.port} of {workload}"))
        ended = threading.Event()
        names = tuple(objects.workloads)
        follower = threading.Thread(target=_follow, args=(kube, objects.namespace, names, show, ended), daemon=True)
        follower.start()
        try:
            yield
        finally:
            ended.set()


def _forwarded(kube: Kube, namespace: str, workload: str, port: int, show: Show) -> AbstractContextManager[Forward]:
    """By the same number here if that is free."""

    def report(words: str) -> None:
        show.emit(Notice(words))

    with socket.socket() as probe:
        free = port >= _UNPRIVILEGED and probe.connect_ex(("127.0.0.1", port)) != 0
    return forward(kube, namespace, workload, port, local_port=port if free else 0, report=report)


def _without_route(target: Target, found: Sequence[Address]) -> list[str]:
    routed = {address.workload for address in found}
    return [
        workload.name
        for workload in target.app.workloads.values()
        if workload.name not in routed and any(port.protocol == "TCP" for port in workload.ports.values())
    ]


def _follow(kube: Kube, namespace: str, names: Sequence[str], show: Show, ended: threading.Event) -> None:
    with suppress(PortableError, RuntimeError):  # the client is closed under it when its time is over
        for line in follow_logs(kube, namespace, names, Selection(tail=10)):
            if ended.is_set():
                return
            show.log(line)
