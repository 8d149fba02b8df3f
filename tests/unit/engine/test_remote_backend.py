"""A backend that is not read as local files: every look goes through the CLI, and another machine goes on with the state.

The backend here is a folder; what is tested is that nothing but its URL and the shared passphrase is known of it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from portable.engine import Engine, Settings
from portable.events import nowhere
from portable.home import Home
from portable.provider import ClusterResource
from tests.unit.engine.folders import Folder

pytestmark = pytest.mark.unit

TOKEN = "portable:test:Folder"


def _machine(name: str, tmp_path: Path, pulumi: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("PORTABLE_STATE", str(tmp_path / name))
    engine = Engine(Settings(pulumi=pulumi), nowhere)
    stacks = engine.stacks
    stacks._workspace = replace(stacks._workspace, local=None, backend=(tmp_path / "shared").as_uri())
    stacks._backend.workspace = stacks._workspace
    stacks._workspace.folder.mkdir(parents=True)
    (stacks._workspace.folder / "Pulumi.yaml").write_text("name: portable\nruntime: python\n")
    return engine


def test_another_machine_goes_on(tmp_path: Path, pulumi: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "shared")
    (tmp_path / "shared").mkdir()
    cloud = Folder(tmp_path / "cloud")
    resources = [ClusterResource(TOKEN, "cluster", {"name": "cluster", "size": 1})]
    first = _machine("one", tmp_path, pulumi, monkeypatch)
    assert first.stacks.state(home.cluster_stack) is None
    first.cluster.up(home, resources, {TOKEN: cloud})
    state = first.stacks.state(home.cluster_stack)

    second = _machine("two", tmp_path, pulumi, monkeypatch)
    assert second.stacks.names() == [home.cluster_stack]
    assert second.stacks.state(home.cluster_stack) == state
    cloud.calls.clear()
    second.cluster.up(home, resources, {TOKEN: cloud})
    assert cloud.calls == []
    second.cluster.destroy(home, {TOKEN: cloud})
    assert list(cloud.root.iterdir()) == []
    assert first.stacks.state(home.cluster_stack) is None
