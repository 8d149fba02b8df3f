"""The cluster stack, with a plugin's resource types served over Pulumi's provider protocol."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from portable.engine import Engine, FieldChange
from portable.engine.workspace import open_workspace
from portable.errors import ProviderError
from portable.home import Home
from portable.provider import ClusterResource, Ref
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
    outputs = engine.cluster_up(home, _resources(), types)
    assert outputs["network"]["path"] == str(cloud.root / "network")
    assert outputs["network"]["token"] == "[secret]"
    content = json.loads((cloud.root / "cluster/content").read_text())
    assert content == {"name": "cluster", "network": str(cloud.root / "network"), "tags": ["a", 1]}
    stored = [path for path in state_root.rglob("*") if path.is_file() and b"token-of-network" in path.read_bytes()]
    assert stored == [], "secret outputs are encrypted"

    cloud.calls.clear()
    engine.cluster_up(home, _resources(), types)
    assert cloud.calls == []
    preview = {change.name: change for change in engine.cluster_preview(home, _resources(2), types)}
    assert (preview["network"].operation, preview["cluster"].operation) == ("update", "same")
    assert preview["network"].fields == (FieldChange("size", 1, 2),)
    assert cloud.calls == []
    engine.cluster_up(home, _resources(2), types)
    assert cloud.calls == ["update", "create"]

    engine.cluster_destroy(home, types)
    assert list(cloud.root.iterdir()) == []
    assert engine.state(home.cluster_stack) is None


def test_the_preview_of_a_replacement_says_what_is_not_known_yet(engine: Engine, home: Home, cloud: Folder) -> None:
    engine.cluster_up(home, _resources(), {TOKEN: cloud})
    renamed = [ClusterResource(TOKEN, "network", {"name": "other", "size": 1}), _resources()[1]]
    preview = {change.name: change for change in engine.cluster_preview(home, renamed, {TOKEN: cloud})}
    assert preview["network"].operation == "replace"
    assert preview["network"].fields == (FieldChange("name", "network", "other"),)
    (field,) = preview["cluster"].fields
    assert (field.path, field.after) == ("network", "(known when it is made)")
    engine.cluster_up(home, renamed, {TOKEN: cloud})
    assert not (cloud.root / "network").exists()
    assert json.loads((cloud.root / "cluster/content").read_text())["network"] == str(cloud.root / "other")


def test_the_preview_of_a_new_cluster_creates(engine: Engine, home: Home, cloud: Folder) -> None:
    preview = engine.cluster_preview(home, _resources(), {TOKEN: cloud})
    assert [(change.operation, change.name) for change in preview] == [("create", "network"), ("create", "cluster")]
    assert FieldChange("size", None, 1) in preview[0].fields
    assert cloud.calls == []


def test_a_broken_off_creation_is_carried_on(engine: Engine, home: Home, cloud: Folder) -> None:
    cloud.broken = True
    with pytest.raises(ProviderError, match="the disk is full") as failure:
        engine.cluster_up(home, _resources(), {TOKEN: cloud})
    assert failure.value.fix == "make room"
    state = engine.state(home.cluster_stack)
    assert state is not None
    assert not state.complete
    cloud.broken = False
    cloud.calls.clear()
    outputs = engine.cluster_up(home, _resources(), {TOKEN: cloud})
    assert cloud.calls == ["create", "create"], "created again, not updated"
    assert outputs["network"]["path"] == str(cloud.root / "network")
    state = engine.state(home.cluster_stack)
    assert state is not None
    assert state.complete


def test_a_broken_off_creation_is_cleaned_up_by_destroy(engine: Engine, home: Home, cloud: Folder) -> None:
    cloud.broken = True
    with pytest.raises(ProviderError):
        engine.cluster_up(home, _resources(), {TOKEN: cloud})
    assert (cloud.root / "network").exists()
    engine.cluster_destroy(home, {TOKEN: cloud})
    assert not (cloud.root / "network").exists()


def test_a_creation_that_a_kill_broke_off_is_cleaned_up_by_destroy(engine: Engine, home: Home, cloud: Folder) -> None:
    """What a kill -9 within `create` leaves: the object, and in the state a pending operation."""
    engine.cluster_up(home, _resources(), {TOKEN: cloud})
    file = open_workspace(None).state_file(home.cluster_stack)
    assert file is not None
    document = json.loads(file.read_text())
    latest = document["checkpoint"]["latest"]
    made = next(resource for resource in latest["resources"] if resource["urn"].endswith("::cluster"))
    latest["resources"].remove(made)
    begun = {key: value for key, value in made.items() if key not in ("id", "outputs")}
    latest["pending_operations"] = [{"resource": begun, "type": "creating"}]
    file.write_text(json.dumps(document))
    state = engine.state(home.cluster_stack)
    assert state is not None
    assert state.pending == (made["urn"],)
    engine.cluster_destroy(home, {TOKEN: cloud})
    assert list(cloud.root.iterdir()) == []


def test_a_problem_of_the_inputs_is_told(engine: Engine, home: Home, cloud: Folder) -> None:
    with pytest.raises(Exception, match="a folder needs a name"):
        engine.cluster_up(home, [ClusterResource(TOKEN, "nameless", {"name": ""})], {TOKEN: cloud})
    assert cloud.calls == []


def test_forgetting_a_cluster_calls_nothing(engine: Engine, home: Home, cloud: Folder) -> None:
    engine.cluster_up(home, _resources(), {TOKEN: cloud})
    cloud.calls.clear()
    engine.forget_cluster(home)
    state = engine.state(home.cluster_stack)
    assert state is not None
    assert dict(state.resources) == {}
    assert cloud.calls == []
    engine.cluster_up(home, _resources(), {TOKEN: cloud})
    assert cloud.calls == ["create", "create"]
