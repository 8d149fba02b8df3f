"""The shop on EKS, GKE and AKS, from the same file as on kind: the clouds are stand-ins, the cluster that they hand out is real.

The tests stand in the order in which a user would do these things; what takes long is done on all of them at once. One
cluster is behind them all, so the app has another name on each. See `tests.clouds.standing` for what is real. Two of the clouds
have their turn each day, in `make soak` all.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import re
import secrets
import shutil
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
from tests.e2e.test_shop import edit
from tests.e2e.web import Answer, fetch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
Say = Callable[[str], None]
BALANCER_PATIENCE = 30.0
PATIENCE = 60.0  # seconds for the worker to take up a job
# What each cloud's storage class and Ingress ask for.
DRIVERS = ("ebs.csi.eks.amazonaws.com", "pd.csi.storage.gke.io", "disk.csi.azure.com")
INGRESS_CLASSES = {"eks": "portable-alb", "gke": "gce", "aks": "webapprouting.kubernetes.azure.com"}
LEFT_OUT = () if soak.SOAK else soak.share(CLOUDS, of=3)
TODAY = [cloud for cloud in CLOUDS if cloud not in LEFT_OUT]
WORKLOADS = {"api", "cache", "db", "migrate", "uploads", "web", "worker"}


@dataclass(frozen=True)
class Started:
    """A `portable` at work."""

    process: subprocess.Popen[bytes]
    log: Path

    def ended(self) -> tuple[int, str]:
        """(exit code, what it said), once it has."""
        code = self.process.wait(timeout=420)
        return code, self.log.read_text()


@dataclass(frozen=True)
class CloudShop:
    """A copy of the example for one cloud. `token` is the secret that it is given."""

    cloud: str
    folder: Path
    stand_in: StandIn
    behind: ClusterBehind
    balancer: LoadBalancer
    portable: Portable
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    @property
    def name(self) -> str:
        return f"shop-{self.cloud}"

    @property
    def namespace(self) -> str:
        return f"{self.name}-dev"

    @property
    def file(self) -> Path:
        return self.folder / "shop" / "portable.yaml"

    def run(self, *command: str | Path, code: int | None = 0) -> Run:
        return self.portable(*self._whole(*command), code=code)

    def start(self, *command: str | Path) -> Started:
        log = self.folder / f"{command[0]}.log"
        with log.open("w") as words:  # no pipe: an engine may outlive a `portable` that is killed, and hold it open
            arguments = [PORTABLE, *self._whole(*command)]
            env, folder = dict(self.portable.env), self.folder
            process = subprocess.Popen(
                arguments, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=words, stderr=words
            )
        return Started(process, log)

    def _whole(self, *command: str | Path) -> tuple[str | Path, ...]:
        file = ("--file", self.file) if command[0] == "clusters" else (self.file,)
        return (*command, "-e", "dev", "--cloud", self.cloud, *file)

    @property
    def token_file(self) -> Path:
        return self.folder / "token.txt"

    def up(self) -> dict[str, Any]:
        """`portable up`, which must succeed; its result."""
        return self.run("up", "--yes", "--output", "json", "--secret", f"api-token={self.token_file}").events()[-1]

    def ask(self, path: str, method: str = "GET", body: bytes | dict[str, Any] | None = None) -> Answer:
        """By the route's host name at the load balancer's address, TLS verified against the certificate that it has."""
        live = self.behind.kube.get(*INGRESS, f"{self.name}-balancer", self.namespace)
        named = [entry["secretName"] for entry in (live or {}).get("spec", {}).get("tls", ())]
        secret = self.behind.kube.get("v1", "Secret", named[0], self.namespace)
        assert secret is not None
        trust = ssl.create_default_context(cadata=base64.b64decode(secret["data"]["tls.crt"]).decode())
        url, end = f"https://shop.localhost{path}", time.monotonic() + BALANCER_PATIENCE
        while True:
            try:
                return fetch(url, method=method, body=body, trust=trust, address=self.balancer.address)
            except ssl.SSLError:  # a load balancer takes a moment to have a new certificate
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def pods(self) -> dict[str, list[dict[str, Any]]]:
        """workload -> its pods, without those of the cron job, which come and go by the clock."""
        found: dict[str, list[dict[str, Any]]] = {}
        for pod in self.behind.kube.list("v1", "Pod", self.namespace):
            name = pod["metadata"].get("labels", {}).get("app.kubernetes.io/name", "")
            if name != "report" and "deletionTimestamp" not in pod["metadata"]:
                found.setdefault(name, []).append(pod)
        return found

    def changes(self) -> list[str]:
        """The calls so far, without those that change nothing."""
        reads = ("get", "list", "describe", "simulate", "test", "token", "configuration")
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


@pytest.fixture(scope="module")
def shops(
    behind: ClusterBehind, balancers: Mapping[str, LoadBalancer], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, CloudShop]]:
    """Each with a stand-in of its own."""
    made: dict[str, CloudShop] = {}
    with ExitStack() as stack:
        for cloud in TODAY:
            folder = tmp_path_factory.mktemp(cloud)
            standing = stack.enter_context(CLOUDS[cloud](folder, behind))
            portable = Portable(folder, environment(folder, standing))
            shop = CloudShop(cloud, folder, standing, behind, balancers[INGRESS_CLASSES[cloud]], portable)
            shutil.copytree(ROOT / "examples" / "shop", shop.file.parent)
            edit(shop.file, "metadata:\n  name: shop\n", f"metadata:\n  name: {shop.name}\n")
            shop.token_file.write_text(shop.token)
            made[cloud] = shop
        yield made


@pytest.fixture(params=TODAY)
def shop(request: pytest.FixtureRequest, shops: dict[str, CloudShop]) -> CloudShop:
    return shops[request.param]


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


@dataclass(frozen=True)
class FaultyUp:
    """An `up` with a fault at one of the calls that make the cluster."""

    call: str
    fault: Fault
    run: Started


def faulty_up(shop: CloudShop, call: str, fault: Fault) -> FaultyUp:
    shop.stand_in.front.expect(call, fault)
    run = shop.start("up", "--yes", "--secret", f"api-token={shop.token_file}")
    shop.stand_in.front.victim = run.process.pid
    return FaultyUp(call, fault, run)


@pytest.fixture(scope="module")
def faults(shops: dict[str, CloudShop], say: Say) -> dict[str, list[tuple[str, Fault]]]:
    """cloud -> those that it meets: one, another one in every run, or several in the soak."""
    seed = int(os.environ.get("PORTABLE_SEED", random.randrange(10**6)))
    say(f"faults while clusters are made: PORTABLE_SEED={seed}")
    chosen = random.Random(seed)
    return {
        cloud: chosen.sample([(call, fault) for fault in Fault for call in shop.stand_in.makes], soak.size(1, 6))
        for cloud, shop in shops.items()
    }


@pytest.fixture(scope="module")
def first_ups(shops: dict[str, CloudShop], faults: dict[str, list[tuple[str, Fault]]]) -> dict[str, FaultyUp]:
    return {cloud: faulty_up(shop, *faults[cloud][0]) for cloud, shop in shops.items()}


def test_an_up_that_goes_wrong_midway_is_carried_on_with(
    shop: CloudShop, first_ups: dict[str, FaultyUp], faults: dict[str, list[tuple[str, Fault]]], say: Say
) -> None:
    """`up` again ends with one cluster, and the shop on it."""
    carry_on(shop, first_ups[shop.cloud], say)
    for call, fault in faults[shop.cloud][1:]:
        gone(shop, shop.start("destroy", "--destroy-data", "--yes"))
        carry_on(shop, faulty_up(shop, call, fault), say)


def carry_on(shop: CloudShop, first: FaultyUp, say: Say) -> None:
    (code, said), front = first.run.ended(), shop.stand_in.front
    assert "Traceback" not in said, said
    assert front.unused == [], said
    if first.fault is Fault.KILL:
        assert code == -signal.SIGKILL
    front.renew()
    result = shop.up()
    say(f"{shop.cloud}: {first.fault.value} at {first.call}: exit {code}, then up {result['seconds']:.1f} s")
    assert shop.stand_in.clusters() == [CLUSTER]


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
        command = [kubectl, "get", "deployments", "-n", shop.namespace, "-o", "name"]
        env = {**shop.portable.env, **environment}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    done = deployments()
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {f"deployment.apps/{name}" for name in ("api", "web", "worker")}
    assert deployments(PATH="/usr/bin:/bin").returncode != 0, "without `portable` the file is no way in"


def test_no_secret_is_in_state_or_logs(shop: CloudShop) -> None:
    shop.token_file.unlink()
    values = [shop.token, *(value for name, value in shop.stand_in.environment.items() if "SECRET" in name)]
    state = Path(shop.portable.env["PORTABLE_STATE"])
    assert leaks.in_files(["kubernetes:apps/v1:Deployment"], [state]), "the search finds what is there"
    assert leaks.in_files(values, [state, shop.folder / ".local"]) == []


@pytest.fixture(scope="module")
def leaving(shops: dict[str, CloudShop]) -> dict[str, Started]:
    return {cloud: shop.start("destroy", "--destroy-data", "--yes") for cloud, shop in shops.items()}


def test_destroy_leaves_nothing(shop: CloudShop, leaving: dict[str, Started]) -> None:
    gone(shop, leaving[shop.cloud])


def gone(shop: CloudShop, destroying: Started) -> None:
    code, said = destroying.ended()
    assert code == 0, said
    assert shop.stand_in.front.service.leftovers() == []
    assert shop.behind.kube.get("v1", "Namespace", shop.namespace) is None
