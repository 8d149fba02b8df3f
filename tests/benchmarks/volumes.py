"""A volume from pod to pod: by hand in the ways that people do it, and by portable's movers. Same data, same run, in turns.

By hand nothing is encrypted but what goes through the API server; nothing compares, proves or goes on after a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portable.events import nowhere
from portable.migrate.sides import Side
from portable.migrate.transfer import PATHS, objects
from portable.terminal.state import size
from portable_kind import database_images, docker, images, mover_image
from tests.benchmarks import pods
from tests.benchmarks.page import table
from tests.benchmarks.pods import Taken
from tests.benchmarks.startup import PORTABLE
from tests.e2e.conftest import HELLO, app
from tests.e2e.volumes_moving import Moving, fill, moving

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
class Data:
    """So many files of so many bytes each."""

    files: int
    each: int

    def __str__(self) -> str:
        return f"{self.files:,} files of {size(self.each)}"

    @property
    def small(self) -> bool:
        return self.files > 1000

    def share(self, of: float) -> Data:
        return Data(int(self.files * of), self.each) if self.small else Data(self.files, int(self.each * of))


LARGE, SMALL = Data(4, 256 << 20), Data(100_000, 4096)


@dataclass
class Bench:
    moved: Moving
    kubectl: tuple[str, ...]
    taken: dict[tuple[Data, str], list[Taken]] = field(default_factory=dict)
    down: dict[tuple[Data, str], list[float]] = field(default_factory=dict)

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


def large(repetitions: int) -> str:
    return _measure(LARGE, repetitions)


def small(repetitions: int) -> str:
    return _measure(SMALL, repetitions)


def _measure(data: Data, repetitions: int) -> str:
    """On the cluster $PORTABLE_BENCH_CLUSTER, or on one made for it and destroyed afterwards; two namespaces are the two ends.
    PORTABLE_BENCH_SHARE=0.05 takes a twentieth of the data, to see whether it works."""
    data = data.share(float(os.environ.get("PORTABLE_BENCH_SHARE", "1")))
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
        _measure_set(bench, data.share(0.1), 1, [_DIRECT])  # does memory grow with the data?
        _measure_set(bench, data, repetitions, list(_WAYS))
        return _report(bench)


def _measure_set(bench: Bench, data: Data, repetitions: int, ways: list[str]) -> None:
    source, target = bench.moved.sources[CLAIM], bench.moved.targets[CLAIM]
    aside = Path(tempfile.mkdtemp(dir=target.parent))
    fill(source, data.files, data.each)
    for turn in range(repetitions):
        first = turn % len(ways)
        for name in ways[first:] + ways[:first]:
            _empty(target, aside)
            _turn(bench, data, name)
            if not data.small:
                _clear(aside)
    for folder in (source, target, aside):
        _clear(folder)
    aside.rmdir()


def _turn(bench: Bench, data: Data, name: str) -> None:
    way = _WAYS[name]
    way.prepare(bench)
    os.sync()
    with pods.measured(_groups(bench, way)) as figures:
        way.run(bench)
    found = sum(len(names) for _, _, names in os.walk(bench.moved.targets[CLAIM]))
    if found != data.files:
        raise RuntimeError(f"{name}: {found} of {data.files} files arrived")
    print(f"{data}: {name}: {figures[0].seconds:.1f} s", file=sys.stderr, flush=True)  # all of it takes minutes
    bench.taken.setdefault((data, name), []).append(figures[0])
    began = time.monotonic()
    if way.again is not None:
        way.again(bench)
    bench.down.setdefault((data, name), []).append(time.monotonic() - began if way.again else figures[0].seconds)


# The ways


@dataclass(frozen=True)
class Way:
    """`again`: what is left to do when the source stands still, if it need not do so during `run`. `ours`: the movers do it."""

    run: Callable[[Bench], None]
    prepare: Callable[[Bench], None] = lambda _bench: None
    again: Callable[[Bench], None] | None = None
    ours: bool = False


def _prepare(*wanted: Any) -> Callable[[Bench], None]:
    def prepare(bench: Bench) -> None:
        bench.moved.transfer.prepare(wanted)

    return prepare


def _seed(bench: Bench) -> None:
    bench.moved.transfer.seed(CLAIM)


def _finish(bench: Bench) -> None:
    """What stands between the source's stop and the target's start."""
    bench.moved.transfer.final(CLAIM)
    proof = bench.moved.transfer.verify(CLAIM)
    if not proof.equal:
        raise RuntimeError(f"not equal: {proof.differences}")


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


_DIRECT = "portable, direct"
_WAYS = {
    "`tar \\| tar` over plain TCP": Way(_tar_tcp),
    "`rsync -aHAXS` over plain TCP": Way(_rsync, again=_rsync),
    "`kubectl exec tar \\| kubectl exec tar`": Way(_tar_exec),
    "`kubectl cp`, twice": Way(_kubectl_cp),
    _DIRECT: Way(_seed, prepare=_prepare(*PATHS), again=_finish, ours=True),
    "portable, relayed": Way(_seed, prepare=_prepare("relayed"), again=_finish, ours=True),
}


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


def _empty(folder: Path, aside: Path) -> None:
    """Not removed yet: file systems take long to get past the inodes of 100,000 files that went a moment ago."""
    held = Path(tempfile.mkdtemp(dir=aside))
    for found in folder.iterdir():
        found.rename(held / found.name)


def _clear(folder: Path) -> None:
    for found in folder.iterdir():
        shutil.rmtree(found) if found.is_dir() else found.unlink()


def _groups(bench: Bench, way: Way) -> pods.Groups:
    """Of the pods that do it: what idle ones hold in memory does not count."""
    found = [
        pod
        for side in (bench.moved.sides.source, bench.moved.sides.target)
        for pod in side.kube.list("v1", "Pod", side.namespace)
    ]
    return pods.groups([pod["metadata"]["uid"] for pod in found if (pod["metadata"]["name"] != "by-hand") == way.ours])


def _report(bench: Bench) -> str:
    rows = []
    for (data, name), taken in bench.taken.items():
        by_hand = [bench.taken.get((data, other), []) for other, way in _WAYS.items() if not way.ours]
        fastest = min((one.seconds for many in by_hand for one in many), default=0.0)
        best = min(taken, key=lambda one: one.seconds)
        rows.append((
            f"{data}: {name}", f"{best.seconds:.1f} s", f"{data.files * data.each / best.seconds / 1e6:,.0f} MB/s",
            f"{data.files / best.seconds:,.0f}" if data.small else "", f"{fastest / best.seconds:.2f}" if fastest else "",
            f"{best.cpu:.1f} s", f"{max(one.mib for one in taken):.0f} MiB", f"{min(bench.down[data, name]):.1f} s",
        ))  # fmt: skip
    head = (
        "data and way",
        "minimum",
        "throughput",
        "files a second",
        "of the best by hand",
        "processor time",
        "peak memory",
        "source stands still",
    )
    return table(head, rows)
