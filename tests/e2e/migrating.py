"""A world to migrate in: two real clusters behind two stand-in clouds, one user who has both, and apps that keep what they are told."""

from __future__ import annotations

import hashlib
import json
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portable.compile.images import OFFICIAL
from portable.dns import ledger
from portable.exec import Container, execute
from portable.kube import FIELD_MANAGER, Kube
from portable.migrate import home_record, journal, lease
from portable.migrate.transfer.images import ENVIRONMENT, LOCAL_IMAGE
from portable.provider import KubeObject
from portable.rollout.handover import SCALE_MANAGER
from portable.rollout.ownership import owned_digest, owned_fields
from tests.clouds.cluster_behind import ClusterBehind, cluster_behind, load_images, serve_disks
from tests.clouds.load_balancers import load_balancers
from tests.clouds.standing import CLOUDS
from tests.contract.dns import name_server
from tests.contract.dns.name_server import NameServer
from tests.e2e.conftest import PORTABLE, Portable, Run
from tests.e2e.files_moving import Files, files_of
from tests.e2e.web import Answer, fetch

# cloud -> the driver and the Ingress class that its profile names
_SERVED = {
    "eks": ("ebs.csi.eks.amazonaws.com", "portable-alb"),
    "gke": ("pd.csi.storage.gke.io", "gce"),
    "aks": ("disk.csi.azure.com", "webapprouting.kubernetes.azure.com"),
}
ENDS = ("eks", "gke")
ZONE = "example.test"


def trusting_all() -> ssl.SSLContext:
    """Each side has a certificate of its own, and the second is not made yet when a load begins. Whether they are valid is
    tests/e2e/test_cutover.py's question."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@dataclass(frozen=True)
class Place:
    """One side: the cluster behind the cloud, and where its load balancer answers."""

    cloud: str
    behind: ClusterBehind
    address: str

    @property
    def kube(self) -> Kube:
        return self.behind.kube


@dataclass
class MovingApp:
    """An app of its own spec, and everything that it was told and has acknowledged. A `host` of this machine is asked by TLS."""

    name: str
    file: Path
    host: str
    portable: Portable
    places: Mapping[str, Place]
    uploaded: dict[str, str] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        return f"{self.name}-prod"

    @property
    def url(self) -> str:
        return f"http{'' if self.host.endswith(ZONE) else 's'}://{self.host}"

    def run(self, *command: str | Path, code: int | None = 0, timeout: float = 420) -> Run:
        named = () if command[0] in ("up", "destroy", "plan", "status", "drift") else ("--file",)
        return self.portable(*command, "-e", "prod", *named, self.file, code=code, timeout=timeout)

    def migrate(self, *command: str, code: int | None = 0) -> Run:
        return self.run("migrate", *command, "--yes", "--output", "json", "--watch", "2", code=code)

    def ask(self, cloud: str, path: str, method: str = "GET", body: Any = None) -> Answer:
        place = self.places[cloud]
        return fetch(f"{self.url}{path}", method=method, body=body, trust=trusting_all(), address=place.address)

    def upload(self, cloud: str, name: str, body: bytes) -> None:
        answer = self.ask(cloud, f"/uploads/{name}", "PUT", body)
        assert answer.status == 201, answer
        self.uploaded[name] = hashlib.sha256(body).hexdigest()

    def differing(self, cloud: str) -> list[str]:
        """Files whose content there is not what was acknowledged."""

        def differs(entry: tuple[str, str]) -> str:
            answer = self.ask(cloud, f"/uploads/{entry[0]}")
            same = answer.status == 200 and hashlib.sha256(answer.body).hexdigest() == entry[1]
            return "" if same else entry[0]

        with ThreadPoolExecutor(8) as pool:
            return [name for name in pool.map(differs, self.uploaded.items()) if name]

    def files(self, cloud: str, workload: str) -> Files:
        """What is on the volume of a workload of one pod, there."""
        return files_of(self.places[cloud].kube, self.namespace, f"{workload}-0")

    def items(self, cloud: str) -> set[str]:
        """Names of all that the shop's database holds there; its API tells the last hundred only."""
        script = 'psql -qAtX -U "$POSTGRES_USER" -d "$POSTGRES_DB" -c "select name from items"'
        at = Container(self.namespace, "db-0", "postgres")
        done = execute(self.places[cloud].kube, at, ["bash", "-c", script], given="", seconds=60)
        assert done.code == 0, done.errors
        return set(done.output.split("\n"))

    def pods(self, cloud: str) -> list[str]:
        """The app's own that run, there."""
        found = self.places[cloud].kube.list("v1", "Pod", self.namespace, label_selector="portable.dev/workload")
        return [
            pod["metadata"]["name"]
            for pod in found
            if pod["status"].get("phase") in ("Running", "Pending") and "deletionTimestamp" not in pod["metadata"]
        ]

    def start(self, *command: str) -> Started:
        """`portable migrate ...` as a process that a test may end."""
        log = self.file.with_name(f"{time.monotonic_ns()}.jsonl")
        always = ("-e", "prod", "--file", self.file, "--output", "json", "--watch", "2")
        with log.open("w") as out:
            process = subprocess.Popen(
                [PORTABLE, "migrate", *command, *always],
                env=dict(self.portable.env),
                cwd=self.portable.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        return Started(process, log)


@dataclass(frozen=True)
class Started:
    process: subprocess.Popen[bytes]
    log: Path

    def events(self) -> list[dict[str, Any]]:
        """Whole lines so far."""
        return [json.loads(line) for line in self.log.read_text().split("\n")[:-1] if line.startswith("{")]

    def wait_for_step(self, name: str) -> bool:
        """Whether the step began before the process ended."""
        return self._wait_for(lambda event: event.get("name") == name and event.get("status") == "started", name)

    def wait_for_copy(self) -> bool:
        """Whether a copy was seen that had begun and not ended."""
        return self._wait_for(
            lambda event: event["event"] == "transferred" and event["bytes_done"] > 0 and not event["done"], "copy"
        )

    def _wait_for(self, seen: Callable[[dict[str, Any]], bool], what: str, patience: float = 240.0) -> bool:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            ended = self.process.poll() is not None
            if any(map(seen, self.events())):
                return True
            if ended:
                return False
            time.sleep(0.05)
        raise AssertionError(f"{what} did not begin within {patience:.0f} s:\n{self.log.read_text()[-3000:]}")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)

    def ended(self, timeout: float = 420) -> tuple[int, list[dict[str, Any]]]:
        return self.process.wait(timeout=timeout), self.events()


@dataclass(frozen=True)
class World:
    """`dns` has the zone ZONE; no other service is asked."""

    folder: Path
    portable: Portable
    places: Mapping[str, Place]
    dns: NameServer

    def app(self, name: str, spec: str, host: str) -> MovingApp:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        file = folder / "portable.yaml"
        file.write_text(spec)
        return MovingApp(name, file, host, self.portable, self.places)


@contextmanager
def world(
    folder: Path, environment: Callable[[Path, Any], dict[str, str]], clouds: Sequence[str] = ENDS
) -> Iterator[World]:
    """The clusters are made two at once."""
    with ExitStack() as stack:
        folders = [folder / cloud for cloud in clouds]
        for each in folders:
            each.mkdir()
        with ThreadPoolExecutor(2) as pool:
            behinds = list(pool.map(lambda each: stack.enter_context(cluster_behind(each)), folders))
        env: dict[str, str] = {}
        places = {}
        for cloud, behind, each in zip(clouds, behinds, folders, strict=True):
            driver, ingress = _SERVED[cloud]
            load_images(behind, ["shop/app:1.0", "hello:1.0", LOCAL_IMAGE], OFFICIAL)
            serve_disks(behind.kube, driver)
            balancer = stack.enter_context(load_balancers(behind.kube, [ingress]))[ingress]
            standing = stack.enter_context(CLOUDS[cloud](each, behind))
            env |= environment(folder, standing)
            places[cloud] = Place(cloud, behind, balancer.address)
        env |= {ENVIRONMENT: LOCAL_IMAGE}
        dns = stack.enter_context(named(folder))
        env |= {"PORTABLE_DNS": "rfc2136", "PORTABLE_DNS_SERVER": dns.address, "PORTABLE_DNS_KEY_FILE": str(dns.key)}
        yield World(folder, Portable(folder, env), places, dns)


@contextmanager
def named(folder: Path) -> Iterator[NameServer]:
    files = folder / "dns"
    files.mkdir()
    with name_server.serving(files, [ZONE]) as server:
        yield server


def downtime(result: Mapping[str, Any]) -> str:
    """What a migration has promised and kept, on one line."""
    promised = {part["name"]: part["seconds"] for part in result["promise"]["parts"]}
    parts = [
        f"{name} {seconds:.1f} of {promised.get(name, 0):.0f}" for name, seconds in result["kept"]["parts"].items()
    ]
    whole = f"downtime {result['kept']['downtime']:.1f} s of at most {result['promise']['downtime']:.0f} s"
    return f"{whole} ({', '.join(parts)}), whole migration {result['kept']['total']:.0f} s"


# Of what kinds the objects of an app may be, and what a migration may leave among them.
_KINDS: Sequence[tuple[str, str]] = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("coordination.k8s.io/v1", "Lease"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "ConfigMap"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
)
# What stays of a migration is told: where the app is at home, what became of it, and which DNS records were the app's.
_TOLD = (home_record.NAME, journal.NAME, lease.NAME, ledger.NAME)


def objects(kube: Kube, namespace: str) -> dict[str, dict[str, Any]]:
    """Every field that portable owns of the app's objects, by who of it owns it. What the server and its controllers wrote is theirs:
    UIDs, status, a volume's name, Jobs of a cron job. Left out: revisions, of which every `up` makes one; what is told of a migration; and
    a route's certificate, which came from the cloud and comes back with the app."""
    living = [live for version, kind in _KINDS for live in kube.list(version, kind, namespace)]
    if space := kube.get("v1", "Namespace", namespace):
        living.append(space | {"kind": "Namespace"})
    found = {
        f"{live['kind']}/{live['metadata']['name']}": _owned(live)
        for live in living
        if "portable.dev/revision" not in live["metadata"].get("labels", {})
        and live["metadata"]["name"] not in _TOLD
        and live.get("type") != "kubernetes.io/tls"
    }
    return {name: owned for name, owned in found.items() if owned}


def _owned(live: KubeObject) -> dict[str, Any]:
    """Manager -> fields; of a Secret their digest, since what differs is shown. Who holds the count of an autoscaled workload depends
    on who was there first."""
    entries = [entry for entry in live["metadata"].get("managedFields", ()) if not entry.get("subresource")]
    managers = sorted(
        {entry["manager"] for entry in entries if entry["manager"].startswith(FIELD_MANAGER)} - {SCALE_MANAGER}
    )
    return {
        manager: (owned_digest if live["kind"] == "Secret" else owned_fields)(live, manager) for manager in managers
    }


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Name -> (before, after) of the objects that differ; None where there is none."""
    names = sorted(before.keys() | after.keys())
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}
