"""Each sign of a rollout that cannot succeed, provoked for real: `up` names it, says what to do, and exits 1 soon.

Those of one run are there at once, a few at a time: most of the time is the signs' own patience. A third of them has its turn
each day, in `make soak` all. The last words of the module are a table of the seconds from the apply to the verdict.
"""

from __future__ import annotations

import re
import secrets
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from portable.kube import Kube
from portable_kind import docker
from portable_kind.database_images import REDIS
from tests.e2e.conftest import HELLO, Cluster, Portable, Run, app
from tests.packages import need
from tests.soak import share

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

AT_ONCE = 5
ROOT_IMAGE = "portable-test/root:1.0"
# Real registries in the node, where the container runtime speaks plain HTTP: one empty, one that wants credentials.
OPEN, CLOSED, NOBODY = 5000, 5001, 5999
# Beyond a sign's own patience: what a node under load may take to start containers.
GRACE = 90.0


@dataclass(frozen=True)
class Sign:
    """What is deployed and what `up` has to say. `patience`: for how long the sign must hold by portable's own rules (of a
    job: what Kubernetes waits between its tries); `prepare` gets the namespace."""

    workloads: Mapping[str, Any]
    sign: str
    summary: str
    hint: str
    patience: float
    log: str = ""
    exit_code: int | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[Kube, str], None] = lambda kube, namespace: None


def container(image: str, **more: Any) -> dict[str, Any]:
    return {"image": image, "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}, **more}


def worker(image: str, **more: Any) -> dict[str, Any]:
    return {"web": {"containers": {"main": container(image, **more)}}}


def shell(script: str, **more: Any) -> dict[str, Any]:
    """A workload that runs a script, in an image that has a shell."""
    return worker(REDIS.reference, command=["sh", "-c", script], **more)


def probed(**probes: Any) -> dict[str, Any]:
    return {"web": {"containers": {"main": container("hello:1.0", **probes)}, "service": HELLO["service"]}}


def quota(kube: Kube, namespace: str) -> None:
    labels = {"portable.dev/app": namespace}  # who makes an app's namespace says that it is the app's
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    limits = {"hard": {"requests.cpu": "5m"}}
    meta = {"name": "small", "namespace": namespace}
    kube.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": limits})


def policy(resource: str, group: str) -> Callable[[Kube, str], None]:
    """A ValidatingAdmissionPolicy that refuses one kind of object in the namespace."""

    def prepare(kube: Kube, namespace: str) -> None:
        admission = "admissionregistration.k8s.io/v1"
        rules = [{"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}]
        spec = {
            "matchConstraints": {"resourceRules": rules},
            "validations": [{"expression": "false", "message": "the auditors have frozen this namespace"}],
        }
        name = {"name": namespace}
        kube.apply({"apiVersion": admission, "kind": "ValidatingAdmissionPolicy", "metadata": name, "spec": spec})
        where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
        binding = {"policyName": namespace, "validationActions": ["Deny"], "matchResources": where}
        kube.apply(
            {"apiVersion": admission, "kind": "ValidatingAdmissionPolicyBinding", "metadata": name, "spec": binding}
        )

    return prepare


# A path that the app does not have, asked for once it surely listens.
GONE = {"httpGet": {"path": "/gone", "port": 8080}, "periodSeconds": 1, "initialDelaySeconds": 5}
MAIN = r"workloads\.web\.containers\.main"
SIGNS: dict[str, Sign] = {
    # what takes longest comes first
    "readiness-port": Sign(
        probed(readinessProbe={"httpGet": {"path": "/healthz", "port": 9999}, "periodSeconds": 2}),
        "ProbeFailing", r"readiness probe of container main fails: .*:9999.*refused, while the app answers on port 8080",
        rf"nothing listens on that port: check the port in {MAIN}\.readinessProbe and service\.ports", 10.0,
    ),
    "registry-unreachable": Sign(
        worker(f"localhost:{NOBODY}/shop:1.0"),
        "ImagePull", rf'the registry of image "localhost:{NOBODY}/shop:1\.0" cannot be reached from the nodes',
        rf"check the registry's name in {MAIN}\.image", 12.0,
    ),
    "liveness": Sign(
        probed(livenessProbe=GONE, readinessProbe=GONE),
        "ProbeFailing", r"the (liveness|readiness) probe of container main fails: .*statuscode: 404",
        rf"the app answers 404: check the path in {MAIN}\.(liveness|readiness)Probe", 15.0,
    ),
    "startup": Sign(
        probed(startupProbe={**GONE, "failureThreshold": 2}),
        "ProbeFailing", r"the startup probe of container main fails: .*404, and the container was restarted for it",
        rf"the app answers 404: check the path in {MAIN}\.startupProbe", 0.0,
    ),
    "readiness-path": Sign(
        probed(readinessProbe={"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 2}),
        "ProbeFailing", r"the readiness probe of container main fails: .*statuscode: 404",
        rf"the app answers 404: check the path in {MAIN}\.readinessProbe", 15.0,
    ),
    "image-denied": Sign(
        worker(f"localhost:{CLOSED}/shop:1.0"),
        "ImagePull", rf'image "localhost:{CLOSED}/shop:1\.0" does not exist, or its registry wants credentials',
        r"for a private registry add a resource of type registry and set its credentials", 12.0,
    ),
    "image-missing": Sign(
        worker(f"localhost:{OPEN}/shop:1.1"),
        "ImagePull", rf'image "localhost:{OPEN}/shop:1\.1" does not exist in its registry',
        rf"check name and tag in {MAIN}\.image, or push the image first", 2.0,
    ),
    "crash-loop": Sign(
        shell("echo the ledger does not answer; exit 3"),
        "CrashLoop", r"container main crashes: exit code 3 \(\d+ times\)", r"see the last lines of the log", 0.0,
        log="the ledger does not answer", exit_code=3,
    ),
    "out-of-memory": Sign(
        shell("x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done",
              resources={"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "24Mi"}}),
        "OutOfMemory", r"container main needs more memory than its limit of 24Mi",
        rf"raise {MAIN}\.resources\.limits\.memory", 0.0, exit_code=137,
    ),
    "read-only": Sign(
        shell("echo x > /var/lib/ledger.db || exit 1"),
        "CrashLoop", r"container main crashes: exit code 1",
        r"add to workloads\.web: `security: \{writable: \[/var/lib\]\}`", 0.0,
        log="Read-only file system", exit_code=1,
    ),
    "volume": Sign(
        {"web": {"containers": {"main": container("hello:1.0", volumes={"/data": {"source": "${resources.files}"}})}}},
        "VolumeBind", r'volume "files-web-0" cannot be made: .*storageclass.* "nowhere" not found',
        r'the cluster has no storage class "nowhere"', 10.0,
        more={
            "resources": {"files": {"type": "volume", "size": "1Gi"}},
            "patches": {"class": {"target": "PersistentVolumeClaim/files-web-0",
                                  "merge": {"spec": {"storageClassName": "nowhere"}}}},
        },
    ),
    "unschedulable": Sign(
        worker("hello:1.0", resources={"requests": {"cpu": "100", "memory": "16Mi"}}),
        "Unschedulable", r"no node takes the pod: .*Insufficient cpu",
        r"lower resources\.requests\.cpu in workloads\.web\.containers or scale, or raise cluster\.nodes", 10.0,
    ),
    "quota": Sign(
        worker("hello:1.0"), "Quota", r"the namespace's quota is used up: small, requested: requests\.cpu=10m.*limited: .*5m",
        r"lower workloads\.web\.scale or its containers' resources, or have the quota raised", 5.0, prepare=quota,
    ),
    "policy": Sign(
        worker("hello:1.0"),
        "Admission", r"the cluster's admission policy \".*\" refuses the pods: the auditors have frozen this namespace",
        r"change the spec as the message asks, or ask who set that policy", 2.0, prepare=policy("pods", ""),
    ),
    "pod-security": Sign(
        worker("hello:1.0"),
        "Admission", r"the namespace's Pod Security level refuses the pods: .*host namespaces \(hostNetwork=true\)",
        r"add to workloads\.web: `security: \{level: baseline\}`", 2.0,
        more={"patches": {"host": {"target": "Deployment/web",
                                   "merge": {"spec": {"template": {"spec": {"hostNetwork": True}}}}}}},
    ),
    "root-image": Sign(
        worker(ROOT_IMAGE), "RootImage", r"the image of container main wants to run as root, which this workload may not",
        r"add to workloads\.web: `security: \{user: 1000\}`.*`level: baseline` lets it be root", 0.0,
    ),
    "no-command": Sign(
        worker("hello:1.0", command=["/bin/ledger"]),
        "CannotStart", r"container main cannot be started: .*/bin/ledger.*no such file or directory",
        rf"the image has no such command: check {MAIN}\.command and args", 3.0,
    ),
    "job": Sign(
        {"migrate": {"kind": "job", "containers": {
            "main": container(REDIS.reference, command=["sh", "-c", "echo table orders is locked; exit 4"])}}},
        "JobFailed", r"job migrate has failed and used up its tries: container main ended with exit code 4",
        r"correct the job and run `portable up` again", 30.0, log="table orders is locked", exit_code=4,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """`seconds`: from the moment when the workload's controller was applied to the end of its `up`."""

    run: Run
    seconds: float

    @property
    def cause(self) -> dict[str, Any]:
        (cause,) = self.run.error()["causes"]
        return cause


@pytest.fixture(scope="module")
def world(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the signs need beside portable: an image that runs as root, and two registries in the node."""
    build = subprocess.run(
        [docker.client(), "build", "--quiet", f"--tag={ROOT_IMAGE}", "-"],
        input="FROM hello:1.0\nUSER 0\n", text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert build.returncode == 0, build.stderr
    node = f"{cluster.name}-control-plane"
    docker.run("cp", need("docker-registry"), f"{node}:/usr/local/bin/docker-registry")
    for port, auth in ((OPEN, ""), (CLOSED, "auth: {htpasswd: {realm: test, path: /etc/registry-users}}\n")):
        config = (
            "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: /var/lib/test-registry}}\n"
            f"http: {{addr: '127.0.0.1:{port}'}}\n{auth}"
        )
        write = f"touch /etc/registry-users; cat > /etc/registry-{port}.yml <<END\n{config}END\n"
        docker.run("exec", node, "sh", "-c", write)
        docker.run("exec", "--detach", node, "docker-registry", "serve", f"/etc/registry-{port}.yml")


@pytest.fixture(scope="module")
def verdicts(
    world: None,
    portable: Portable,
    cluster: Cluster,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    say: Callable[[str], None],
) -> Iterator[Mapping[str, Future[Verdict]]]:
    """One `up` for each sign that this session asks for, and its `destroy`; the figures when all have been looked at."""
    folder = tmp_path_factory.mktemp("signs")
    calls = [getattr(item, "callspec", None) for item in request.session.items if item.path == Path(__file__)]
    asked = {call.params["name"] for call in calls if call is not None}

    def provoke(name: str) -> Verdict:
        sign = SIGNS[name]
        namespace = f"{name}-{secrets.token_hex(2)}"
        file = folder / f"{name}.yaml"
        file.write_text(app(namespace, cluster.name, sign.workloads, **sign.more))
        sign.prepare(cluster.kube, namespace)
        run = portable("up", "--cloud", "kind", "--yes", "--output", "json", file, code=1)
        portable("destroy", "--cloud", "kind", "--yes", "--destroy-data", "--keep-cluster", file)
        return Verdict(run, seconds_to_verdict(run))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = {name: pool.submit(provoke, name) for name in SIGNS if name in asked}
        yield found
        say(table({name: future.result() for name, future in found.items() if future.exception() is None}))


def seconds_to_verdict(run: Run) -> float:
    def at(event: Mapping[str, Any]) -> datetime:
        return datetime.fromisoformat(event["time"])

    events = run.events()
    controllers = ("Deployment/", "StatefulSet/", "Job/")
    applied = next(
        e for e in events
        if e["event"] == "resource" and e["status"] == "done" and e["name"].startswith(controllers)
    )  # fmt: skip
    failed = next(e for e in events if e["event"] == "workload" and e["status"] == "failed")
    return (at(failed) - at(applied)).total_seconds()


def table(verdicts: Mapping[str, Verdict]) -> str:
    rows = [f"{'sign':<22}{'word':<15}{'patience':>8}{'apply to verdict':>18}{'whole up':>10}"]
    for name, verdict in verdicts.items():
        patience = f"{SIGNS[name].patience:.0f} s"
        seconds, whole = f"{verdict.seconds:.1f} s", f"{verdict.run.seconds:.1f} s"
        rows.append(f"{name:<22}{verdict.cause['sign']:<15}{patience:>8}{seconds:>18}{whole:>10}")
    return "\n".join(rows)


@pytest.mark.parametrize("name", share(SIGNS, of=3))
def test_the_sign_is_named_with_what_to_do(name: str, verdicts: Mapping[str, Future[Verdict]]) -> None:
    sign, verdict = SIGNS[name], verdicts[name].result()
    cause, error = verdict.cause, verdict.run.error()
    (workload,) = sign.workloads
    assert error["type"] == "RolloutFailed"
    assert error["message"] == f"not ready: {workload}"
    assert "no earlier version" in error["fix"]
    assert cause["workload"] == workload
    assert cause["sign"] == sign.sign, cause
    assert re.search(sign.summary, cause["summary"]), cause
    assert re.search(sign.hint, cause["hint"]), cause
    assert sign.log in "\n".join(cause["log_tail"]), cause
    assert cause["exit_code"] == sign.exit_code, cause
    assert verdict.seconds < sign.patience + GRACE, "the sign was there, and nobody said so"


def test_all_causes_are_named_at_once_for_a_person(portable: Portable, cluster: Cluster, tmp_path: Path) -> None:
    workloads = {
        "cart": worker("hello:1.0", resources={"requests": {"cpu": "100", "memory": "16Mi"}})["web"],
        "search": worker("hello:1.0", resources={"requests": {"cpu": "10m", "memory": "9Ti"}})["web"],
        "fine": HELLO,
    }
    file = tmp_path / "several.yaml"
    file.write_text(app(f"several-{secrets.token_hex(2)}", cluster.name, workloads))
    try:
        said = portable("up", "--cloud", "kind", "--yes", file, code=1).err
    finally:
        portable("destroy", "--cloud", "kind", "--yes", "--destroy-data", "--keep-cluster", file)
    assert re.search(r"cart +Unschedulable +after \d", said), said
    assert "lower resources.requests.cpu in workloads.cart.containers or scale, or raise cluster.nodes" in said
    assert re.search(r"search +Unschedulable +after \d", said), said
    assert "lower resources.requests.memory in workloads.search.containers" in said
    assert "error: not ready: cart, search" in said


def test_an_object_that_the_cluster_refuses_is_an_error_in_its_words(
    portable: Portable, cluster: Cluster, tmp_path: Path
) -> None:
    """Refused when it is applied, not when its pods are made: nothing to watch, nothing to wait for."""
    name = f"refused-{secrets.token_hex(2)}"
    policy("deployments", "apps")(cluster.kube, name)
    file = tmp_path / "refused.yaml"
    file.write_text(app(name, cluster.name, worker("hello:1.0")))
    try:
        error = portable("up", "--cloud", "kind", "--yes", "--output", "json", file, code=1).error()
    finally:
        portable("destroy", "--cloud", "kind", "--yes", "--destroy-data", "--keep-cluster", file)
    assert error["type"] in ("ClusterError", "EngineError")
    assert "the auditors have frozen this namespace" in error["message"] + error["detail"], error
    assert error["message"].startswith('deployments.apps "web" is forbidden'), error
    assert "change the spec as the message asks" in error["fix"], error
