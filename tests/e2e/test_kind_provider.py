"""The kind provider's own promises, on real clusters made through its classes."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest

from portable.errors import PortableError
from portable.events import Event, Step, nowhere
from portable.kube import Kube
from portable.provider import Ref
from portable.spec.model import Cluster, Nodes
from portable_kind import CLUSTER, Kind, authority, database_images, docker, lifecycle
from tests.soak import drawn

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

KIND = Kind()
ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "provider"
T = TypeVar("T")


def make(name: str, nodes: int, emit: Callable[[Event], None] = nowhere) -> dict[str, Any]:
    """The cluster stack of a spec, made in its order as the engine does; the outputs of the cluster."""
    outputs: dict[str, dict[str, Any]] = {}
    for resource in KIND.cluster(Cluster(name=name, nodes=Nodes(min=nodes))):
        inputs = {
            key: outputs[value.resource][value.output] if isinstance(value, Ref) else value
            for key, value in resource.inputs.items()
        }
        outputs[resource.name] = KIND.resource_types()[resource.type].create(inputs, emit)[1]
    return outputs["cluster"]


def end(name: str) -> None:
    KIND.resource_types()[CLUSTER].delete(name, {}, nowhere)


@dataclass(frozen=True)
class Made:
    name: str
    outputs: dict[str, Any]
    data: Path

    def kube(self) -> Kube:
        return Kube.connect(KIND.credentials(Cluster(name=self.name)).kubeconfig)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """A cluster of two nodes with the redis image in it."""
    folder = tmp_path_factory.mktemp("data")
    before = os.environ.get("PORTABLE_DATA")
    os.environ["PORTABLE_DATA"] = str(folder)
    name = f"two-{secrets.token_hex(3)}"
    try:
        outputs = make(name, 2)
        KIND.load_images(Cluster(name=name), [database_images.REDIS.reference], nowhere)
        with Kube.connect(KIND.credentials(Cluster(name=name)).kubeconfig) as kube:
            kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        yield Made(name, outputs, folder)
    finally:
        end(name)
        KIND.delete_kept_data(Cluster(name=name), "", nowhere)
        if before is None:
            del os.environ["PORTABLE_DATA"]
        else:
            os.environ["PORTABLE_DATA"] = before


def eventually(ask: Callable[[], T], *, seconds: float = 120, why: Callable[[], object] = str) -> T:
    """What `ask` returns once it is true; the last error or value, and `why`, in the message when it never is."""
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            last = answer = ask()
            if answer:
                return answer
        except (OSError, PortableError) as error:
            last = error
        if time.monotonic() > deadline:
            pytest.fail(f"never true within {seconds} s; last: {last!r}\n{why()}")
        time.sleep(0.5)


def system_image(kube: Kube, name: str) -> str:
    """The image of a Deployment that every cluster has: it is in the nodes already."""
    live = kube.get("apps/v1", "Deployment", name, "kube-system")
    assert live is not None
    return live["spec"]["template"]["spec"]["containers"][0]["image"]


def pod(name: str, image: str, *, node: str | None = None, **container: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "securityContext": {"runAsUser": 999, "runAsNonRoot": True},
        "terminationGracePeriodSeconds": 1,
        "restartPolicy": "OnFailure",
        "containers": [{"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", **container}],
    }
    if node is not None:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def service(name: str, port: int, **spec: Any) -> dict[str, Any]:
    body = {"selector": {"app": name}, "ports": [{"port": port, "targetPort": port}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": body}


def phase(kube: Kube, name: str) -> str:
    live = kube.get("v1", "Pod", name, NAMESPACE)
    return live["status"].get("phase", "") if live else ""


def told(kube: Kube, name: str) -> str:
    """The pod's status and what the cluster says of all that happened."""
    events = [f"{event['involvedObject']['name']}: {event['message']}" for event in kube.list("v1", "Event", NAMESPACE)]
    return "\n".join([str((kube.get("v1", "Pod", name, NAMESPACE) or {}).get("status")), *events])


def test_both_nodes_are_ready_and_run_pods(made: Made) -> None:
    state = KIND.find(Cluster(name=made.name))
    assert state is not None
    assert state.healthy, state
    assert state.uid == made.outputs["uid"]
    with made.kube() as kube:
        nodes = kube.list("v1", "Node")
    assert len(nodes) == 2
    assert not any(node["spec"].get("taints") for node in nodes)


@pytest.mark.parametrize("component", ["kube-scheduler", "kube-controller-manager"])
def test_the_only_scheduler_and_controller_manager_need_no_election(component: str, made: Made) -> None:
    with made.kube() as kube:
        (live,) = kube.list("v1", "Pod", "kube-system", label_selector=f"component={component}")
    command = live["spec"]["containers"][0]["command"]
    assert [word for word in command if word.startswith("--leader-elect")] == ["--leader-elect=false"]


def test_making_it_again_changes_nothing(made: Made) -> None:
    before = [node.container for node in docker.nodes(made.name)]
    assert make(made.name, 2)["uid"] == made.outputs["uid"]
    assert [node.container for node in docker.nodes(made.name)] == before


def test_the_kubeconfig_is_for_its_owner_alone(made: Made) -> None:
    secret = [path for path in made.data.rglob("*") if path.is_file() and b"client-key-data" in path.read_bytes()]
    assert secret
    assert all(path.stat().st_mode & 0o077 == 0 for path in secret)


def test_an_image_is_loaded_once_and_again_when_rebuilt(made: Made) -> None:
    image, events = f"portable-test/{secrets.token_hex(3)}:1", list[Event]()

    def build(text: str) -> None:
        recipe = f"FROM {database_images.REDIS.reference}\nLABEL text={text}\n"
        docker.run("build", "--quiet", "--tag", image, "-", stdin=recipe.encode(), timeout=120)

    try:
        build("one")
        first = KIND.load_images(Cluster(name=made.name), [image, "portable-test/none:1"], events.append)
        assert list(first) == [image]
        assert events
        events.clear()
        assert KIND.load_images(Cluster(name=made.name), [image], events.append) == first
        assert not events, "nothing to load the second time"
        build("two")
        assert KIND.load_images(Cluster(name=made.name), [image], events.append) != first
        assert events
    finally:
        docker.run("rmi", "--force", image)


def test_a_volume_follows_its_pod_to_another_node_and_outlives_its_claim(made: Made) -> None:
    image = database_images.REDIS.reference
    control_plane, worker = (node.name for node in docker.nodes(made.name))
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "files", "namespace": NAMESPACE},
        "spec": {
            "storageClassName": "portable",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    volume = {"name": "files", "persistentVolumeClaim": {"claimName": "files"}}

    def run(name: str, node: str, script: str) -> str:
        manifest = pod(
            name,
            image,
            node=node,
            command=["bash", "-c", script],
            volumeMounts=[{"name": "files", "mountPath": "/files"}],
        )
        manifest["spec"]["volumes"] = [volume]
        kube.apply(manifest)
        eventually(lambda: phase(kube, name) == "Succeeded", why=lambda: told(kube, name))
        words = "\n".join(kube.logs(NAMESPACE, name))
        kube.delete("v1", "Pod", name, NAMESPACE)
        return words

    with made.kube() as kube:
        kube.apply(claim)
        run("writer", worker, "echo precious > /files/word")
        assert run("reader", control_plane, "cat /files/word") == "precious"

        # Kept when the app is destroyed, found again by a claim of the same name.
        kube.delete("v1", "PersistentVolumeClaim", "files", NAMESPACE)
        assert kube.wait_gone("v1", "PersistentVolumeClaim", "files", NAMESPACE, timeout=60)
        kube.apply(claim)
        assert run("finder", worker, "cat /files/word") == "precious"
    assert (made.data / "kind" / made.name / "volumes" / NAMESPACE / "files" / "word").read_text() == "precious\n"
    assert KIND.kept_data(Cluster(name=made.name), NAMESPACE) == (f"{NAMESPACE}/files",)


def test_a_load_balancer_address_answers_from_the_host(made: Made) -> None:
    with made.kube() as kube:
        kube.apply(pod("cache", database_images.REDIS.reference, args=["--save", ""], workingDir="/tmp"))
        kube.apply(service("cache", 6379, type="LoadBalancer"))

        def address() -> str:
            live = kube.get("v1", "Service", "cache", NAMESPACE) or {}
            entries = live.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
            return entries[0].get("ip", "")

        where = eventually(address)

        def ping() -> bool:
            with socket.create_connection((where, 6379), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64) == b"+PONG\r\n"

        assert eventually(ping)


def serve_route(kube: Kube, host: str) -> None:
    """CoreDNS as a small web server (its health endpoint) behind a route with TLS."""
    chain, key = KIND.certificate([host])
    names = {"namespace": NAMESPACE, "name": "web"}
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": names,
            "data": {"Corefile": ".:5353 {\n health :8080\n}\n"},
        }
    )
    kube.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": names,
            "type": "kubernetes.io/tls",
            "stringData": {"tls.crt": chain, "tls.key": key},
        }
    )
    manifest = pod(
        "web",
        system_image(kube, "coredns"),
        args=["-conf", "/etc/coredns/Corefile"],
        volumeMounts=[{"name": "web", "mountPath": "/etc/coredns"}],
        readinessProbe={"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1},
    )
    manifest["spec"]["restartPolicy"] = "Always"
    manifest["spec"]["volumes"] = [{"name": "web", "configMap": {"name": "web"}}]
    kube.apply(manifest)
    kube.apply(service("web", 8080))
    backend = {"service": {"name": "web", "port": {"number": 8080}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    kube.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": names,
            "spec": {"ingressClassName": "portable", "tls": [{"hosts": [host], "secretName": "web"}], "rules": [rule]},
        }
    )


def get_by_route(url: str) -> str:
    """An HTTPS request by a client that trusts the local authority alone; the host's name needs no resolver."""
    address = urlsplit(url)
    assert address.hostname
    trusting = ssl.create_default_context(cafile=authority.certificate_file())
    with (
        socket.create_connection(("127.0.0.1", address.port or 443), timeout=10) as plain,
        trusting.wrap_socket(plain, server_hostname=address.hostname) as connection,
    ):
        connection.sendall(f"GET /health HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(4096):
            answer += part
    return answer.decode()


def test_a_route_answers_with_tls_and_outlives_a_reboot(made: Made) -> None:
    host = "web.localhost"
    with made.kube() as kube:
        serve_route(kube, host)
    (route,) = KIND.addresses(Cluster(name=made.name), [(host, "/", True)])
    assert "200 OK" in eventually(lambda: get_by_route(route.url) if "200 OK" in get_by_route(route.url) else "")

    # What is left after the machine was restarted: containers that do not run.
    docker.run("stop", "--time", "5", *(node.name for node in docker.nodes(made.name)), timeout=120)
    state = KIND.find(Cluster(name=made.name))
    assert state is not None
    assert not state.healthy
    assert "stopped" in state.detail
    assert KIND.addresses(Cluster(name=made.name), [(host, "/", True)]) == (route,)

    KIND.credentials(Cluster(name=made.name))
    state = KIND.find(Cluster(name=made.name))
    assert state is not None
    assert state.healthy
    assert state.uid == made.outputs["uid"]
    assert eventually(lambda: "200 OK" in get_by_route(route.url), seconds=180)


# Three prove that a cluster is made where something is left of one: here, in test_crash.py and test_demo.py.
@drawn(0, of=3)
def test_a_half_made_cluster_is_removed_and_made_again(made: Made) -> None:
    """portable and kind are both killed while kind works, as a power cut does."""
    name = f"half-{secrets.token_hex(3)}"
    code = f"from tests.e2e.test_kind_provider import make; make({name!r}, 1)"
    try:
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, start_new_session=True)

        def half_way() -> bool:
            assert process.poll() is None, "it ended before it could be killed"
            return any(node.running for node in docker.nodes(name))

        eventually(half_way)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        half = docker.nodes(name)
        assert not lifecycle.is_complete(name, half)
        events: list[Event] = []
        make(name, 1, events.append)
        assert any("half made" in event.detail for event in events if isinstance(event, Step))
        state = KIND.find(Cluster(name=name))
        assert state is not None
        assert state.healthy
        assert {node.container for node in docker.nodes(name)}.isdisjoint({node.container for node in half})
    finally:
        end(name)
    assert KIND.find(Cluster(name=name)) is None
