"""What the proofs of the promises share: the app under load, its streams, and the tables that a whole run writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portable.kube import Kube
from portable_kind import docker
from tests import soak
from tests.benchmarks import page
from tests.e2e.conftest import ROOT
from tests.e2e.web import fetch
from tests.images import make_images
from tests.load import Record, Stream, load

IMAGE, NEXT_IMAGE = "portable-test/subject:1.0", "portable-test/subject:1.1"
PAGE = ROOT / "docs" / "reliability.md"
HTTP = {"httpGet": {"path": "/healthz", "port": "http"}}
# One client that keeps its connections, one that never does, and one whose requests take 5 s.
CLIENTS = (
    Stream("keep-alive", rate=20, connections=4, patience=20),
    Stream("fresh", rate=10, keep_alive=False, patience=20),
    Stream("slow", rate=1, path="/slow?ms=5000", patience=30),
)


def build_images() -> None:
    """portable-test/subject in two versions."""
    for image in (IMAGE, NEXT_IMAGE):
        make_images(Path(__file__).parent / "subject", image.partition(":")[2])


def subject(
    host: str, *, replicas: int = 2, image: str = IMAGE, variables: Mapping[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    """The workload as a user would write it: two probes, a memory limit; everything else is portable's default."""
    resources = {"requests": {"cpu": "20m", "memory": "24Mi"}, "limits": {"memory": "96Mi"}}
    greeting = {"GREETING": "Hello", **(variables or {})}
    main = {
        "image": image,
        "variables": greeting,
        "resources": resources,
        "readinessProbe": HTTP,
        "livenessProbe": HTTP,
    }
    return {
        "containers": {"main": main},
        "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
        "routes": {"main": {"host": host}},
        "scale": {"min": replicas},
        **more,
    }


def url_of(up: Mapping[str, Any]) -> str:
    (address,) = up["addresses"]
    return str(address["url"]).rstrip("/")


@contextmanager
def under_load(url: str, *streams: Stream) -> Iterator[Record]:
    """Load on a route that answers, with a moment of calm before and after what the block does."""
    await_answer(url)
    with load(url, *(streams or CLIENTS)) as record:
        time.sleep(2)
        yield record
        time.sleep(2)


def await_answer(url: str, seconds: float = 60) -> None:
    """The ingress learns of a new route a moment after it is there."""
    deadline = time.monotonic() + seconds
    while (status := fetch(url).status) != 200:
        assert time.monotonic() < deadline, f"{url} answers {status}"
        time.sleep(0.2)


def full_strength(kube: Kube, namespace: str, kind: str, name: str) -> bool:
    """Whether every wanted pod is there, ready and on a node that is ready, and none beyond them."""
    found = kube.get("apps/v1", kind, name, namespace)
    assert found is not None
    wanted = found["spec"]["replicas"]
    ready_nodes = {node["metadata"]["name"] for node in kube.list("v1", "Node") if _is(node, "Ready")}
    pods = staying(kube, namespace, name)
    well = [pod for pod in pods if _is(pod, "Ready") and pod["spec"].get("nodeName") in ready_nodes]
    return len(well) == wanted == len(pods)


def _is(item: Mapping[str, Any], condition: str) -> bool:
    conditions = item.get("status", {}).get("conditions", ())
    return any(each["type"] == condition and each["status"] == "True" for each in conditions)


def lives(kube: Kube, namespace: str, name: str) -> set[tuple[str, int]]:
    """The pods that are to stay, each with how often it was started again: another set after anything died."""
    return {
        (pod["metadata"]["uid"], sum(status["restartCount"] for status in pod["status"].get("containerStatuses", ())))
        for pod in staying(kube, namespace, name)
    }


def staying(kube: Kube, namespace: str, name: str) -> list[dict[str, Any]]:
    """A workload's pods without those that are ending."""
    pods = kube.list("v1", "Pod", namespace, label_selector=f"app.kubernetes.io/name={name}")
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]


def kill_process(pod: Mapping[str, Any]) -> None:
    """SIGKILL to the process of the subject itself, from the pod's node."""
    uid = pod["metadata"]["uid"]
    script = (
        f"for file in $(grep -l -e {uid} -e {uid.replace('-', '_')} /proc/[0-9]*/cgroup); do process=${{file%/cgroup}};"
        " case $(readlink $process/exe) in */subject) kill -9 ${process#/proc/}; echo killed;; esac; done"
    )
    assert "killed" in docker.execute(pod["spec"]["nodeName"], "sh", "-c", script)


def post_to_pod(pod: Mapping[str, Any], path: str, body: str = "") -> bool:
    """From the pod's node, to this pod and no other; whether it was answered with success, within 5 s."""
    from portable.errors import ProviderError

    command = ("curl", "--silent", "--fail", "--max-time", "5", "--data-binary", "@-", "--output", "/dev/null")
    try:
        docker.execute(
            pod["spec"]["nodeName"], *command, f"http://{pod['status']['podIP']}:8080{path}", stdin=body.encode()
        )
    except ProviderError:
        return False
    return True


@dataclass(frozen=True)
class Table:
    """A proof's table: one row for each case, printed when its module ends, and put on the page after a whole run. `section` is the
    test file, with a word after it where the file has two."""

    section: str
    head: Sequence[str]
    rows: list[Sequence[str]]

    def tell(self, say: Callable[[str], None]) -> None:
        if not self.rows:
            return
        body = page.table(self.head, self.rows)
        say(f"{self.section}\n\n{body}")
        if soak.SOAK:
            command = f"PORTABLE_SOAK=1 pytest {self.section.split()[0]}"
            page.rewrite(self.section, body, command=command, page=PAGE)
