"""`portable migrate` from one cloud to another and back: two real clusters behind stand-in clouds, the shop under load, faults.

The tests stand in order: the shop goes forth under load, comes back with what was written meanwhile, and a smaller app goes through
faults. The long table of faults is run by `make soak`.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from portable_kind import docker
from tests import soak
from tests.e2e.conftest import ROOT
from tests.e2e.migrating import ENDS, MovingApp, Started, World, downtime, objects, trusting_all, world
from tests.e2e.test_clouds import environment
from tests.load import Stream, load

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
Say = Callable[[str], None]
SOURCE, TARGET = ENDS
_FILES = soak.size(300, 20_000)
_LARGE = soak.size(4, 512) * 1024 * 1024
# Steps in which `portable` is killed.
STEPS = (
    "cluster", "secrets", "asleep", "path", "seed", "freeze", "final", "verify", "start", "smoke", "cut-over", "watch", "commit",
)  # fmt: skip


@pytest.fixture(scope="module")
def there(images: None, movers_image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("migrating"), environment) as made:
        yield made


@pytest.fixture(scope="module")
def shop(there: World) -> MovingApp:
    spec = yaml.safe_load((ROOT / "examples" / "shop" / "portable.yaml").read_text())
    spec["metadata"]["name"] = "shop"
    spec["environments"] = {"prod": {"cloud": SOURCE}}
    app = there.app("shop", yaml.safe_dump(spec, sort_keys=False), "shop.localhost")
    shutil.copytree(ROOT / "examples" / "shop" / "config", app.file.parent / "config")
    token = app.file.with_name("token.txt")
    token.write_text(secrets.token_hex(16))
    app.run("up", "--yes", "--secret", f"api-token={token}")
    token.unlink()
    _fill(app)
    return app


def _fill(app: MovingApp) -> None:
    """Small files and one large one, by the app itself."""
    names = [f"small-{number}" for number in range(_FILES)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: app.upload(SOURCE, name, name.encode() * 50), names))
    app.upload(SOURCE, "large", random.Random(1).randbytes(_LARGE))


def test_a_plan_touches_nothing_and_says_what_would_move(shop: MovingApp) -> None:
    plan = shop.run("migrate", SOURCE, TARGET, "--plan", "--output", "json").json()
    assert {way["name"]: way["how"] for way in plan["inventory"]["databases"]} == {
        "db": "replication",
        "cache": "replication",
    }
    assert "files-uploads-0" in [volume["claim"] for volume in plan["inventory"]["volumes"]]
    assert plan["inventory"]["refusals"] == []
    assert plan["promise"]["downtime"] > 0
    assert shop.run("migrate", "status", code=1).code == 1, "there is no migration"


def test_the_shop_goes_to_another_cloud_under_load(shop: MovingApp, say: Say) -> None:
    """Every acknowledged write is there, content is equal, and no longer gap than was promised."""
    shop.migrate(SOURCE, TARGET, "--stage")
    writes = Stream("writes", rate=5, path="/api/items", method="POST", body=lambda n: f'{{"name": "write-{n}"}}'.encode(), patience=3)  # fmt: skip
    reads = Stream("reads", rate=5, path="/healthz", patience=3)
    place = shop.places[SOURCE]
    with load(f"https://{shop.host}/", writes, reads, address=place.address, trust=trusting_all()) as record:
        time.sleep(2)
        result = shop.migrate(SOURCE, TARGET).events()[-1]
        time.sleep(2)
    assert result["phase"] == "committed", result
    acknowledged = {f"write-{each.number}" for each in record.responses if each.stream == "writes" and each.good}
    assert acknowledged - shop.items(TARGET) == set(), "every acknowledged write is there"
    assert len(acknowledged) > 20
    assert shop.differing(TARGET) == []
    said = record.summary()
    say(f"shop {SOURCE} -> {TARGET}: {downtime(result)}; by the old address: {said}")
    assert result["kept"]["downtime"] <= result["promise"]["downtime"]
    assert said.longest_gap <= result["promise"]["downtime"]
    assert shop.pods(SOURCE) == [], "nothing of it runs on both sides"


def test_the_side_that_was_left_is_fenced_and_names_the_line(shop: MovingApp) -> None:
    error = shop.run("up", "--yes", "--output", "json", code=1).error()
    assert f"has moved to {TARGET.replace('gke', 'gcp')}" in error["message"]
    line = next(n for n, text in enumerate(shop.file.read_text().splitlines(), 1) if "cloud:" in text)
    assert f"line {line} of " in error["fix"]
    assert "environments.prod.cloud: gcp" in error["fix"]
    for command in (("destroy", "--yes"), ("drift", "--fix", "--yes")):
        assert shop.run(*command, "--output", "json", code=1).code == 1, command


def test_it_comes_back_with_what_was_written_meanwhile(shop: MovingApp, say: Say) -> None:
    before = objects(shop.places[TARGET].kube, shop.namespace)
    shop.upload(TARGET, "meanwhile", b"written on the target")
    shop.ask(TARGET, "/api/items", "POST", {"name": "meanwhile"})
    result = shop.migrate("rollback").events()[-1]
    assert (result["phase"], result["home"]["cloud"]) == ("committed", "aws")
    say(f"shop {TARGET} -> {SOURCE}: {downtime(result)}")
    assert shop.differing(SOURCE) == []
    assert "meanwhile" in shop.items(SOURCE)
    assert shop.run("up", "--yes", "--output", "json").events()[-1]["event"] == "result"
    after = objects(shop.places[SOURCE].kube, shop.namespace)
    assert after.keys() == before.keys()


def test_finalize_leaves_nothing_there(shop: MovingApp) -> None:
    result = shop.run("migrate", "finalize", "--yes", "--keep-cluster", "--output", "json").events()[-1]
    assert result["phase"] == "finalized"
    assert shop.places[TARGET].kube.get("v1", "Namespace", shop.namespace) is None
    assert shop.differing(SOURCE) == []
    shop.run("destroy", "--yes", "--destroy-data", "--keep-cluster")


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(there: World) -> MovingApp:
    """A workload with a volume, and nothing else: what faults are tried on."""
    uploads: dict[str, Any] = {
        "kind": "stateful",
        "containers": {
            "main": {
                "image": "shop/app:1.0",
                "args": ["uploads"],
                "variables": {"UPLOADS_DIR": "/var/uploads"},
                "volumes": {"/var/uploads": {"source": "${resources.files}"}},
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}},
                "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
            }
        },
        "service": {"ports": {"http": {"port": 8080}}},
        "routes": {"up": {"host": "files.localhost", "path": "/", "port": "http", "tls": "auto"}},
        "rollout": {"timeout": "3m"},
    }
    spec = {
        "apiVersion": "portable/v1",
        "kind": "App",
        "metadata": {"name": "files"},
        "workloads": {"uploads": uploads},
        "resources": {"files": {"type": "volume", "size": "1Gi"}},
        "environments": {"prod": {"cloud": SOURCE}},
    }
    app = there.app("files", yaml.safe_dump(spec, sort_keys=False), "files.localhost")
    app.run("up", "--yes")
    for number in range(20):
        app.upload(SOURCE, f"f{number}", f"content {number}".encode())
    return app


@pytest.fixture(scope="module")
def chosen(say: Say) -> random.Random:
    """What decides which of the faults a short run meets."""
    seed = int(os.environ.get("PORTABLE_SEED", random.randrange(10**6)))
    say(f"faults of a migration: PORTABLE_SEED={seed}")
    return random.Random(seed)


@dataclass
class Faulty:
    """The app of the faults, and where it is: every case takes it to the other side."""

    app: MovingApp
    at: str = SOURCE

    @property
    def to(self) -> str:
        return TARGET if self.at == SOURCE else SOURCE

    def go(self) -> Started:
        return self.app.start(self.at, self.to, "--yes")

    def resume(self) -> dict[str, Any]:
        return self.app.run("migrate", "resume", self.at, self.to, "--watch", "2", "--output", "json").events()[-1]

    def arrived(self, result: dict[str, Any], case: str) -> None:
        assert result["phase"] == "committed", (case, result)
        assert self.app.differing(self.to) == [], case
        assert self.app.pods(self.at) == [], f"{case}: it serves from both sides"
        self.app.upload(self.to, f"after-{case.replace(' ', '-')}", case.encode())
        self.at = self.to


@pytest.fixture(scope="module")
def faulty(files: MovingApp) -> Faulty:
    return Faulty(files)


def test_two_operators(files: MovingApp) -> None:
    """The second is refused, by the name of the first."""
    first = files.start(SOURCE, TARGET, "--stage", "--yes")
    assert first.wait_for_step("path")
    error = files.migrate(SOURCE, TARGET, "--stage", code=1).error()
    assert "another operator works on this migration" in error["message"]
    assert f"process {first.process.pid}" in error["message"]
    code, events = first.ended()
    assert code == 0, events[-1]


@pytest.mark.parametrize("step", STEPS if soak.SOAK else ("any",))
def test_killed_at_a_step_it_goes_on(faulty: Faulty, step: str, chosen: random.Random, say: Say) -> None:
    name = chosen.choice(STEPS) if step == "any" else step
    run = faulty.go()
    began = run.wait_for_step(name)
    run.kill()
    assert began, f"{name}: {run.events()[-1]}"
    result = faulty.resume()
    say(f"killed at {name}, {faulty.at} -> {faulty.to}: resumed, downtime {result['kept']['downtime']:.1f} s in all")
    faulty.arrived(result, f"killed at {name}")


def delete_movers(faulty: Faulty) -> None:
    for place in faulty.app.places.values():
        for pod in place.kube.list("v1", "Pod", faulty.app.namespace, label_selector="portable.dev/mover"):
            place.kube.delete("v1", "Pod", pod["metadata"]["name"], faulty.app.namespace, propagation="Background")


def freeze_target_node(faulty: Faulty) -> None:
    """As a network that is cut for a while: nothing answers, and no connection is closed."""
    node = faulty.app.places[faulty.to].behind.node
    docker.run("pause", node)
    time.sleep(15)
    docker.run("unpause", node)


def restart_target_node(faulty: Faulty) -> None:
    docker.run("restart", faulty.app.places[faulty.to].behind.node)


# fault -> the step in which it happens, and what it is
FAULTS: dict[str, tuple[str, Callable[[Faulty], None]]] = {
    "movers deleted in the seed": ("seed", delete_movers),
    "movers deleted in the final sync": ("final", delete_movers),
    "the target cut off in the seed": ("seed", freeze_target_node),
    "the target cut off at the start": ("start", freeze_target_node),
    "the target's node restarted": ("asleep", restart_target_node),
}


@pytest.mark.parametrize("fault", FAULTS if soak.SOAK else ("any",))
def test_after_a_fault_it_arrives(faulty: Faulty, fault: str, chosen: random.Random, say: Say) -> None:
    """By itself, or where it said what went wrong by `resume`. A source that was stopped serves meanwhile, or the target does."""
    quick = ("movers deleted in the seed", "movers deleted in the final sync")
    name = chosen.choice(quick) if fault == "any" else fault
    step, happens = FAULTS[name]
    run = faulty.go()
    assert run.wait_for_step(step)
    happens(faulty)
    code, events = run.ended()
    result = events[-1]
    said = "by itself"
    if code != 0:
        assert result["event"] == "error", result
        assert "unexpected" not in result["error"]["message"], result
        assert result["error"]["fix"], "it says what to do"
        said = f"after `{result['error']['message']}`"
        result = faulty.resume()
    say(f"{name}: {said}")
    faulty.arrived(result, name)


@pytest.mark.skipif(not soak.SOAK, reason="waits for a pod's grace, and for a rollout's patience")
def test_a_pod_that_will_not_stop_is_named(faulty: Faulty) -> None:
    """Nothing is copied from under it; once it is gone the source serves again, and the migration goes on."""
    app, kube = faulty.app, faulty.app.places[faulty.at].kube
    (pod,) = app.pods(faulty.at)
    kube.merge_patch("v1", "Pod", pod, {"metadata": {"finalizers": ["tests.example/held"]}}, app.namespace)
    code, events = faulty.go().ended()
    assert code == 1
    assert pod in events[-1]["error"]["message"]
    kube.merge_patch("v1", "Pod", pod, {"metadata": {"finalizers": None}}, app.namespace)
    app.migrate("rollback", faulty.at, faulty.to)
    assert app.differing(faulty.at) == []
    faulty.arrived(faulty.resume(), "a pod that would not stop")


def test_abort_leaves_the_source_as_it_was(faulty: Faulty) -> None:
    """From a side that was never left, or been left: nothing of the migration stays."""
    app = faulty.app
    if faulty.at == TARGET:
        faulty.arrived(app.migrate("rollback").events()[-1], "back")
    app.run("migrate", "finalize", "--yes", "--keep-cluster", "--output", "json")
    place = app.places[SOURCE]
    before = objects(place.kube, app.namespace)
    app.migrate(SOURCE, TARGET, "--stage")
    result = app.run("migrate", "abort", "--yes", "--output", "json").events()[-1]
    assert result["phase"] == "rolled back"
    assert objects(place.kube, app.namespace) == before
    assert app.places[TARGET].kube.get("v1", "Namespace", app.namespace) is None
    left = place.kube.list("v1", "Pod", app.namespace, label_selector="portable.dev/mover")
    assert [pod["metadata"]["name"] for pod in left if "deletionTimestamp" not in pod["metadata"]] == []
    assert app.run("up", "--yes", "--output", "json").events()[-1]["changed"] is False, "the source was not touched"
