"""The shop on EKS, GKE and AKS, from the same file as on kind: the clouds are stand-ins, the cluster that they hand out is real.

For each cloud the tests stand in the order in which a user would do these things. See `tests.clouds.standing` for what is real.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import re
import secrets
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from portable.compile.images import OFFICIAL
from portable.tools import cache
from tests import soak
from tests.clouds.cluster_behind import ClusterBehind, cluster_behind, load_images, serve_disks
from tests.clouds.front import Fault
from tests.clouds.load_balancers import INGRESS, LoadBalancer, load_balancers
from tests.clouds.standing import CLOUDS, CLUSTER, StandIn
from tests.control_plane import binary
from tests.e2e import leaks
from tests.e2e.conftest import PORTABLE, ROOT, Portable, Run
from tests.e2e.web import Answer, fetch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
Say = Callable[[str], None]
SHOP = ROOT / "examples" / "shop" / "portable.yaml"
NAMESPACE = "shop-dev"
PATIENCE = 60.0  # seconds for the worker to take up a job
# What each cloud's storage class and Ingress ask for.
DRIVERS = ("ebs.csi.eks.amazonaws.com", "pd.csi.storage.gke.io", "disk.csi.azure.com")
INGRESS_CLASSES = {"eks": "portable-alb", "gke": "gce", "aks": "webapprouting.kubernetes.azure.com"}
WORKLOADS = {"api", "cache", "db", "migrate", "uploads", "web", "worker"}


@dataclass(frozen=True)
class CloudShop:
    """The example on one cloud. `token` is the secret that it is given."""

    cloud: str
    folder: Path
    stand_in: StandIn
    behind: ClusterBehind
    balancer: LoadBalancer
    portable: Portable
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    def run(self, *command: str | Path, code: int | None = 0) -> Run:
        file = ("--file", SHOP) if command[0] == "clusters" else (SHOP,)
        return self.portable(*command, "-e", "dev", "--cloud", self.cloud, *file, code=code)

    def up(self, *, code: int | None = 0) -> Run:
        file = self.folder / "token.txt"
        file.write_text(self.token)
        try:
            return self.run("up", "--yes", "--output", "json", "--secret", f"api-token={file}", code=code)
        finally:
            file.unlink()

    def ask(self, path: str, method: str = "GET", body: bytes | dict[str, Any] | None = None) -> Answer:
        """By the route's host name at the load balancer's address, TLS verified against the certificate that it has."""
        live = self.behind.kube.get(*INGRESS, "shop-balancer", NAMESPACE)
        named = [entry["secretName"] for entry in (live or {}).get("spec", {}).get("tls", ())]
        secret = self.behind.kube.get("v1", "Secret", named[0], NAMESPACE)
        assert secret is not None
        trust = ssl.create_default_context(cadata=base64.b64decode(secret["data"]["tls.crt"]).decode())
        return fetch(
            f"https://shop.localhost{path}", method=method, body=body, trust=trust, address=self.balancer.address
        )

    def pods(self) -> dict[str, list[dict[str, Any]]]:
        """workload -> its pods, without those of the cron job, which come and go by the clock."""
        found: dict[str, list[dict[str, Any]]] = {}
        for pod in self.behind.kube.list("v1", "Pod", NAMESPACE):
            name = pod["metadata"].get("labels", {}).get("app.kubernetes.io/name", "")
            if name != "report" and "deletionTimestamp" not in pod["metadata"]:
                found.setdefault(name, []).append(pod)
        return found

    def changes(self) -> list[str]:
        """The calls so far, without those that change nothing."""
        reads = ("get", "list", "describe", "simulate", "test", "token")
        calls = self.stand_in.front.calls
        return [call for call in calls if not re.split("[:._]", call)[-1].lower().startswith(reads)]


@pytest.fixture(scope="module")
def behind(images: None, portable: Portable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterBehind]:
    with cluster_behind(tmp_path_factory.mktemp("behind")) as cluster:
        load_images(cluster, ["shop/app:1.0"], OFFICIAL)
        for driver in DRIVERS:
            serve_disks(cluster.kube, driver)
        yield cluster


@pytest.fixture(scope="module")
def balancers(behind: ClusterBehind) -> Iterator[Mapping[str, LoadBalancer]]:
    with load_balancers(behind.kube, list(INGRESS_CLASSES.values())) as made:
        yield made


@pytest.fixture(scope="module", params=list(CLOUDS))
def shop(
    request: pytest.FixtureRequest,
    behind: ClusterBehind,
    balancers: Mapping[str, LoadBalancer],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[CloudShop]:
    cloud = request.param
    folder = tmp_path_factory.mktemp(cloud)
    with ExitStack() as stack:
        stand_in = stack.enter_context(CLOUDS[cloud](folder, behind))
        portable = Portable(folder, environment(folder, stand_in))
        yield CloudShop(cloud, folder, stand_in, behind, balancers[INGRESS_CLASSES[cloud]], portable)


def environment(folder: Path, stand_in: StandIn) -> dict[str, str]:
    """Nothing of this machine's user is found: neither credentials nor configuration of a real cloud."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PATH": f"{PORTABLE.parent}:{kept['PATH']}",
        "HOME": str(folder),
        "KUBECONFIG": str(folder / "kubeconfig"),
        "PORTABLE_STATE": str(folder / "state"),
        "PORTABLE_DATA": str(folder / "data"),
        "PORTABLE_CACHE": str(cache.root()),
        "PORTABLE_POLL_SECONDS": "0.2",
        "NO_COLOR": "1",
        **stand_in.environment,
    }


def test_an_up_that_goes_wrong_midway_is_carried_on_with(shop: CloudShop, say: Say) -> None:
    """A fault while the cluster is made, another one in every run; `up` again ends with one cluster, and the shop on it."""
    seed = int(os.environ.get("PORTABLE_SEED", random.randrange(10**6)))
    every = [(call, fault) for fault in Fault for call in shop.stand_in.makes]
    chosen = random.Random(seed).sample(every, soak.size(1, 6))
    say(f"{shop.cloud}: {len(chosen)} of {len(every)} faults, PORTABLE_SEED={seed}")
    for at, (call, fault) in enumerate(chosen):
        if at:
            test_destroy_leaves_nothing(shop, say)
        front = shop.stand_in.front
        front.expect(call, fault)
        code = up_in_a_process(shop)
        assert front.unused == []
        assert code == (-signal.SIGKILL if fault is Fault.KILL else code)
        front.renew()
        result = shop.up().events()[-1]
        say(f"{shop.cloud}: {fault.value} at {call}: exit {code}, then up {result['seconds']:.1f} s")
        assert shop.stand_in.clusters() == [CLUSTER]


def up_in_a_process(shop: CloudShop) -> int:
    """`portable up` in a process that the stand-in can kill; its exit code."""
    token = shop.folder / "first-token.txt"
    token.write_text(shop.token)
    command = ("up", "--yes", "-e", "dev", "--cloud", shop.cloud, "--secret", f"api-token={token}", SHOP)
    process = shop.portable.start(*command)
    shop.stand_in.front.victim = process.pid
    said, _ = process.communicate(timeout=420)
    token.unlink()
    assert "Traceback" not in said, said
    (shop.folder / "first.log").write_text(said)
    return process.returncode


def test_every_workload_runs(shop: CloudShop) -> None:
    pods = shop.pods()
    assert pods.keys() == WORKLOADS
    for name, found in pods.items():
        expected = "Succeeded" if name == "migrate" else "Running"
        assert {pod["status"]["phase"] for pod in found} == {expected}, name
    assert len(pods["web"]) == 2, "on a cloud there are two of what may be there twice"
    states = {each["name"]: each["state"] for each in shop.run("status", "--output", "json").json()["workloads"]}
    assert states == dict.fromkeys([*WORKLOADS, "report"], "ready")


def test_it_answers_through_the_clouds_load_balancer(shop: CloudShop) -> None:
    assert b"<html" in shop.ask("/").body.lower()
    made = shop.ask("/api/items", "POST", {"name": "tea"})
    assert made.status == 201, made
    end = time.monotonic() + PATIENCE
    while not (done := _result(shop, made.json()["id"])) and time.monotonic() < end:
        time.sleep(0.2)
    assert done == hashlib.sha256(b"tea").hexdigest()
    assert shop.ask("/uploads/note.txt", "PUT", b"kept").status == 201
    assert shop.ask("/uploads/note.txt").body == b"kept"
    assert shop.ask("/api/info").json()["tokenSha256"] == hashlib.sha256(shop.token.encode()).hexdigest()


def _result(shop: CloudShop, item: int) -> str:
    return next(entry for entry in shop.ask("/api/items").json()["items"] if entry["id"] == item)["result"]


def test_the_api_server_asked_the_cloud_who_calls(shop: CloudShop) -> None:
    assert shop.stand_in.user in shop.behind.webhook.users


def test_up_again_changes_nothing(shop: CloudShop, say: Say) -> None:
    before, changes = shop.pods(), shop.changes()
    run = shop.run("up", "--yes", "--output", "json")
    say(f"{shop.cloud}: up without changes {run.seconds:.1f} s")
    assert run.events()[-1]["changed"] is False, run
    assert shop.changes() == changes
    assert _lives(shop.pods()) == _lives(before)


def _lives(pods: Mapping[str, list[dict[str, Any]]]) -> dict[str, set[str]]:
    return {name: {pod["metadata"]["uid"] for pod in found} for name, found in pods.items()}


def test_kubectl_works_with_what_clusters_credentials_writes(shop: CloudShop) -> None:
    """kubectl asks `portable token`, as the kubeconfig says; nothing in that file lets anybody in."""
    shop.run("clusters", "credentials")
    kubectl = shop.folder / "kubectl"
    kubectl.symlink_to(binary())

    def deployments(**environment: str) -> subprocess.CompletedProcess[str]:
        command = [kubectl, "get", "deployments", "-n", NAMESPACE, "-o", "name"]
        env = {**shop.portable.env, **environment}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    done = deployments()
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {f"deployment.apps/{name}" for name in ("api", "web", "worker")}
    assert deployments(PATH="/usr/bin:/bin").returncode != 0, "without `portable` the file is no way in"


def test_no_secret_is_in_state_or_logs(shop: CloudShop) -> None:
    values = [shop.token, *(value for name, value in shop.stand_in.environment.items() if "SECRET" in name)]
    state = Path(shop.portable.env["PORTABLE_STATE"])
    assert leaks.in_files(["kubernetes:apps/v1:Deployment"], [state]), "the search finds what is there"
    assert leaks.in_files(values, [state, shop.folder / ".local"]) == []


def test_destroy_leaves_nothing(shop: CloudShop, say: Say) -> None:
    run = shop.run("destroy", "--destroy-data", "--yes")
    say(f"{shop.cloud}: destroy {run.seconds:.1f} s")
    assert shop.stand_in.front.service.leftovers() == []
    assert shop.behind.kube.get("v1", "Namespace", NAMESPACE) is None
