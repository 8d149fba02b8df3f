"""What a user reads when a run fails: whoever said no, in their words, and what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.engine import Engine, Settings
from portable.engine.messages import failure
from portable.errors import ClusterError, EngineError, RolloutFailed, StateLocked, ToolError
from portable.events import nowhere
from portable.home import Home
from portable.kube import Kube
from portable.provider import ClusterResource
from tests.unit.engine import world
from tests.unit.engine.folders import Folder

pytestmark = pytest.mark.unit

URN = "urn:pulumi:stack::portable::kubernetes:core/v1:ConfigMap::ConfigMap/settings"
TOKEN = "portable:test:Folder"


def test_our_own_error_comes_first_and_others_follow() -> None:
    first, second = ClusterError("quota exceeded", status=403), ClusterError("denied by policy", status=403)
    other = URN.replace("settings", "other")
    error = failure({URN: first, other: second}, [], "noise", backup="")
    assert error is first
    assert error.message == "ConfigMap/settings: quota exceeded"
    assert error.detail == "ConfigMap/other: denied by policy"


def test_a_rollouts_failure_is_not_renamed() -> None:
    cause = RolloutFailed([])
    cause.message = "not ready: api"
    assert (
        failure({URN.replace("ConfigMap/settings", "Ready/api"): cause}, [], "", backup="").message == "not ready: api"
    )


def test_the_official_plugins_message_loses_pulumis_noise() -> None:
    said = "  error: 1 error occurred:\n\t* the ConfigMap is invalid: data: too long"
    error = failure({}, [("", "update failed"), (URN, said)], "", backup="")
    assert type(error) is EngineError
    assert error.message == "ConfigMap/settings: the ConfigMap is invalid: data: too long"


def test_locks_and_damaged_states_say_what_to_do() -> None:
    locked = failure({}, [], "error: the stack is currently locked by 1 lock(s).", backup="")
    assert type(locked) is StateLocked
    damaged = failure({}, [], "error: snapshot integrity failure; refusing to use it", backup="/state/x.json.bak")
    assert "/state/x.json.bak" in damaged.fix


def test_another_key_is_told_apart(engine: Engine, home: Home, tmp_path: Path, state_root: Path) -> None:
    cloud = Folder(tmp_path / "cloud")
    resources = [ClusterResource(TOKEN, "cluster", {"name": "cluster"})]
    engine.cluster.up(home, resources, {TOKEN: cloud})
    (state_root / "key").write_text("another one")
    with pytest.raises(EngineError, match="its passphrase is another one") as refusal:
        engine.cluster.up(home, resources, {TOKEN: cloud})
    assert "key file" in refusal.value.fix


def test_a_missing_cli_is_a_tool_error(state_root: Path, home: Home, tmp_path: Path) -> None:
    engine = Engine(Settings(pulumi=tmp_path / "nothing"), nowhere)
    with pytest.raises(ToolError) as refusal:
        engine.cluster.up(home, [], {})
    assert "portable doctor --fix" in refusal.value.fix


def test_an_unreachable_cluster_is_named(engine: Engine, home: Home, kube: Kube, space: str) -> None:
    kubeconfig = """
apiVersion: v1
kind: Config
current-context: gone
contexts: [{name: gone, context: {cluster: gone, user: gone}}]
clusters: [{name: gone, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: gone, user: {token: x}}]
"""
    with Kube.connect(kubeconfig) as gone, pytest.raises(ClusterError, match=r"127\.0\.0\.1:1 cannot be reached"):
        engine.app.up(home, world.app(space), gone, kubeconfig, lambda *_: None, superseded="keep")
