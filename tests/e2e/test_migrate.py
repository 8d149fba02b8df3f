"""`portable migrate` from one cloud to another and back: real clusters behind stand-in clouds, the shop under load, faults.

The tests stand in order: the shop goes forth under load, comes back with what was written meanwhile, another goes on to a third
cloud, and a smaller app goes through faults. `make test` has the shop go forth, one fault, and a part of the rest, with little data;
`make soak` runs all, with every fault and more than 1 GiB of 100,000 files.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from portable.dns import ledger
from portable_kind import docker
from tests import soak
from tests.e2e.conftest import HELLO
from tests.e2e.migrating import ENDS, ZONE, MovingApp, World, changed, downtime, objects, world
from tests.e2e.migrating_faults import FAULTS, Faulty, explained, run_into
from tests.e2e.shop_moving import move_under_load, new_shop, report, stage
from tests.e2e.test_clouds import environment
from tests.load import Stream, load
from tests.soak import drawn

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
Say = Callable[[str], None]
SOURCE, TARGET = ENDS
THIRD = "aks"
# Steps in which `portable` is killed.
STEPS = (
    "cluster", "secrets", "asleep", "path", "seed", "freeze", "final", "verify", "start", "smoke", "cut-over", "watch", "commit",
)  # fmt: skip


@pytest.fixture(scope="module")
def there(images: None, movers_image: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("migrating"), environment, (*ENDS, THIRD) if soak.SOAK else ENDS) as made:
        yield made


@pytest.fixture(scope="module")
def shop(there: World) -> MovingApp:
    return new_shop(there, "shop", SOURCE)


@pytest.fixture(scope="module")
def start(shop: MovingApp) -> dict[str, Any]:
    """The shop's objects before it went anywhere."""
    return objects(shop.places[SOURCE].kube, shop.namespace)


@pytest.fixture(scope="module")
def journeys(say: Say) -> Iterator[list[tuple[str, ...]]]:
    """A row of the table for each; written where all of the data has moved."""
    made: list[tuple[str, ...]] = []
    yield made
    if made:
        say(report(made))


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


@pytest.mark.usefixtures("start")
def test_the_shop_goes_to_another_cloud_under_load(shop: MovingApp, journeys: list[tuple[str, ...]]) -> None:
    stage(shop, SOURCE, TARGET)
    journeys.append(move_under_load(shop, SOURCE, TARGET, lambda: shop.migrate(SOURCE, TARGET)))


def test_the_side_that_was_left_is_fenced_and_names_the_line(shop: MovingApp) -> None:
    error = shop.run("up", "--yes", "--output", "json", code=1).error()
    assert f"has moved to {TARGET.replace('gke', 'gcp')}" in error["message"]
    line = next(n for n, text in enumerate(shop.file.read_text().splitlines(), 1) if "cloud:" in text)
    assert f"line {line} of " in error["fix"]
    assert "environments.prod.cloud: gcp" in error["fix"]
    for command in (("destroy", "--yes"), ("drift", "--fix", "--yes")):
        assert shop.run(*command, "--output", "json", code=1).code == 1, command


@drawn(0, 4)
def test_it_comes_back_with_what_was_written_meanwhile(shop: MovingApp, journeys: list[tuple[str, ...]]) -> None:
    shop.upload(TARGET, "meanwhile", b"written on the target")
    shop.ask(TARGET, "/api/items", "POST", {"name": "meanwhile"})
    journeys.append(move_under_load(shop, TARGET, SOURCE, lambda: shop.migrate("rollback")))
    assert "meanwhile" in shop.items(SOURCE)
    assert shop.run("up", "--yes", "--output", "json").events()[-1]["event"] == "result"


@drawn(0, 4)
def test_finalize_leaves_nothing_there_and_the_objects_of_the_start(shop: MovingApp, start: dict[str, Any]) -> None:
    result = shop.run("migrate", "finalize", "--yes", "--keep-cluster", "--output", "json").events()[-1]
    assert result["phase"] == "finalized"
    assert shop.places[TARGET].kube.get("v1", "Namespace", shop.namespace) is None
    assert shop.differing(SOURCE) == []
    assert changed(start, objects(shop.places[SOURCE].kube, shop.namespace)) == {}
    shop.run("destroy", "--yes", "--destroy-data", "--keep-cluster")


@pytest.mark.skipif(not soak.SOAK, reason="a third cluster, and all of the shop's data once more")
def test_a_shop_goes_on_to_a_third_cloud_under_load(there: World, journeys: list[tuple[str, ...]]) -> None:
    shop = new_shop(there, "other-shop", TARGET)
    stage(shop, TARGET, THIRD)
    journeys.append(move_under_load(shop, TARGET, THIRD, lambda: shop.migrate(TARGET, THIRD)))
    shop.run("migrate", "finalize", "--yes", "--keep-cluster", "--output", "json")
    assert shop.places[TARGET].kube.get("v1", "Namespace", shop.namespace) is None


# -- an app that keeps nothing -----------------------------------------------------------------------------------------


def spec(name: str, workloads: Mapping[str, Any], resources: Mapping[str, Any] | None = None) -> str:
    document = {
        "apiVersion": "portable/v1",
        "kind": "App",
        "metadata": {"name": name},
        "workloads": dict(workloads),
        "environments": {"prod": {"cloud": SOURCE}},
    }
    return yaml.safe_dump(document | ({"resources": dict(resources)} if resources else {}), sort_keys=False)


def give_short_ttl(app: MovingApp, there: World) -> None:
    """As if it had been lowered long ago: five minutes would be waited for otherwise."""
    kube = app.places[SOURCE].kube
    entries = [replace(each, record=replace(each.record, ttl=30)) for each in ledger.read(kube, app.namespace)]
    assert [each.record.name for each in entries] == [app.host]
    there.dns.zones.upsert(ZONE, entries[0].record)
    ledger.write(kube, app.namespace, {}, entries)


@drawn(3, 4)
def test_an_app_that_keeps_nothing_moves_with_no_request_lost(there: World, say: Say) -> None:
    """Its clients all have the old DNS answer, from the first moment to the last."""
    host = f"plain.{ZONE}"
    web = {
        **HELLO,
        "routes": {"main": {"host": host}},
        "scale": {"min": 2},
        "containers": {
            "main": {**HELLO["containers"]["main"], "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}}}
        },
    }
    app = there.app("plain", spec("plain", {"web": web}), host)
    app.run("up", "--yes")
    give_short_ttl(app, there)
    place = app.places[SOURCE]
    kept = Stream("keep-alive", rate=20, connections=4, patience=20)
    with load(app.url, kept, replace(kept, name="fresh", keep_alive=False), address=place.address) as record:
        time.sleep(2)
        refused = app.migrate(SOURCE, TARGET, "--share", "10", code=2).error()
        assert "no weighted records" in refused["message"], "not at this DNS service"
        assert len(app.pods(SOURCE)) == len(app.pods(TARGET)) == 2, "both sides may serve, until it goes on or back"
        result = app.run("migrate", "resume", "--watch", "2", "--output", "json").events()[-1]
        time.sleep(2)
    assert (result["phase"], result["home"]["cloud"]) == ("committed", TARGET.replace("gke", "gcp"))
    said = record.summary()
    say(f"an app that keeps nothing, {SOURCE} -> {TARGET}: {said}; whole migration {result['kept']['total']:.0f} s")
    assert not record.failed()
    assert app.pods(SOURCE) == []
    (answer,) = there.dns.zones.records(ZONE, host)
    assert answer.values == (app.places[TARGET].address,)


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faulty(there: World) -> Faulty:
    """A workload with a volume and a route, and nothing else: what faults are tried on."""
    main = {
        "image": "shop/app:1.0",
        "args": ["uploads"],
        "variables": {"UPLOADS_DIR": "/var/uploads"},
        "volumes": {"/var/uploads": {"source": "${resources.files}"}},
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080}},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    uploads: dict[str, Any] = {
        "kind": "stateful",
        "containers": {"main": main},
        "service": {"ports": {"http": {"port": 8080}}},
        "routes": {"up": {"host": f"files.{ZONE}", "path": "/", "port": "http"}},
        "rollout": {"timeout": "3m"},
    }
    resources = {"files": {"type": "volume", "size": "1Gi"}}
    app = there.app("files", spec("files", {"uploads": uploads}, resources), f"files.{ZONE}")
    app.run("up", "--yes")
    give_short_ttl(app, there)
    for number in range(20):
        app.upload(SOURCE, f"f{number}", f"content {number}".encode())
    return Faulty(app, there.dns)


@pytest.fixture(scope="module")
def chosen(say: Say) -> random.Random:
    """What decides which of the faults a short run meets."""
    seed = int(os.environ.get("PORTABLE_SEED", random.randrange(10**6)))
    say(f"faults of a migration: PORTABLE_SEED={seed}")
    return random.Random(seed)


@pytest.mark.parametrize("fault", FAULTS if soak.SOAK else ("any",))
def test_after_a_fault_it_arrives_or_goes_back(faulty: Faulty, fault: str, chosen: random.Random, say: Say) -> None:
    """By itself; or where it said what went wrong by `resume`, after going back or without. Never do both sides serve."""
    name = chosen.choice(list(FAULTS)) if fault == "any" else fault
    way = f"{name}, {faulty.at} -> {faulty.to}"
    code, events = run_into(faulty, FAULTS[name])
    if code == 0:
        assert not FAULTS[name].says, "nothing was noticed"
        say(f"{way}: by itself; {downtime(events[-1])}")
        faulty.arrived(events[-1], name)
        return
    said = explained(events, FAULTS[name])
    serving = [cloud for cloud in ENDS if faulty.app.pods(cloud)]
    assert len(serving) <= 1, f"{name}: {serving} serve"
    back = chosen.choice(("rollback", "abort", ""))
    say(f"{way}: `{said}`, then {back or 'resume'}")
    faulty.arrived(faulty.begin_anew(back, name) if back else faulty.resume(), name)


@pytest.mark.skipif(not soak.SOAK, reason="a node is stopped and started again")
def test_going_back_needs_no_target(faulty: Faulty) -> None:
    """Its cluster is lost while the app starts there, and the source stands still."""
    run, node = faulty.go(), faulty.node(faulty.to)
    assert run.wait_for_step("start")
    docker.run("stop", "--time", "1", node)
    try:
        code, events = run.ended()
        assert code == 1
        assert "`portable migrate rollback` tries again to start the source" in events[-1]["error"]["fix"]
        faulty.app.migrate("rollback", faulty.at, faulty.to)
        assert faulty.app.differing(faulty.at) == []
    finally:
        docker.run("start", node)
    faulty.settle()
    faulty.arrived(faulty.resume(), "the target lost at the start")


@drawn(1, 4)
def test_two_operators(faulty: Faulty) -> None:
    """The second is refused, by the name of the first."""
    first = faulty.app.start(faulty.at, faulty.to, "--stage", "--yes")
    assert first.wait_for_step("path")
    error = faulty.app.migrate(faulty.at, faulty.to, "--stage", code=1).error()
    assert "another operator works on this migration" in error["message"]
    assert f"process {first.process.pid}" in error["message"]
    code, events = first.ended()
    assert code == 0, events[-1]
    faulty.app.run("migrate", "abort", "--yes", "--output", "json")  # what is staged already would not begin again


@drawn(1, 4)
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


@drawn(2, 4)
def test_abort_leaves_the_source_as_it_was(faulty: Faulty) -> None:
    """There, back and finalized, whatever came before: the target knows nothing of the app, and afterwards still does not."""
    app = faulty.app
    if faulty.at == SOURCE:
        faulty.arrived(app.migrate(SOURCE, TARGET).events()[-1], "there")
    faulty.arrived(app.migrate("rollback").events()[-1], "back")
    app.run("migrate", "finalize", "--yes", "--keep-cluster", "--output", "json")
    place = app.places[SOURCE]
    before = objects(place.kube, app.namespace)
    app.migrate(SOURCE, TARGET, "--stage")
    result = app.run("migrate", "abort", "--yes", "--output", "json").events()[-1]
    assert result["phase"] == "rolled back"
    assert changed(before, objects(place.kube, app.namespace)) == {}
    assert app.places[TARGET].kube.get("v1", "Namespace", app.namespace) is None
    left = place.kube.list("v1", "Pod", app.namespace, label_selector="portable.dev/mover")
    assert [pod["metadata"]["name"] for pod in left if "deletionTimestamp" not in pod["metadata"]] == []
    assert app.run("up", "--yes", "--output", "json").events()[-1]["changed"] is False, "the source was not touched"
