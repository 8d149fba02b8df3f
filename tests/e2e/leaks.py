"""Looks for secret values where they must not be: the state, the logs, the cluster's objects, other processes' arguments."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import platformdirs

from portable.kube import Kube

KINDS = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "ReplicaSet"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("networking.k8s.io/v1", "Ingress"),
    ("v1", "Pod"),
    ("v1", "ConfigMap"),
    ("v1", "Event"),
    ("v1", "Service"),
)


def forms(value: str) -> tuple[bytes, ...]:
    """How a value may look: in clear, and in base64 at each of the three offsets that it can have in a longer text."""
    raw = value.encode()
    inner = (base64.b64encode(b"\0" * lead + raw)[-(-lead * 4 // 3) : -4] for lead in range(3))
    return (raw, base64.b64encode(raw), *inner)


def in_files(values: Iterable[str], folders: Iterable[Path]) -> list[str]:
    """Paths of the files that hold one of `values`."""
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [str(path) for path in files if _holds(_content(path), values)]


def in_cluster(values: Iterable[str], kube: Kube, namespace: str) -> list[str]:
    """Names of objects that hold one of `values`: all that can have one, and of Secrets the kept revisions."""
    found = [
        f"{kind}/{item['metadata']['name']}"
        for version, kind in KINDS
        for item in kube.list(version, kind, namespace)
        if _holds(json.dumps(item).encode(), values)
    ]
    revisions = kube.list("v1", "Secret", namespace, label_selector="portable.dev/revision")
    assert revisions, "nothing was recorded: there is nothing to look into"
    for secret in revisions:
        if _holds(gzip.decompress(base64.b64decode(secret["data"]["revision"])), values):
            found.append(f"Secret/{secret['metadata']['name']}")
    return found


def log_folder() -> Path:
    return platformdirs.user_log_path("portable")


@contextmanager
def watching_processes(values: Iterable[str]) -> Iterator[Callable[[], list[str]]]:
    """Reads the arguments of every process all the while; what it gives tells which of them held one of `values`."""
    wanted, seen, stop = tuple(values), set[str](), Event()

    def watch() -> None:
        while not stop.wait(0.01):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    arguments = process.read_bytes()
                except OSError:
                    continue
                if _holds(arguments, wanted):
                    seen.add(arguments.replace(b"\0", b" ").decode(errors="replace"))

    thread = Thread(target=watch)
    thread.start()
    try:
        yield lambda: sorted(seen)
    finally:
        stop.set()
        thread.join()


def _content(path: Path) -> bytes:
    """As far as it is written: other tests are at work, and files of theirs begin and go."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b""
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(content) if content[:2] == b"\x1f\x8b" else content


def _holds(content: bytes, values: Iterable[str]) -> bool:
    return any(form in content for value in values for form in forms(value))
