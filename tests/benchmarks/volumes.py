"""A volume from pod to pod: by hand in the ways that people do it, and by portable's movers. Same data, same run, in turns.

By hand nothing is encrypted but what goes through the API server; nothing compares, proves or goes on after a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Any, TypeAlias

from portable.events import nowhere
from portable.migrate.sides import Side
from portable.migrate.transfer import PATHS, objects
from portable.terminal.state import size
from portable_kind import database_images, docker, images, mover_image
from tests.benchmarks.page import table
from tests.benchmarks.startup import PORTABLE
from tests.e2e.conftest import HELLO, app
from tests.e2e.volumes_moving import Moving, fill, moving

# (files, bytes of each); PORTABLE_BENCH_SHARE=0.05 takes a twentieth of both, to see whether it works
LARGE, SMALL = (4, 256 << 20), (100_000, 4096)
CLAIM = "files-web-0"
TOOLS = "portable/bench-tools:bookworm"
_PACKAGES = ("bash", "coreutils", "rsync", "socat", "tar")
_PORT = 9000
# As inetd would start it: for one connection, then it is gone.
_RSYNCD = (
    "printf '[data]\\npath=/data\\nread only=no\\nuid=0\\ngid=0\\nuse chroot=no\\n' >/tmp/rsyncd.conf; "
    f"socat TCP-LISTEN:{_PORT},reuseaddr EXEC:'rsync --daemon --config=/tmp/rsyncd.conf'"
)


@dataclass(frozen=True)
class Taken:
    """`cpu`: of all pods and processes that took part, in seconds. `mib`: peak of what they held in memory, file cache aside."""

    seconds: float
    cpu: float
    mib: float


Groups: TypeAlias = Sequence[tuple[Path, Path]]


@dataclass
class Bench:
    moved: Moving
    kubectl: tuple[str, ...]
    taken: dict[tuple[str, str], list[Taken]] = field(default_factory=dict)

    def pod(self, side: Side, command: str) -> list[str]:
        return [
            *self.kubectl,
            "exec",
            "-i",
            "-n",
            side.namespace,
            "by-hand",
            "--",
            "bash",
            "-o",
            "pipefail",
            "-c",
            command,
        ]


def measure(repetitions: int) -> str:
    """On the cluster $PORTABLE_BENCH_CLUSTER, or on one made for it and destroyed afterwards; two namespaces are the two ends."""
    if mover_image.is_missing():
        mover_image.build(nowhere)
    _build_tools()
    with (
        tempfile.TemporaryDirectory() as folder,
        _cluster(Path(folder)) as cluster,
        moving("bench", (cluster, cluster), Path(folder)) as moved,
    ):
        bench = Bench(moved, _kubectl(moved, Path(folder), cluster))
        _start_tools(bench, cluster)
        for name, (files, each) in _sets().items():
            _measure_set(bench, name, files, each, repetitions)
        return _report(bench)


def _sets() -> dict[str, tuple[int, int]]:
    """In words -> (files, bytes of each)."""
    share = float(os.environ.get("PORTABLE_BENCH_SHARE", "1"))
    chosen = (LARGE[0], int(LARGE[1] * share)), (int(SMALL[0] * share), SMALL[1])
    return {f"{files:,} files of {size(each)}": (files, each) for files, each in chosen}


def _measure_set(bench: Bench, name: str, files: int, each: int, repetitions: int) -> None:
    source = bench.moved.sources[CLAIM]
    fill(source, files, each)
    ways = list(_WAYS)
    for turn in range(repetitions):
        for way in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
            _empty(bench.moved.targets[CLAIM])
            prepare, run = _WAYS[way]
            prepare(bench)
            os.sync()
            with _measured(bench) as figures:
                run(bench)
            bench.taken.setdefault((name, way), []).append(figures[0])
            found = sum(len(names) for _, _, names in os.walk(bench.moved.targets[CLAIM]))
            if found != files:
                raise RuntimeError(f"{way}: {found} of {files} files arrived")
    _empty(source)


# The ways


def _nothing(bench: Bench) -> None:
    pass


def _prepare(*wanted: Any) -> Callable[[Bench], None]:
    def prepare(bench: Bench) -> None:
        bench.moved.transfer.prepare(wanted)

    return prepare


def _portable(bench: Bench) -> None:
    bench.moved.transfer.seed(CLAIM)


def _tar_tcp(bench: Bench) -> None:
    sides = bench.moved.sides
    take = f"socat -u TCP-LISTEN:{_PORT},reuseaddr STDOUT | tar -C /data -xpf -"
    give = f"tar -C /data -cf - . | socat -u STDIN TCP:{_address(sides.target)}:{_PORT},retry=50,interval=0.1"
    _both(bench.pod(sides.target, take), bench.pod(sides.source, give))


def _rsync(bench: Bench) -> None:
    sides = bench.moved.sides
    at = f"rsync://{_address(sides.target)}:{_PORT}/data/"
    give = f"until rsync -aHAXS --numeric-ids --whole-file /data/ {at}; do [ $? = 10 ] && sleep 0.1 || exit 1; done"
    _both(bench.pod(sides.target, _RSYNCD), bench.pod(sides.source, give))


def _tar_exec(bench: Bench) -> None:
    sides = bench.moved.sides
    giving = subprocess.Popen(
        bench.pod(sides.source, "tar -C /data -cf - ."), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    taking = subprocess.Popen(bench.pod(sides.target, "tar -C /data -xpf -"), stdin=giving.stdout)
    if giving.stdout is not None:
        giving.stdout.close()
    if taking.wait() or giving.wait():
        raise RuntimeError("tar through kubectl exec failed")


def _kubectl_cp(bench: Bench) -> None:
    sides = bench.moved.sides
    with tempfile.TemporaryDirectory() as folder:
        _run([*bench.kubectl, "cp", "-n", sides.source.namespace, "by-hand:/data", f"{folder}/data"])
        _run([*bench.kubectl, "cp", "-n", sides.target.namespace, f"{folder}/data/.", "by-hand:/data"])


_WAYS: dict[str, tuple[Callable[[Bench], None], Callable[[Bench], None]]] = {
    "`tar \\| tar` over plain TCP": (_nothing, _tar_tcp),
    "`rsync -aHAXS` over plain TCP": (_nothing, _rsync),
    "`kubectl exec tar \\| kubectl exec tar`": (_nothing, _tar_exec),
    "`kubectl cp`, twice": (_nothing, _kubectl_cp),
    "portable, direct": (_prepare(*PATHS), _portable),
    "portable, relayed": (_prepare("relayed"), _portable),
}
_HAND = tuple(way for way in _WAYS if not way.startswith("portable"))


def _both(first: list[str], second: list[str]) -> None:
    with subprocess.Popen(first, stdin=subprocess.DEVNULL) as taking:
        _run(second)
        if taking.wait(timeout=600):
            raise RuntimeError(f"{first[-1]} failed")


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


# The world


@contextmanager
def _cluster(folder: Path) -> Iterator[str]:
    given = os.environ.get("PORTABLE_BENCH_CLUSTER")
    if given:
        yield given
        return
    name, anchor = "portable-bench-migrate", folder / "anchor.yaml"
    anchor.write_text(app("anchor", name, {"idle": HELLO}))
    variables = {**os.environ, "PORTABLE_STATE": str(folder / "state")}
    subprocess.run([PORTABLE, "up", "--yes", "--cloud", "kind", anchor], check=True, env=variables)
    try:
        yield name
    finally:
        command = [PORTABLE, "destroy", "--yes", "--destroy-data", "--cloud", "kind", anchor]
        subprocess.run(command, check=True, env=variables)


def _build_tools() -> None:
    if TOOLS in docker.image_ids([TOOLS]):
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        hook = 'ln -sf bash "$1/bin/sh"; rm -rf "$1"/usr/share/doc "$1"/usr/share/locale "$1"/usr/share/man'
        database_images.bootstrap("bench tools", ("base-files", "libc-bin", *_PACKAGES), hook, folder / "root.tar")
        (folder / "Dockerfile").write_text("FROM scratch\nADD root.tar /\nENV PATH=/usr/bin:/bin\n")
        docker.run("build", "--quiet", "--tag", TOOLS, str(folder), timeout=600)


def _kubectl(moved: Moving, folder: Path, cluster: str) -> tuple[str, ...]:
    kubeconfig = folder / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(moved.sides.source.kube.kubeconfig)
    program = shutil.which("kubectl")
    if program is None:
        program = str(folder / "kubectl")
        docker.run("cp", "--follow-link", f"{cluster}-control-plane:/usr/bin/kubectl", program)
    return program, f"--kubeconfig={kubeconfig}"


def _start_tools(bench: Bench, cluster: str) -> None:
    """A pod with the volume at each end. It is a mover by its label, so that it does not count as the app's."""
    images.load(cluster, [TOOLS], nowhere)
    for side in (bench.moved.sides.source, bench.moved.sides.target):
        level = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}
        side.kube.merge_patch("v1", "Namespace", side.namespace, level)
        labels = objects.labels(bench.moved.sides.migration, "by-hand")
        container = {
            "name": "main", "image": TOOLS, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "infinity"],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        }  # fmt: skip
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": CLAIM}}]
        spec = {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 0}
        metadata = {"name": "by-hand", "namespace": side.namespace, "labels": labels}
        side.kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        deadline = time.monotonic() + 120
        while _status(side).get("phase") != "Running":
            if time.monotonic() > deadline:
                raise RuntimeError(f"the pod with the tools does not start: {_status(side)}")
            time.sleep(0.5)


def _status(side: Side) -> dict[str, Any]:
    return (side.kube.get("v1", "Pod", "by-hand", side.namespace) or {}).get("status", {})


def _address(side: Side) -> str:
    return str(_status(side)["podIP"])


def _empty(folder: Path) -> None:
    for found in folder.iterdir():
        shutil.rmtree(found) if found.is_dir() else found.unlink()


# Figures


@contextmanager
def _measured(bench: Bench) -> Iterator[list[Taken]]:
    """The one figure is there when the block has ended."""
    groups = _groups(bench)
    over, peak = threading.Event(), [0.0]

    def sample() -> None:
        while not over.wait(0.1):
            peak[0] = max(peak[0], sum(_anonymous(group) for _, group in groups) / 2**20)

    sampling = threading.Thread(target=sample, daemon=True)
    figures: list[Taken] = []
    before, began = _cpu(groups), time.monotonic()
    sampling.start()
    yield figures
    seconds, after = time.monotonic() - began, _cpu(groups)
    over.set()
    sampling.join()
    figures.append(Taken(seconds, after - before, peak[0]))


def _groups(bench: Bench) -> list[tuple[Path, Path]]:
    """(processor time, memory): the control groups of both namespaces' pods, as this machine sees them, v2 or v1."""
    top, found = Path("/sys/fs/cgroup"), []
    one = (top / "cgroup.controllers").exists()
    processor, memory = (top, top) if one else (top / "cpuacct", top / "memory")
    for side in (bench.moved.sides.source, bench.moved.sides.target):
        for pod in side.kube.list("v1", "Pod", side.namespace):
            name = f"**/*pod{pod['metadata']['uid'].replace('-', '_')}*.slice"
            found += zip(sorted(processor.glob(name)), sorted(memory.glob(name)), strict=False)
    return found


def _cpu(groups: Groups) -> float:
    pods = sum(_processor(group) for group, _ in groups)
    usages = (getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN))
    return pods + sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _processor(group: Path) -> float:
    if (group / "cpu.stat").exists() and "usage_usec" in (text := (group / "cpu.stat").read_text()):
        return float(text.split()[1]) / 1e6
    return float((group / "cpuacct.usage").read_text()) / 1e9


def _anonymous(group: Path) -> float:
    """Memory that is no file cache, in bytes; 0 where the pod has gone."""
    try:
        lines = (line.split() for line in (group / "memory.stat").read_text().splitlines())
    except OSError:
        return 0.0
    return max(float(value) for key, value in lines if key in ("anon", "total_rss"))


def _report(bench: Bench) -> str:
    rows = []
    for name, (files, each) in _sets().items():
        fastest = min(min(t.seconds for t in bench.taken[name, way]) for way in _HAND)
        for way in _WAYS:
            taken = bench.taken[name, way]
            best = min(taken, key=lambda one: one.seconds)
            rows.append((
                f"{name}: {way}", f"{best.seconds:.1f} s", f"{files * each / best.seconds / 1e6:,.0f} MB/s",
                f"{files / best.seconds:,.0f}" if files > 1000 else "", f"{fastest / best.seconds:.2f}",
                f"{best.cpu:.1f} s", f"{max(one.mib for one in taken):.0f} MiB",
            ))  # fmt: skip
    head = (
        "data and way",
        "minimum",
        "throughput",
        "files a second",
        "of the best by hand",
        "processor time",
        "peak memory",
    )
    return table(head, rows)
