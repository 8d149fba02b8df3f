"""`portable migrate` of an app that keeps nothing, between two real API servers: every step killed, every way back.

There are no nodes: pods run because the test says so. What moves data is tests/e2e/test_migrate.py's.
"""

from __future__ import annotations

import itertools
import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portable.kube import Kube
from portable.migrate import home_record, journal
from portable.migrate.steps import STATELESS
from tests import soak
from tests.contract.programs import Portable, describe_api, environment
from tests.control_plane import ControlPlane, start
from tests.unit.rollout import kubelet

pytestmark = [pytest.mark.contract, pytest.mark.timeout(900)]

SPEC = """\
apiVersion: portable/v1
kind: App
metadata: {name: NAME}
cluster: {name: one}
workloads:
  web:
    containers:
      main:
        image: example.com/web:1
        variables: {TOKEN: "${resources.token.value}"}
        readinessProbe: {httpGet: {path: /, port: 8080}}
    service: {ports: {http: {port: 80, targetPort: 8080}}}
    scale: {min: 2}
  night:
    schedule: "0 3 * * *"
    containers: {main: {image: example.com/web:1}}
resources:
  token: {type: secret}
environments:
  prod:
    cloud: acme
"""
VALUE = "a-value-that-stands-nowhere"
ONE, TWO = "acme/one", "acme/two"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def second_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with start(tmp_path_factory.mktemp("second-plane"), controllers=("*",)) as plane:
        yield plane


@pytest.fixture(scope="module")
def second(second_plane: ControlPlane) -> Iterator[Kube]:
    with Kube.connect(second_plane.kubeconfig) as connected:
        yield connected


@pytest.fixture
def namespace(tmp_path: Path) -> str:
    name = f"moving{next(_numbers)}"
    (tmp_path / "portable.yaml").write_text(SPEC.replace("NAME", name))
    (tmp_path / "token.txt").write_text(VALUE)
    return f"{name}-prod"


@pytest.fixture
def portable(
    tmp_path: Path, acme_site: Path, acme_cloud: Path, control_plane: ControlPlane, second_plane: ControlPlane
) -> Portable:
    describe_api(acme_cloud, second_plane)
    (acme_cloud / "api.json").rename(acme_cloud / "api-two.json")
    describe_api(acme_cloud, control_plane)
    return Portable(tmp_path, environment(tmp_path, acme_site, acme_cloud))


@pytest.fixture
def running(portable: Portable, kube: Kube, second: Kube, namespace: str) -> Iterator[None]:
    """The app runs on one."""
    with kubelet.running(kube, namespace), kubelet.running(second, namespace):
        portable("up", "-e", "prod", "--yes", "--secret", "token=token.txt")
        yield


def migrate(portable: Portable, *words: str, code: int = 0) -> Any:
    run = portable("migrate", *words, "-e", "prod", "--yes", "--output", "json", code=code)
    assert VALUE not in run.out + run.err
    return run.json()


def resume(portable: Portable, *words: str) -> Any:
    return portable("migrate", "resume", *words, "-e", "prod", "--output", "json").json()


def pods(kube: Kube, namespace: str) -> int:
    found = kube.list("v1", "Pod", namespace, label_selector="portable.dev/workload")
    return sum("deletionTimestamp" not in pod["metadata"] for pod in found)


def part(kube: Kube, namespace: str) -> str:
    found = home_record.read(kube, namespace)
    return "" if found is None else found.part


def test_forth_fenced_back_and_finalized(
    portable: Portable, running: None, kube: Kube, second: Kube, namespace: str
) -> None:
    plan = portable("migrate", ONE, TWO, "-e", "prod", "--plan", "--output", "json").json()
    assert plan["stateless"] is True
    assert plan["inventory"]["workloads"] == {"web": 2}
    assert kube.get("v1", "ConfigMap", journal.NAME, namespace) is None, "a plan writes nothing"

    moved = migrate(portable, ONE, TWO)
    assert (moved["phase"], moved["home"]) == ("committed", {"cloud": "acme", "cluster": "two"})
    assert moved["change"] == ["line 4 of portable.yaml: `cluster.name: two` in place of `one`"]
    assert (pods(kube, namespace), pods(second, namespace)) == (0, 2)
    secrets = [each.get("v1", "Secret", "token", namespace) for each in (kube, second)]
    assert secrets[0] is not None
    assert secrets[1] is not None
    assert secrets[0]["data"] == secrets[1]["data"]
    held = second.get("v1", "ConfigMap", journal.NAME, namespace)
    assert held is not None
    assert VALUE not in json.dumps(held)

    for command in (("up", "--yes"), ("destroy", "--yes")):
        refused = portable(*command, "-e", "prod", "--output", "json", code=1).json()["error"]
        assert "has moved to acme/two" in refused["message"], command
    assert portable("migrate", "status", "-e", "prod", "--output", "json").json()["phase"] == "committed"

    back = migrate(portable, "rollback")
    assert (back["phase"], back["home"]["cluster"]) == ("committed", "one")
    assert (pods(kube, namespace), pods(second, namespace)) == (2, 0)
    assert (part(kube, namespace), part(second, namespace)) == ("home", "left")
    assert portable("up", "-e", "prod", "--yes", "--output", "json").json()["event"] == "result"

    gone = migrate(portable, "finalize")
    assert gone["phase"] == "finalized"
    assert second.get("v1", "Namespace", namespace) is None
    assert pods(kube, namespace) == 2
    error = migrate(portable, "rollback", code=1)["error"]
    assert "nothing to go back from" in error["message"]


@soak.drawn(0, of=2)
def test_a_way_back_that_is_given_up_changes_nothing(
    portable: Portable, running: None, kube: Kube, second: Kube, namespace: str
) -> None:
    """By `abort` before traffic has moved and by `--discard` after it: what was to be taken back stands, to be ended or taken back."""
    migrate(portable, ONE, TWO)
    for given_up in (("--stage", "abort"), ("--watch=0", "rollback", "--discard")):
        migrate(portable, TWO, ONE, given_up[0])
        assert migrate(portable, *given_up[1:])["phase"] == "rolled back"
        assert (pods(kube, namespace), pods(second, namespace)) == (0, 2), given_up
        assert (part(kube, namespace), part(second, namespace)) == ("left", "home"), given_up
        status = portable("migrate", "status", "-e", "prod", "--output", "json").json()
        assert (status["phase"], status["home"]["cluster"]) == ("committed", "two"), given_up
    assert migrate(portable, "rollback")["home"]["cluster"] == "one"
    assert migrate(portable, "finalize")["phase"] == "finalized"
    assert second.get("v1", "Namespace", namespace) is None
    assert pods(kube, namespace) == 2


@soak.drawn(1, of=2)
def test_what_is_given_up_leaves_nothing(
    portable: Portable, running: None, kube: Kube, second: Kube, namespace: str
) -> None:
    """After staging, after a rehearsal, and after the commit by going back to the freeze."""
    staged = migrate(portable, ONE, TWO, "--stage")
    assert (staged["phase"], part(second, namespace)) == ("under way", "arriving")
    portable("up", "-e", "prod", "--yes")  # the source may change while it is only staged
    assert migrate(portable, "abort")["phase"] == "rolled back"
    assert second.get("v1", "Namespace", namespace) is None
    assert "nothing to go on with" in migrate_error(portable, "resume")

    migrate(portable, ONE, TWO, "--rehearse")
    assert (pods(kube, namespace), pods(second, namespace)) == (2, 0)
    cron = second.get("batch/v1", "CronJob", "night", namespace)
    assert cron is not None
    assert cron["spec"]["suspend"] is True

    assert migrate(portable, ONE, TWO)["phase"] == "committed"
    done = migrate(portable, "rollback", "--discard")
    assert (done["phase"], done["home"]["cluster"]) == ("rolled back", "one")
    assert (pods(kube, namespace), part(kube, namespace)) == (2, "")
    assert second.get("v1", "Namespace", namespace) is None
    assert portable("up", "-e", "prod", "--yes", "--output", "json").json()["changed"] is False, "exactly as it was"


def migrate_error(portable: Portable, *words: str) -> str:
    return portable("migrate", *words, "-e", "prod", "--output", "json", code=1).json()["error"]["message"]


STEPS = tuple(
    each.name for each in STATELESS if each.name in ("cluster", "secrets", "images", "start", "freeze", "commit")
)


@pytest.mark.parametrize("step", STEPS if soak.SOAK else ("any",))
def test_killed_at_a_step_it_goes_on(
    portable: Portable, running: None, kube: Kube, second: Kube, namespace: str, step: str
) -> None:
    name = random.choice(STEPS) if step == "any" else step
    kill_at(portable, name)
    assert resume(portable)["phase"] == "committed", name
    assert (pods(kube, namespace), pods(second, namespace)) == (0, 2), name
    assert (part(kube, namespace), part(second, namespace)) == ("left", "home"), name
    migrate(portable, "finalize")
    remembers(portable)


def remembers(portable: Portable) -> None:
    """The old cluster is gone, and with it the fence."""
    refused = portable("up", "-e", "prod", "--yes", "--output", "json", code=1).json()["error"]
    assert refused["fix"] == "line 4 of portable.yaml: `cluster.name: two` in place of `one`"
    spec = portable.folder / "portable.yaml"
    spec.write_text(spec.read_text().replace("cluster: {name: one}", "cluster: {name: two}"))
    assert portable("up", "-e", "prod", "--yes", "--output", "json").json()["event"] == "result"
    portable("destroy", "-e", "prod", "--yes", "--destroy-data")


def kill_at(portable: Portable, name: str) -> None:
    process = portable.start("migrate", ONE, TWO, "-e", "prod", "--yes", "--output", "json")
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line) if line.startswith("{") else {}
        if (event.get("name"), event.get("status")) == (name, "started"):
            time.sleep(random.uniform(0, 0.5))
            break
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)


def test_what_is_refused(portable: Portable, running: None, second: Kube, namespace: str) -> None:
    """A spec that was not deployed; a target that has the app."""
    spec = portable.folder / "portable.yaml"
    text = spec.read_text()
    spec.write_text(text.replace("web:1", "web:2"))
    error = portable("migrate", ONE, TWO, "-e", "prod", "--yes", "--output", "json", code=2).json()["error"]
    assert "the spec has changed since its last `up`" in error["message"]

    spec.write_text(text)
    run = portable("migrate", ONE, TWO, "-e", "prod", "--share", "10", "--yes", "--output", "json", code=2)
    assert "cannot be shared between both sides: it has no routes" in run.json()["error"]["message"]

    spec.write_text(text.replace("cluster: {name: one}", "cluster: {name: two}"))
    portable("up", "-e", "prod", "--yes", "--secret", "token=token.txt")
    spec.write_text(text)
    error = portable("migrate", ONE, TWO, "-e", "prod", "--yes", "--output", "json", code=2).json()["error"]
    assert "is on acme/two already" in error["message"]
    assert pods(second, namespace) == 2
