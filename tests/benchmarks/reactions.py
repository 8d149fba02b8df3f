"""How soon an app is itself again: portable, and the same app with the plain manifests that one writes by hand for kubectl.

Both under the same load, whose failed requests are counted too. kubectl is the node's own, called by `docker exec`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from portable.kube import Kube
from portable.spec.model import Cluster
from tests.benchmarks.measure import environment
from tests.benchmarks.page import table
from tests.benchmarks.startup import PORTABLE
from tests.e2e import promises
from tests.e2e.conftest import wait
from tests.load import Stream, load

CONTENDERS = ("kubectl", "portable")
REACTIONS = {
    "kill": "a process is killed until both pods are ready",
    "hang": "a process hangs until both pods are ready",
    "change": "a setting changes until it is rolled out",
    "scale": "load begins until four pods are ready",
}
SCALE = {"min": 2, "max": 4, "cpu": 60}
CLIENTS = (Stream("kept", rate=20, patience=15), Stream("slow", rate=1, path="/slow?ms=5000", patience=30))
BUSY = Stream("busy", rate=10, path="/burn?ms=40", patience=30)
LABEL = "app.kubernetes.io/name"


@dataclass
class Bench:
    folder: Path
    cluster: str
    http_port: int = 80
    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    failed: dict[tuple[str, str], int] = field(default_factory=dict)

    def spec(self) -> Path:
        return self.folder / "portable.yaml"

    def portable(self, *command: str) -> None:
        variables = {**environment(), "PORTABLE_STATE": str(self.folder / "state")}
        subprocess.run(
            [PORTABLE, *command, "--cloud", "kind", "--yes", self.spec()],
            env=variables,
            check=True,
            capture_output=True,
        )

    def kubectl(self, *arguments: str, stdin: str = "") -> None:
        inside = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", *arguments)
        command = ["docker", "exec", "--interactive", f"{self.cluster}-control-plane", *inside]
        subprocess.run(command, input=stdin, text=True, check=True, capture_output=True)

    def kube(self) -> Kube:
        from portable.provider import load_provider

        return Kube.reach(load_provider("kind").credentials(Cluster(name=self.cluster)))

    def deploy(self, contender: str, greeting: str) -> None:
        """Until all of it is ready."""
        if contender == "portable":
            self.spec().write_text(spec(self.cluster, greeting))
            self.portable("up")
        else:
            self.kubectl("apply", "--filename", "-", stdin=manifests(greeting))
            self.kubectl("rollout", "status", "deployment/web", "--namespace", namespace("kubectl"), "--timeout=5m")

    def note(self, contender: str, reaction: str, seconds: float, failed: int) -> None:
        self.seconds.setdefault((contender, reaction), []).append(seconds)
        self.failed[contender, reaction] = self.failed.get((contender, reaction), 0) + failed


def namespace(contender: str) -> str:
    return f"reactions-{contender}"


def host(contender: str) -> str:
    return f"{namespace(contender)}.localhost"


def spec(cluster: str, greeting: str) -> str:
    web = promises.subject(host("portable"), variables={"GREETING": greeting}, scale=SCALE)
    web["containers"]["main"]["resources"]["requests"]["cpu"] = "100m"
    app = {
        "apiVersion": "portable/v1",
        "kind": "App",
        "metadata": {"name": namespace("portable")},
        "cluster": {"name": cluster},
        "workloads": {"web": web},
    }
    return yaml.safe_dump(app, sort_keys=False)


def manifests(greeting: str) -> str:
    """As in Kubernetes' own tutorials: the same image, probes, resources, route and target of the autoscaler, no more."""
    probe = {"httpGet": {"path": "/healthz", "port": 8080}}
    container = {
        "name": "main",
        "image": promises.IMAGE,
        "env": [{"name": "GREETING", "value": greeting}],
        "ports": [{"containerPort": 8080}],
        "readinessProbe": probe,
        "livenessProbe": probe,
        "resources": {"requests": {"cpu": "100m", "memory": "24Mi"}, "limits": {"memory": "96Mi"}},
    }
    pod = {"metadata": {"labels": {LABEL: "web"}}, "spec": {"containers": [container]}}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {
        "host": host("kubectl"),
        "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]},
    }
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
    deployment = {"selector": {"matchLabels": {LABEL: "web"}}, "template": pod}
    autoscaler = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": SCALE["min"],
        "maxReplicas": SCALE["max"],
        "metrics": [cpu],
    }
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace("kubectl")}},
        _object("apps/v1", "Deployment", deployment),
        _object("v1", "Service", {"selector": {LABEL: "web"}, "ports": [{"port": 80, "targetPort": 8080}]}),
        _object("networking.k8s.io/v1", "Ingress", {"ingressClassName": "portable", "rules": [rule]}),
        _object("autoscaling/v2", "HorizontalPodAutoscaler", autoscaler),
    ]
    return yaml.dump_all(objects, sort_keys=False)


def _object(version: str, kind: str, content: dict[str, Any]) -> dict[str, Any]:
    name = {"name": "web", "namespace": namespace("kubectl")}
    return {"apiVersion": version, "kind": kind, "metadata": name, "spec": content}


def measure(repetitions: int) -> str:
    """Makes the cluster `portable-reactions` (or uses $PORTABLE_BENCH_CLUSTER, which is left running) and destroys it at the end."""
    given = os.environ.get("PORTABLE_BENCH_CLUSTER")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), given or "portable-reactions")
        try:
            _prepare(bench)
            for turn in range(repetitions):
                for contender in CONTENDERS if turn % 2 == 0 else reversed(CONTENDERS):
                    _round(bench, contender, turn)
        finally:
            bench.portable("destroy", "--destroy-data", *(["--keep-cluster"] if given else []))
            if given:
                bench.kubectl("delete", "namespace", namespace("kubectl"), "--ignore-not-found", "--wait=false")
    return _report(bench)


def _prepare(bench: Bench) -> None:
    """Both apps, alone: load on one must not take the other's processor."""
    from portable_kind import lifecycle

    promises.build_images()
    for contender in reversed(CONTENDERS):  # portable brings the cluster, and the image into it
        bench.deploy(contender, "Hello")
    bench.http_port = lifecycle.ports(bench.cluster).http


def _round(bench: Bench, contender: str, turn: int) -> None:
    with bench.kube() as kube:
        where = (kube, namespace(contender))

        def strong(pods: int) -> bool:
            live = kube.get("apps/v1", "Deployment", "web", namespace(contender))
            return (
                live is not None
                and live["spec"]["replicas"] == pods
                and promises.full_strength(*where, "Deployment", "web")
            )

        def struck(blow: Callable[[dict[str, Any]], object]) -> None:
            before = promises.lives(*where, "web")
            blow(promises.staying(*where, "web")[0])
            wait(lambda: promises.lives(*where, "web") != before and strong(2), "both pods are ready")

        wait(lambda: strong(2), "two pods", seconds=600)
        with _timed(bench, contender, "kill"):
            struck(promises.kill_process)
        with _timed(bench, contender, "hang"):
            struck(lambda pod: promises.post_to_pod(pod, "/hang"))
        with _timed(bench, contender, "change"):
            bench.deploy(contender, f"Hello {turn}")
        wait(lambda: strong(2), "two pods", seconds=600)
        with _timed(bench, contender, "scale", BUSY):
            wait(lambda: strong(4), "four pods", seconds=300)


@contextmanager
def _timed(bench: Bench, contender: str, reaction: str, *more: Stream) -> Iterator[None]:
    """The block under load; what it takes and what fails meanwhile is noted."""
    url = f"http://{host(contender)}:{bench.http_port}"
    promises.await_answer(url)
    with load(url, *CLIENTS, *more) as record:
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        time.sleep(2)
    bench.note(contender, reaction, took, len(record.failed()))


def _report(bench: Bench) -> str:
    head = ["from ... until ...", *(f"{each}{words}" for each in CONTENDERS for words in ("", ", failed requests"))]
    rows = [
        [
            words,
            *(
                cell
                for each in CONTENDERS
                for cell in (f"{median(bench.seconds[each, name]):.1f} s", str(bench.failed[each, name]))
            ),
        ]
        for name, words in REACTIONS.items()
    ]
    return table(head, rows)
