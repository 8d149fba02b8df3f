"""The commands with a cluster of a cloud: through a third party's plugin, the real engine and a real API server."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from portable.kube import Kube
from tests.contract.programs import Portable, describe_api, environment
from tests.control_plane import ControlPlane
from tests.unit.rollout import kubelet

pytestmark = pytest.mark.contract

SPEC = """\
apiVersion: portable/v1
kind: App
metadata: {name: NAME}
cluster: {name: NAME-cluster, version: "1.34", nodes: {min: 2}}
workloads:
  web:
    containers:
      main:
        image: example.com/web:1
        volumes: {/data: {source: data}}
        readinessProbe: {httpGet: {path: /, port: 8080}}
    service: {ports: {http: {port: 80, targetPort: 8080}}}
    kind: stateful
    identity: robot
resources:
  data: {type: volume, size: 1Gi}
environments:
  prod: {cloud: acme, protect: true}
"""
_numbers = itertools.count(1)


@pytest.fixture
def app(tmp_path: Path) -> str:
    """The name of an app in the current folder of `portable`; its cluster is NAME-cluster."""
    name = f"flow{next(_numbers)}"
    (tmp_path / "portable.yaml").write_text(SPEC.replace("NAME", name))
    return name


@pytest.fixture
def portable(tmp_path: Path, acme_site: Path, acme_cloud: Path, control_plane: ControlPlane) -> Portable:
    describe_api(acme_cloud, control_plane)
    return Portable(tmp_path, environment(tmp_path, acme_site, acme_cloud))


@pytest.fixture
def pods(kube: Kube, app: str) -> Iterator[None]:
    with kubelet.running(kube, app):
        yield


def _cluster(cloud: Path, app: str) -> dict[str, object]:
    return json.loads((cloud / f"clusters/{app}-cluster.json").read_text())


def _pools(cloud: Path, app: str) -> object:
    pools = _cluster(cloud, app)["pools"]
    assert isinstance(pools, dict)
    return pools["default"]["min"]


def test_a_cluster_of_a_cloud_from_plan_to_destroy(
    portable: Portable, app: str, acme_cloud: Path, pods: None, kube: Kube
) -> None:
    assert "Acme Kubernetes Engine" in portable("providers", "list").out
    planned = portable("plan", "--cloud", "ake")
    assert "Cluster cluster" in planned.out
    assert "0.10 acorns per hour" in planned.out
    assert not (acme_cloud / "clusters").exists()

    done = portable("up", "--cloud", "acme", "--yes")
    assert "CREATING" in done.err, "progress of the cluster's creation"
    made = _cluster(acme_cloud, app)
    assert made["version"] == "1.34"
    bound = json.loads((acme_cloud / f"bindings/{app}-cluster.{app}.json").read_text())
    assert bound["identities"] == {"web": "robot"}
    again = portable("up", "--cloud", "acme", "--yes", "--output", "json")
    assert again.json()["changed"] is False
    assert "secret-token" not in "".join(path.read_text(errors="replace") for path in portable.folder.rglob("*.json"))

    # a change behind its back
    (acme_cloud / f"clusters/{app}-cluster.json").write_text(json.dumps({**made, "pools": {}}))
    planned = portable("plan", "--cloud", "acme", "--output", "json", "--detailed-exitcode", code=3).json()
    assert [change["name"] for change in planned["cluster"] if change["operation"] == "update"] == ["cluster"]

    spec = portable.folder / "portable.yaml"
    spec.write_text(spec.read_text().replace('"1.34"', '"1.36"'))
    portable("up", "--cloud", "acme", "--yes")
    now = _cluster(acme_cloud, app)
    assert (now["version"], now["uid"]) == ("1.36", made["uid"])
    assert now["pools"] == made["pools"], "the change behind its back is put back on the way"

    gone = portable("destroy", "--cloud", "acme", "--yes", "--destroy-data", "--output", "json").json()
    assert gone["left"] == []
    assert [path.name for path in acme_cloud.rglob("*.json")] == ["api.json"]
    assert kube.get("v1", "Namespace", app) is None


def test_commands_for_clusters(
    portable: Portable, app: str, acme_cloud: Path, pods: None, kube: Kube, control_plane: ControlPlane
) -> None:
    cluster, there = f"{app}-cluster", ("--cloud", "acme")
    assert "made no clusters" in portable("clusters", "list").out
    assert "there is no cluster" in portable("clusters", "upgrade", "1.34", *there, "--yes", code=1).err
    portable("up", *there, "--yes")
    (row,) = portable("clusters", "list", "--output", "json").json()["clusters"]
    assert row == {"cloud": "acme", "name": cluster, "status": "ready", "version": "1.34", "detail": "", "apps": [app]}
    shown = portable("clusters", "show", "--cluster", cluster).out
    assert "network" in shown
    assert "1.34" in shown

    # reached by a real kubectl, which asks `portable token` and nothing else
    (portable.folder / "kubeconfig").write_text("# mine\n" + yaml.safe_dump(yaml.safe_load(control_plane.kubeconfig)))
    portable("clusters", "credentials", *there)
    text = (portable.folder / "kubeconfig").read_text()
    assert text.startswith("# mine\n")
    names = subprocess.run(
        [control_plane.kubectl, "get", "statefulsets", "-n", app, "-o", "name"],
        env=dict(portable.env), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert names.stdout == "statefulset.apps/web\n", names.stderr
    printed = portable("clusters", "credentials", "--cluster", cluster, "--print").out
    secret = json.loads((acme_cloud / "api.json").read_text())["token"]
    assert secret not in printed
    credential = portable("token", "--cloud", "ake", "--cluster", cluster).json()
    assert (credential["kind"], credential["status"]["token"]) == ("ExecCredential", secret)
    assert datetime.fromisoformat(credential["status"]["expirationTimestamp"]) > datetime.now(UTC)
    assert "has no tokens" in portable("token", "--cloud", "kind", "--cluster", "any", code=2).err

    # the spec's word counts
    pinned = portable("clusters", "upgrade", "1.35", *there, "--yes", code=2)
    assert 'change portable.yaml:4 to `version: "1.35"`' in pinned.err
    spec = portable.folder / "portable.yaml"
    spec.write_text(spec.read_text().replace(', version: "1.34"', ""))
    assert "offers no Kubernetes 1.99" in portable("clusters", "upgrade", "1.99", *there, "--yes", code=2).err
    portable("clusters", "upgrade", "1.36", *there, "--yes")
    assert _cluster(acme_cloud, app)["version"] == "1.36"
    assert "already was so" in portable("clusters", "upgrade", "1.36", *there, "--yes").out
    scaled = portable("clusters", "scale", "default", "--nodes", "5", *there, "--yes", "--output", "json").json()
    assert _pools(acme_cloud, app) == 5
    path = {"file": "portable.yaml", "line": 4, "path": "cluster.nodes.min", "value": "5"}
    assert scaled == {"event": "result", "cluster": cluster, "changed": True, "to_keep": [path]}
    assert "pools: default" in portable("clusters", "scale", "gpu", "--nodes", "5", *there, "--yes", code=2).err
    assert "cannot be" in portable("clusters", "scale", "default", "--max", "1", *there, "--yes", code=2).err
    assert "how many" in portable("clusters", "scale", "default", *there, "--yes", code=2).err

    # what went another way than through the spec is drift until the spec says it too
    drifted = portable("drift", *there, "--detailed-exitcode", "--output", "json", code=3).json()
    assert [change["name"] for change in drifted["cluster"] if change["operation"] != "same"] == ["cluster"]
    spec.write_text(spec.read_text().replace("min: 2", "min: 5"))
    portable("up", *there, "--yes")
    assert "nothing to change" in portable("drift", *there, "--detailed-exitcode").out
    assert "already was so" in portable("clusters", "scale", "default", "--nodes", "5", *there, "--yes").out

    # a change in the cluster, one in the cloud, and both put back
    kube.merge_patch("apps/v1", "StatefulSet", "web", {"spec": {"replicas": 0}}, app)
    made = _cluster(acme_cloud, app)
    (acme_cloud / f"clusters/{cluster}.json").write_text(json.dumps({**made, "pools": {}}))
    told = portable("drift", *there)
    assert "StatefulSet/web" in told.out
    assert "spec.replicas" in told.out
    assert "pools" in told.out
    portable("drift", *there, "--fix", "--yes")
    assert _cluster(acme_cloud, app)["pools"] == made["pools"]
    live = kube.get("apps/v1", "StatefulSet", "web", app)
    assert live is not None
    assert live["spec"]["replicas"] == 1
    assert "nothing to change" in portable("drift", *there, "--detailed-exitcode").out

    spec.write_text(spec.read_text().replace("web:1", "web:2"))
    assert "nothing to change" in portable("drift", *there).out, "what the spec says anew is no drift"
    portable("destroy", *there, "--yes", "--destroy-data")
    assert "there is no cluster" in portable("drift", *there, code=1).err


def test_doctor_looks_at_the_cluster_of_the_spec_and_providers_show_what_is_made(
    portable: Portable, app: str, acme_cloud: Path
) -> None:
    assert "may make clusters" in portable("doctor", "-e", "prod").out
    (acme_cloud / "permissions").write_text("networks\n")
    assert "clusters.write is not allowed" in portable("doctor", "--cloud", "ake", code=1).out
    shown = portable("providers", "show", "ake").out
    assert "Network network" in shown
    assert "0.10 acorns per hour" in shown
    assert "bindings: read, write" in shown


def test_what_is_wrong_with_the_cluster_stands_at_its_line(portable: Portable, app: str, acme_cloud: Path) -> None:
    spec = portable.folder / "portable.yaml"
    spec.write_text(spec.read_text().replace('"1.34"', '"1.33"'))
    for command in (["plan"], ["up", "--yes"]):
        refused = portable(*command, "--cloud", "acme", code=2)
        assert "portable.yaml:4:" in refused.err
        assert "Acme offers no Kubernetes 1.33" in refused.err
        assert "1.34, 1.35, 1.36" in refused.err
    assert not (acme_cloud / "networks").exists()


def test_an_account_that_may_not_is_told_before_anything_is_made(
    portable: Portable, app: str, acme_cloud: Path
) -> None:
    (acme_cloud / "permissions").write_text("networks\n")
    refused = portable("up", "--cloud", "acme", "--yes", code=1)
    assert "clusters.write is not allowed" in refused.err
    assert "portable providers show acme" in refused.err
    assert not (acme_cloud / "networks").exists()


@pytest.mark.parametrize(
    ("end", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)], ids=["ctrl-c", "kill"]
)
def test_a_creation_that_is_cut_off_is_carried_on(
    end: signal.Signals, code: int, portable: Portable, app: str, acme_cloud: Path, pods: None
) -> None:
    (acme_cloud / "slow").write_text("100000")
    process = portable.start("up", "--cloud", "acme", "--yes")
    try:
        kubelet.until(lambda: (acme_cloud / f"clusters/{app}-cluster.json").exists(), 120)
        process.send_signal(end)
        assert process.wait(60) == code, "minutes of waiting for the cloud are not waited for"
    finally:
        process.kill()
        process.communicate()
    made = _cluster(acme_cloud, app)
    (acme_cloud / f"clusters/{app}-cluster.json").write_text(json.dumps({**made, "waits": 2}))
    portable("up", "--cloud", "acme", "--yes")
    assert _cluster(acme_cloud, app)["uid"] == made["uid"]
    portable("destroy", "--cloud", "acme", "--yes", "--destroy-data")
    assert [path.name for path in acme_cloud.rglob("*.json")] == ["api.json"]


@pytest.fixture
def locked_out(portable: Portable, app: str, acme_cloud: Path) -> dict[str, object]:
    """A cluster whose maker was killed before it was let in: the cluster is ready, and its API server takes no token."""
    (acme_cloud / "slow").write_text("100000")
    process = portable.start("up", "--cloud", "acme", "--yes")
    try:
        kubelet.until(lambda: (acme_cloud / f"clusters/{app}-cluster.json").exists(), 120)
    finally:
        process.kill()
        process.communicate()
    made = {**_cluster(acme_cloud, app), "waits": 0}
    (acme_cloud / f"clusters/{app}-cluster.json").write_text(json.dumps(made))
    api = json.loads((acme_cloud / "api.json").read_text())
    (acme_cloud / "api.json").write_text(json.dumps({**api, "token": "of-nobody"}))
    return made


@pytest.mark.parametrize("more", [(), ("--destroy-data",)], ids=["destroy", "with-data"])
def test_a_cluster_that_never_let_its_maker_in_is_destroyed(
    more: tuple[str, ...], locked_out: dict[str, object], portable: Portable, acme_cloud: Path
) -> None:
    gone = portable("destroy", "--cloud", "acme", "--yes", *more, "--output", "json").json()
    assert gone["left"] == []
    assert [path.name for path in acme_cloud.rglob("*.json")] == ["api.json"]
    assert "made no clusters" in portable("clusters", "list").out


def test_a_cluster_that_never_let_its_maker_in_is_gone_on_with(
    locked_out: dict[str, object],
    portable: Portable,
    app: str,
    acme_cloud: Path,
    pods: None,
    control_plane: ControlPlane,
) -> None:
    assert "+ Cluster cluster" in portable("plan", "--cloud", "acme").out
    process = portable.start("up", "--cloud", "acme", "--yes")
    assert process.stdout is not None
    said = ""
    while "the API server" not in said:  # until it waits to be let in
        line = process.stdout.readline()
        assert line, said
        said += line
    describe_api(acme_cloud, control_plane)
    rest, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said + rest
    assert _cluster(acme_cloud, app)["uid"] == locked_out["uid"]
    portable("destroy", "--cloud", "acme", "--yes", "--destroy-data")
    assert [path.name for path in acme_cloud.rglob("*.json")] == ["api.json"]


def test_an_app_that_the_state_forgot_is_left_alone_and_taken_over(
    portable: Portable, app: str, acme_cloud: Path, pods: None, kube: Kube
) -> None:
    portable("up", "--cloud", "acme", "--yes")
    made = _cluster(acme_cloud, app)
    shutil.rmtree(portable.folder / "state")
    before = {path: path.read_text() for path in acme_cloud.rglob("*.json")}
    refused = portable("destroy", "--cloud", "acme", "--yes", "--destroy-data", code=1)
    assert f"the state here knows nothing of {app}" in refused.err
    assert {path: path.read_text() for path in acme_cloud.rglob("*.json")} == before, "identities and disks too"
    portable("up", "--cloud", "acme", "--yes")
    assert _cluster(acme_cloud, app)["uid"] == made["uid"]
    portable("destroy", "--cloud", "acme", "--yes", "--destroy-data")
    assert [path.name for path in acme_cloud.rglob("*.json")] == ["api.json"]


def test_what_a_cluster_that_the_state_forgot_stands_on_is_not_swept(
    portable: Portable, app: str, acme_cloud: Path, pods: None
) -> None:
    portable("up", "--cloud", "acme", "--yes")
    portable("destroy", "--cloud", "acme", "--yes", "--destroy-data", "--keep-cluster")
    shutil.rmtree(portable.folder / "state")
    (acme_cloud / "disks").mkdir(exist_ok=True)
    disk = {"name": "in-use", "cluster": f"{app}-cluster", "claim": "", "waits": 0}
    (acme_cloud / "disks/in-use.json").write_text(json.dumps(disk))
    told = portable("destroy", "--cloud", "acme", "--yes")
    assert f"a cluster {app}-cluster is still there" in told.err
    assert (acme_cloud / "disks/in-use.json").exists()
    portable("up", "--cloud", "acme", "--yes")
    portable("destroy", "--cloud", "acme", "--yes", "--destroy-data")
    assert [path.name for path in acme_cloud.rglob("*.json")] == ["api.json"]


def test_disks_outlive_their_cluster_and_are_used_again(
    portable: Portable, app: str, acme_cloud: Path, pods: None, kube: Kube
) -> None:
    portable("up", "--cloud", "acme", "--yes")
    claims = kube.list("v1", "PersistentVolumeClaim", app)
    claim = claims[0]["metadata"]["name"]
    (acme_cloud / "disks").mkdir()
    disk = {"name": f"disk-{app}", "cluster": f"{app}-cluster", "claim": f"{app}/{claim}", "size": "1Gi", "waits": 0}
    (acme_cloud / f"disks/disk-{app}.json").write_text(json.dumps(disk))
    forgotten = {"name": "forgotten", "cluster": f"{app}-cluster", "claim": "", "held": "a node", "waits": 0}
    (acme_cloud / "disks/forgotten.json").write_text(json.dumps(forgotten))

    gone = portable("destroy", "--cloud", "acme", "--yes", "--output", "json", code=1).json()
    assert f"{app}/{claim} (0.01 acorns per hour)" in gone["kept"]
    assert gone["left"] == ["disk forgotten: it is held by a node"]
    assert (acme_cloud / f"disks/disk-{app}.json").exists()
    # the cluster is gone, and with it what was in it
    kube.merge_patch("v1", "PersistentVolumeClaim", claim, {"metadata": {"finalizers": None}}, app)
    kube.delete("v1", "Namespace", app)
    assert kube.wait_gone("v1", "Namespace", app, timeout=60)

    (acme_cloud / "disks/forgotten.json").unlink()
    done = portable("up", "--cloud", "acme", "--yes")
    assert "is used again" in done.err
    volume = kube.get("v1", "PersistentVolume", f"disk-{app}")
    assert volume is not None
    assert volume["spec"]["claimRef"]["name"] == claim
    portable("destroy", "--cloud", "acme", "--yes", "--destroy-data")
    assert [path.name for path in acme_cloud.rglob("*.json")] == ["api.json"]
    kube.delete("v1", "PersistentVolume", f"disk-{app}")


def test_an_existing_cluster_is_used_and_stays(portable: Portable, app: str, acme_cloud: Path, pods: None) -> None:
    spec = portable.folder / "portable.yaml"
    spec.write_text(
        spec.read_text().replace(
            f'cluster: {{name: {app}-cluster, version: "1.34", nodes: {{min: 2}}}}',
            f"cluster: {{existing: {app}-cluster}}",
        )
    )
    refused = portable("up", "--cloud", "acme", "--yes", code=1)
    assert f"there is no cluster '{app}-cluster'" in refused.err
    theirs = {"name": f"{app}-cluster", "uid": "1", "version": "1.35", "network": "theirs", "tags": {}, "waits": 0}
    (acme_cloud / "clusters").mkdir()
    (acme_cloud / f"clusters/{app}-cluster.json").write_text(json.dumps(theirs))
    assert "is used as it is" in portable("plan", "--cloud", "acme").out
    portable("up", "--cloud", "acme", "--yes")
    assert portable("up", "--cloud", "acme", "--yes", "--output", "json").json()["changed"] is False
    (acme_cloud / f"clusters/{app}-cluster.json").rename(acme_cloud / "elsewhere")
    refused = portable("destroy", "--cloud", "acme", "--yes", code=1)
    assert f"there is no cluster '{app}-cluster'" in refused.err
    (acme_cloud / "elsewhere").rename(acme_cloud / f"clusters/{app}-cluster.json")
    gone = portable("destroy", "--cloud", "acme", "--yes", "--destroy-data")
    assert "portable did not make it" in gone.err
    assert _cluster(acme_cloud, app) == theirs


def test_a_namespace_of_somebody_elses_is_not_taken(
    portable: Portable, app: str, control_plane: ControlPlane, pods: None, kube: Kube
) -> None:
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": app, "labels": {"theirs": "yes"}}})
    (portable.folder / "kubeconfig").write_text(control_plane.kubeconfig)
    there = ("--cloud", "acme", "--context", "test", "--yes")
    for command in (("plan", *there[:-1]), ("up", *there)):
        refused = portable(*command, code=1)
        assert f"the namespace {app} exists and is not this app's" in refused.err
    assert kube.list("networking.k8s.io/v1", "NetworkPolicy", app) == []
    portable("destroy", *there, "--destroy-data")
    assert kube.get("v1", "Namespace", app) is not None
    kube.merge_patch("v1", "Namespace", app, {"metadata": {"labels": {"portable.dev/app": app}}})
    portable("up", *there)
    portable("destroy", *there, "--destroy-data")


def test_a_context_of_the_users_is_used_and_stays(
    portable: Portable, app: str, acme_cloud: Path, control_plane: ControlPlane, pods: None, kube: Kube
) -> None:
    (portable.folder / "kubeconfig").write_text(control_plane.kubeconfig.replace("test", "arn:acme:cluster/test"))
    refused = portable("up", "--cloud", "acme", "--context", "other", "--yes", code=2)
    assert "contexts in" in refused.err
    assert "arn:acme:cluster/test" in refused.err
    there = ("--cloud", "acme", "--context", "arn:acme:cluster/test")
    assert "is used as it is" in portable("plan", *there).out
    portable("up", *there, "--yes")
    assert kube.get("apps/v1", "StatefulSet", "web", app) is not None
    assert portable("up", *there, "--yes", "--output", "json").json()["changed"] is False
    portable("status", *there)
    assert "portable did not make it" in portable("destroy", *there, "--yes", "--destroy-data").err
    assert kube.get("v1", "Namespace", app) is None
    assert [path.name for path in acme_cloud.rglob("*.json")] == ["api.json"], "the cloud was never asked for anything"


def test_a_protected_environment_is_destroyed_by_its_name_alone(portable: Portable, app: str) -> None:
    refused = portable("destroy", "-e", "prod", "--yes", code=2)
    assert "--confirm prod" in refused.err
    refused = portable("destroy", "-e", "prod", "--yes", "--confirm", "production", code=2)
    assert "the environment is called 'prod'" in refused.err
    portable("destroy", "-e", "prod", "--confirm", "prod")
    portable("destroy", "--cloud", "acme", "--yes")
