"""The cluster stack, with a plugin's resource types served over Pulumi's provider protocol."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from portable.clusters import made_anew, other_apps, spare_others
from portable.engine import Engine, FieldChange, Settings
from portable.engine.backend import FILES_OF_A_RUN, KEPT_RUNS
from portable.engine.workspace import open_workspace
from portable.errors import ProviderError, SpecError
from portable.events import Event, Notice, ResourceEvent, nowhere
from portable.home import Home
from portable.provider import ClusterResource, ClusterState, Ref
from tests.unit.engine.folders import Folder

pytestmark = pytest.mark.unit

TOKEN = "portable:test:Folder"


@pytest.fixture
def cloud(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "cloud")


def _resources(size: int = 1) -> list[ClusterResource]:
    return [
        ClusterResource(TOKEN, "network", {"name": "network", "size": size}),
        ClusterResource(TOKEN, "cluster", {"name": "cluster", "network": Ref("network", "path"), "tags": ["a", 1]}),
    ]


def test_up_nothing_change_destroy(engine: Engine, home: Home, cloud: Folder, state_root: Path) -> None:
    types = {TOKEN: cloud}
    outputs = engine.cluster.up(home, _resources(), types)
    assert outputs["network"]["path"] == str(cloud.root / "network")
    assert outputs["network"]["token"] == "[secret]"
    content = json.loads((cloud.root / "cluster/content").read_text())
    assert content == {"name": "cluster", "network": str(cloud.root / "network"), "tags": ["a", 1]}
    stored = [path for path in state_root.rglob("*") if path.is_file() and b"token-of-network" in path.read_bytes()]
    assert stored == [], "secret outputs are encrypted"

    cloud.calls.clear()
    engine.cluster.up(home, _resources(), types)
    assert cloud.calls == []
    preview = {change.name: change for change in engine.cluster.preview(home, _resources(2), types)}
    assert (preview["network"].operation, preview["cluster"].operation) == ("update", "same")
    assert preview["network"].fields == (FieldChange("size", 1, 2),)
    assert cloud.calls == []
    engine.cluster.up(home, _resources(2), types)
    assert cloud.calls == ["update", "create"]

    engine.cluster.destroy(home, types)
    assert list(cloud.root.iterdir()) == []
    assert engine.stacks.state(home.cluster_stack) is None


def test_the_preview_of_a_replacement_says_what_is_not_known_yet(engine: Engine, home: Home, cloud: Folder) -> None:
    engine.cluster.up(home, _resources(), {TOKEN: cloud})
    renamed = [ClusterResource(TOKEN, "network", {"name": "other", "size": 1}), _resources()[1]]
    preview = {change.name: change for change in engine.cluster.preview(home, renamed, {TOKEN: cloud})}
    assert preview["network"].operation == "replace"
    assert preview["network"].fields == (FieldChange("name", "network", "other"),)
    (field,) = preview["cluster"].fields
    assert (field.path, field.after) == ("network", "(known when it is made)")
    engine.cluster.up(home, renamed, {TOKEN: cloud})
    assert not (cloud.root / "network").exists()
    assert json.loads((cloud.root / "cluster/content").read_text())["network"] == str(cloud.root / "other")


def test_a_cluster_is_not_made_anew_under_other_apps(engine: Engine, home: Home, cloud: Folder) -> None:
    types = {TOKEN: cloud}

    def resources(name: str, size: int = 1) -> list[ClusterResource]:
        return [ClusterResource(TOKEN, "cluster", {"name": name, "size": size, "uid": "1"})]

    engine.cluster.up(home, resources("first"), types)
    replacement = engine.cluster.preview(home, resources("second"), types)
    assert made_anew(engine, home, replacement)
    assert not made_anew(engine, home, engine.cluster.preview(home, resources("first", 2), types))
    assert other_apps(engine, home) == []
    provider: Any = SimpleNamespace(resource_types=lambda: types)
    target: Any = SimpleNamespace(home=home, provider=provider)
    told: list[Event] = []
    spare_others(target, resources("second"), engine, told.append)  # nobody else is there
    with patch("portable.clusters.other_apps", return_value=["blog", "shop (prod)"]):
        with pytest.raises(ProviderError, match=r"made anew, and blog, shop \(prod\) would go with it"):
            spare_others(target, resources("second"), engine, told.append)
        spare_others(target, resources("first"), engine, told.append)
        assert told == [], "nothing changes"
        spare_others(target, resources("first", 2), engine, told.append)
    (notice,) = told
    assert isinstance(notice, Notice)
    assert notice.message.endswith("and changes: cluster")


def test_the_preview_of_a_new_cluster_creates(engine: Engine, home: Home, cloud: Folder) -> None:
    preview = engine.cluster.preview(home, _resources(), {TOKEN: cloud})
    assert [(change.operation, change.name) for change in preview] == [("create", "network"), ("create", "cluster")]
    assert FieldChange("size", None, 1) in preview[0].fields
    assert cloud.calls == []


def test_a_broken_off_creation_is_carried_on(engine: Engine, home: Home, cloud: Folder) -> None:
    cloud.broken = True
    with pytest.raises(ProviderError, match="the disk is full") as failure:
        engine.cluster.up(home, _resources(), {TOKEN: cloud})
    assert failure.value.fix == "make room"
    state = engine.stacks.state(home.cluster_stack)
    assert state is not None
    assert not state.complete
    cloud.broken = False
    cloud.calls.clear()
    outputs = engine.cluster.up(home, _resources(), {TOKEN: cloud})
    assert cloud.calls == ["create", "create"], "created again, not updated"
    assert outputs["network"]["path"] == str(cloud.root / "network")
    state = engine.stacks.state(home.cluster_stack)
    assert state is not None
    assert state.complete


def test_a_broken_off_creation_is_cleaned_up_by_destroy(engine: Engine, home: Home, cloud: Folder) -> None:
    cloud.broken = True
    with pytest.raises(ProviderError):
        engine.cluster.up(home, _resources(), {TOKEN: cloud})
    assert (cloud.root / "network").exists()
    engine.cluster.destroy(home, {TOKEN: cloud})
    assert not (cloud.root / "network").exists()


def test_a_creation_that_a_kill_broke_off_is_cleaned_up_by_destroy(engine: Engine, home: Home, cloud: Folder) -> None:
    """What a kill -9 within `create` leaves: the object, and in the state a pending operation."""
    engine.cluster.up(home, _resources(), {TOKEN: cloud})
    file = open_workspace(None).state_file(home.cluster_stack)
    assert file is not None
    document = json.loads(file.read_text())
    latest = document["checkpoint"]["latest"]
    made = next(resource for resource in latest["resources"] if resource["urn"].endswith("::cluster"))
    latest["resources"].remove(made)
    begun = {key: value for key, value in made.items() if key not in ("id", "outputs")}
    latest["pending_operations"] = [{"resource": begun, "type": "creating"}]
    file.write_text(json.dumps(document))
    state = engine.stacks.state(home.cluster_stack)
    assert state is not None
    assert state.pending == (made["urn"],)
    engine.cluster.destroy(home, {TOKEN: cloud})
    assert list(cloud.root.iterdir()) == []


def test_a_problem_of_the_inputs_is_told(engine: Engine, home: Home, cloud: Folder) -> None:
    with pytest.raises(SpecError) as failure:
        engine.cluster.up(home, [ClusterResource(TOKEN, "nameless", {"name": ""})], {TOKEN: cloud})
    assert [(problem.message, problem.path) for problem in failure.value.problems] == [
        ("a folder needs a name", "name")
    ]
    assert cloud.calls == []


def test_a_vanished_cluster_is_made_again_and_what_is_left_of_it_taken_over(
    engine: Engine, home: Home, cloud: Folder, events: list[Event]
) -> None:
    engine.cluster.up(home, _resources(), {TOKEN: cloud})
    shutil.rmtree(cloud.root / "cluster")
    engine.cluster.forget_vanished(home, lambda: None, {TOKEN: cloud})
    assert any("is gone" in event.message for event in events if isinstance(event, Notice))
    cloud.calls.clear()
    engine.cluster.up(home, _resources(), {TOKEN: cloud})
    assert cloud.calls.count("create") == 1


def test_a_cluster_in_another_place_than_the_spec_says_is_not_taken_for_gone(
    engine: Engine, home: Home, cloud: Folder
) -> None:
    engine.cluster.up(home, _resources(), {TOKEN: cloud})
    before = engine.stacks.state(home.cluster_stack)
    with pytest.raises(ProviderError, match="not where it is looked for now"):
        engine.cluster.forget_vanished(home, lambda: None, {TOKEN: cloud})
    assert engine.stacks.state(home.cluster_stack) == before


@pytest.mark.parametrize(("uid", "forgotten"), [("", False), ("it", False), ("another", True)])
def test_a_cluster_of_the_same_name_is_told_by_its_uid(
    uid: str, forgotten: bool, engine: Engine, home: Home, events: list[Event], state_root: Path
) -> None:
    known = {"type": TOKEN, "urn": f"urn:pulumi:x::portable::{TOKEN}::cluster", "outputs": {"uid": "it"}}
    file = open_workspace(None).state_file(home.cluster_stack)
    assert file is not None
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": [known]}}}))
    engine.cluster.forget_vanished(home, lambda: ClusterState("plane", True, uid=uid), {})
    assert any("is gone" in event.message for event in events if isinstance(event, Notice)) == forgotten


def test_what_a_cluster_was_brought_up_with_is_known_to_every_app(engine: Engine, home: Home, cloud: Folder) -> None:
    plane = ClusterState("plane", True)
    assert not engine.cluster.has(home, "one", plane)
    engine.cluster.up(home, _resources(), {TOKEN: cloud}, digest="one")
    assert engine.cluster.has(home, "one", plane)
    assert not engine.cluster.has(home, "two", plane)
    assert [change.operation for change in engine.cluster.preview(home, _resources(), {TOKEN: cloud})] == ["same"] * 2
    cloud.broken = True
    with pytest.raises(ProviderError, match="the disk is full"):
        engine.cluster.up(home, _resources(3), {TOKEN: cloud}, digest="three")
    assert not engine.cluster.has(home, "three", plane)
    assert not engine.cluster.has(home, "one", plane), "what broke off is carried on with"


def test_whether_a_cluster_is_gone_is_asked_when_no_other_makes_it(
    engine: Engine, home: Home, cloud: Folder, events: list[Event]
) -> None:
    """Of two `up` at once, the second finds a state that the first has begun and a cluster that is not there yet."""
    engine.cluster.up(home, _resources(), {TOKEN: cloud})
    made = threading.Event()

    def find() -> ClusterState | None:
        return ClusterState("plane", True) if made.is_set() else None

    first = Engine(Settings(), nowhere)
    before = first.stacks.state(home.cluster_stack)
    with ThreadPoolExecutor(1) as pool:
        with first.stacks.operation(home.cluster_stack, (), shared=True):
            second = pool.submit(engine.cluster.forget_vanished, home, find, {})
            while not any(isinstance(event, Notice) and "waiting" in event.message for event in events):
                assert not second.done(), second.exception()
                time.sleep(0.01)
            made.set()
        second.result()
    assert engine.stacks.state(home.cluster_stack) == before


def test_pulumis_own_records_of_a_stack_are_bounded(
    engine: Engine, home: Home, cloud: Folder, state_root: Path
) -> None:
    types = {TOKEN: cloud}
    engine.cluster.up(home, _resources(), types)
    records = state_root / "backend/.pulumi/history/portable" / home.cluster_stack
    first = list(records.iterdir())
    assert len(first) == FILES_OF_A_RUN
    (stamp,) = {found for path in first for found in re.findall(r"-(\d{19})\.", path.name)}
    for number in range(1, KEPT_RUNS + 3):
        for path in first:
            path.with_name(path.name.replace(stamp, str(int(stamp) + number))).write_text("{}")
    engine.cluster.up(home, _resources(2), types)
    kept = sorted(records.iterdir())
    assert len(kept) == KEPT_RUNS * FILES_OF_A_RUN
    assert not set(first) & set(kept)
    assert json.loads(kept[-1].read_text())["kind"] == "update", "the newest is the run that has just ended"
    assert not (state_root / "backend/.pulumi/backups").exists()


def test_a_change_behind_our_back_is_seen_and_put_back(engine: Engine, home: Home, cloud: Folder) -> None:
    types = {TOKEN: cloud}
    engine.cluster.up(home, _resources(), types)
    content = cloud.root / "network/content"
    content.write_text(json.dumps({"name": "network", "size": 7}))
    preview = {change.name: change for change in engine.cluster.preview(home, _resources(), types)}
    assert preview["network"].operation == "update"
    assert preview["network"].fields == (FieldChange("size", 7, 1),)
    assert preview["cluster"].operation == "same"
    engine.cluster.up(home, _resources(), types)
    assert json.loads(content.read_text())["size"] == 1

    shutil.rmtree(cloud.root / "cluster")
    preview = {change.name: change.operation for change in engine.cluster.preview(home, _resources(), types)}
    assert preview == {"network": "same", "cluster": "create"}
    engine.cluster.up(home, _resources(), types)
    assert (cloud.root / "cluster/content").exists()


def test_progress_is_told_of_the_object_that_makes_it(
    engine: Engine, home: Home, cloud: Folder, events: list[Event]
) -> None:
    cloud.says = "half of it"
    engine.cluster.up(home, _resources(), {TOKEN: cloud})
    told = [event for event in events if isinstance(event, ResourceEvent) and event.status == "progress"]
    assert {(event.stack, event.operation, event.name, event.detail) for event in told} == {
        ("cluster", "create", "network", "half of it"),
        ("cluster", "create", "cluster", "half of it"),
    }


def test_several_failures_are_told_at_once_each_with_what_to_do(engine: Engine, home: Home, cloud: Folder) -> None:
    cloud.broken = True
    cloud.together = threading.Barrier(2, timeout=60)
    both = [ClusterResource(TOKEN, name, {"name": name}) for name in ("left", "right")]
    with pytest.raises(ProviderError, match="the disk is full") as failure:
        engine.cluster.up(home, both, {TOKEN: cloud})
    assert failure.value.fix == "make room"
    assert re.search("(left|right): the disk is full", failure.value.message)
    assert re.search("(left|right): the disk is full", failure.value.detail)


def test_many_resources_that_need_each_others_outputs_are_previewed_and_made(
    engine: Engine, home: Home, cloud: Folder
) -> None:
    """As wide and deep as a cloud's: 40 objects, each with what is known of another only when that is made."""
    first = ClusterResource(TOKEN, "n0", {"name": "n0", "size": 1})
    rest = [
        ClusterResource(
            TOKEN,
            f"n{at}",
            {"name": f"n{at}", "on": Ref(f"n{(at - 1) // 3}", "path"), "list": [Ref("n0", "token"), Ref("n0", "id")]},
        )
        for at in range(1, 40)
    ]
    resources = [first, *rest]
    preview = engine.cluster.preview(home, resources, {TOKEN: cloud})
    assert [change.operation for change in preview] == ["create"] * 40
    engine.cluster.up(home, resources[:20], {TOKEN: cloud})
    preview = engine.cluster.preview(home, resources, {TOKEN: cloud})
    assert [change.operation for change in preview] == ["same"] * 20 + ["create"] * 20
    engine.cluster.up(home, resources, {TOKEN: cloud})
    content = json.loads((cloud.root / "n39/content").read_text())
    assert content == {"name": "n39", "on": str(cloud.root / "n12"), "list": ["token-of-n0", "own-id-of-n0"]}
    engine.cluster.destroy(home, {TOKEN: cloud})
    assert list(cloud.root.iterdir()) == []
