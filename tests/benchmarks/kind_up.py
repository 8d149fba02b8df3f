"""`up` on kind, from nothing and without changes, three ways: portable, plain Pulumi, kubectl. Each ends when all is Ready."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks import generate
from tests.benchmarks.measure import Run, Runs, environment, run
from tests.benchmarks.page import table
from tests.benchmarks.startup import PORTABLE, ROOT
from tests.images import make_images

WORKLOADS = 15  # 62 objects
IMAGE = "hello:1.0"
PLAIN_PULUMI = Path(__file__).with_name("plain_pulumi.py")
CONTENDERS = ("kubectl", "portable", "pulumi")
GOALS = {"first": 1.5, "unchanged": 1.0}  # portable's time in kubectl's


@dataclass
class Bench:
    """A cluster and a folder with each contender's spec and rendered objects. The state is ours and ends with the folder."""

    folder: Path
    cluster: str
    taken: dict[tuple[str, str], list[Run]] = field(default_factory=dict)

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def spec(self, contender: str) -> Path:
        return self.folder / f"{contender}.yaml"

    def rendered(self, contender: str) -> Path:
        return self.folder / f"{contender}.objects.yaml"

    @property
    def variables(self) -> dict[str, str]:
        return {"PORTABLE_STATE": str(self.folder / "state"), "KUBECONFIG": str(self.kubeconfig)}

    def run(self, *command: str | Path) -> Run:
        return run(command, folder=self.folder, variables=self.variables)

    def read(self, *command: str | Path) -> str:
        variables = {**environment(), **self.variables}
        return subprocess.run(
            command, cwd=self.folder, env=variables, check=True, capture_output=True, text=True
        ).stdout

    def record(self, contender: str, what: str, taken: Run) -> None:
        self.taken.setdefault((contender, what), []).append(taken)


def namespace(contender: str) -> str:
    return f"bench-{contender}"


def measure(repetitions: int) -> str:
    """Makes the cluster `portable-bench` (or uses $PORTABLE_BENCH_CLUSTER, which is left running) and destroys it at the end."""
    given = os.environ.get("PORTABLE_BENCH_CLUSTER")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), given or "portable-bench")
        try:
            objects = _prepare(bench)
            for turn in range(repetitions):
                first = turn % len(CONTENDERS)  # nobody is always first
                for contender in CONTENDERS[first:] + CONTENDERS[:first]:
                    _round(bench, contender)
        finally:
            _clean_up(bench, keep_cluster=given is not None)
        return _report(bench, objects)


def _prepare(bench: Bench) -> int:
    """The image, the cluster with the image in its nodes, every contender's objects. Returns how many objects each has."""
    make_images(ROOT / "examples" / "hello")
    for contender in CONTENDERS:
        app = generate.runnable(WORKLOADS, name=namespace(contender), image=IMAGE)
        bench.spec(contender).write_text(f"{app}cluster: {{name: {bench.cluster}}}\n")
        bench.rendered(contender).write_text(bench.read(PORTABLE, "render", "--cloud", "kind", bench.spec(contender)))
    bench.run(
        PORTABLE, "up", "--yes", "--cloud", "kind", bench.spec("portable")
    )  # the cluster is no part of what is measured
    bench.kubeconfig.touch(mode=0o600)
    bench.kubeconfig.write_text(_kubeconfig(bench.cluster))
    _destroy(bench, "portable")
    return bench.rendered("kubectl").read_text().count("\nkind: ")


def _kubeconfig(cluster: str) -> str:
    from portable.provider import load_provider
    from portable.spec.model import Cluster

    return load_provider("kind").credentials(Cluster(name=cluster)).kubeconfig


def _round(bench: Bench, contender: str) -> None:
    """From nothing, then without changes; portable also with one field changed behind its back."""
    up = _UP[contender]
    bench.record(contender, "first", up(bench))
    bench.record(contender, "unchanged", up(bench))
    if contender == "portable":
        bench.record(contender, "drift", _drift(bench))
    _destroy(bench, contender)


def _portable(bench: Bench) -> Run:
    return bench.run(PORTABLE, "up", "--yes", "--cloud", "kind", bench.spec("portable"))


def _kubectl(bench: Bench) -> Run:
    apply = bench.run(
        _kubectl_binary(bench), "apply", "--server-side", "--force-conflicts", "--filename", bench.rendered("kubectl")
    )
    return _and(apply, _rollout_status(bench, "kubectl"))


def _pulumi(bench: Bench) -> Run:
    up = bench.run(sys.executable, PLAIN_PULUMI, "up", bench.spec("pulumi"))
    return _and(up, _rollout_status(bench, "pulumi"))


_UP: dict[str, Callable[[Bench], Run]] = {"portable": _portable, "kubectl": _kubectl, "pulumi": _pulumi}


def _rollout_status(bench: Bench, contender: str) -> Run:
    return bench.run(
        _kubectl_binary(bench), "rollout", "status", "deployment", "--namespace", namespace(contender), "--timeout=5m"
    )


def _and(first: Run, second: Run) -> Run:
    return Run(first.seconds + second.seconds, first.cpu + second.cpu, max(first.mib, second.mib))


def _drift(bench: Bench) -> Run:
    """One live field is changed by hand; `up` must put it back. Raises RuntimeError if it does not."""
    where = ("deployment/service-00", "--namespace", namespace("portable"))
    kubectl = _kubectl_binary(bench)
    bench.run(kubectl, "set", "env", *where, "GREETING=changed")
    taken = _portable(bench)
    live = json.loads(bench.read(kubectl, "get", *where, "--output", "json"))
    variables = live["spec"]["template"]["spec"]["containers"][0]["env"]
    if {"name": "GREETING", "value": "Hello"} not in variables:
        raise RuntimeError(f"drift was not put back: {variables}")
    return taken


def _kubectl_binary(bench: Bench) -> Path:
    """kubectl on PATH, else the node's own: every kind node image has one, of its cluster's version."""
    found = shutil.which("kubectl")
    if found:
        return Path(found)
    copied = bench.folder / "kubectl"
    if not copied.exists():
        node = f"{bench.cluster}-control-plane:/usr/bin/kubectl"
        subprocess.run(["docker", "cp", "--follow-link", node, copied], check=True, capture_output=True)
    return copied


def _destroy(bench: Bench, contender: str) -> None:
    """The contender's app and all that belongs to it; the cluster stays."""
    if contender == "portable":
        bench.run(
            PORTABLE, "destroy", "--yes", "--destroy-data", "--keep-cluster", "--cloud", "kind", bench.spec(contender)
        )
    elif contender == "pulumi":
        bench.run(sys.executable, PLAIN_PULUMI, "destroy", bench.spec("pulumi"))
    bench.run(_kubectl_binary(bench), "delete", "namespace", namespace(contender), "--ignore-not-found", "--timeout=3m")
    time.sleep(2)  # the pods' processes end a little after their objects


def _clean_up(bench: Bench, *, keep_cluster: bool) -> None:
    if keep_cluster:
        if bench.kubeconfig.exists():
            for contender in CONTENDERS:
                bench.run(
                    _kubectl_binary(bench),
                    "delete",
                    "namespace",
                    namespace(contender),
                    "--ignore-not-found",
                    "--wait=false",
                )
    else:
        bench.run(PORTABLE, "destroy", "--yes", "--destroy-data", "--cloud", "kind", bench.spec("portable"))


def _report(bench: Bench, objects: int) -> str:
    taken = {key: Runs(tuple(runs)) for key, runs in bench.taken.items()}
    head = [f"{objects} objects, {WORKLOADS} of them Deployments", "minimum", "median", "of kubectl's", "goal"]
    return table(
        head,
        [
            _row(taken, contender, what)
            for what in ("first", "unchanged", "drift")
            for contender in CONTENDERS
            if (contender, what) in taken
        ],
    )


def _row(taken: dict[tuple[str, str], Runs], contender: str, what: str) -> list[str]:
    words = {"first": "from nothing", "unchanged": "without changes", "drift": "one field changed by hand"}
    runs = taken[contender, what]
    base = taken.get(("kubectl", what))
    goal = GOALS.get(what) if contender == "portable" else None
    return [
        f"{contender}, {words[what]}",
        f"{runs.minimum:.1f} s",
        f"{runs.median:.1f} s",
        f"{runs.minimum / base.minimum:.2f}" if base else "",
        f"{goal:.1f}" if goal else "",
    ]
