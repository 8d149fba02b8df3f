"""Reading and mending state documents, stale locks, the workspace: what needs no engine run."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portable.engine import Engine, Settings, StackState
from portable.engine.changes import field_changes
from portable.engine.lock import clear_stale, end_orphan, started_at, write_mark
from portable.engine.state import mended, stack_state, without
from portable.engine.workspace import choose_plugin, open_workspace
from portable.errors import EngineError, Interrupted, PortableError, StateLocked
from portable.events import nowhere
from portable.home import Home

pytestmark = pytest.mark.unit

CONFIG = "kubernetes:core/v1:ConfigMap"


def _resource(name: str, *, token: str = CONFIG, depends_on: tuple[str, ...] = ()) -> dict[str, object]:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "space"}}
    return {"urn": _urn(name, token), "type": token, "inputs": manifest, "dependencies": list(depends_on)}


def _urn(name: str, token: str = CONFIG) -> str:
    return f"urn:pulumi:stack::portable::{token}::{name}"


def test_a_creation_that_broke_off_is_dropped_if_it_comes_again_and_adopted_if_not() -> None:
    pending = [{"type": "creating", "resource": _resource(name)} for name in ("again", "unwanted")]
    pending.append({"type": "updating", "resource": _resource("there")})
    mend = mended({"resources": [_resource("there")], "pending_operations": pending}, {_urn("again")})
    assert mend is not None
    assert mend["pending_operations"] == []
    assert [resource["urn"] for resource in mend["resources"]] == [_urn("there"), _urn("unwanted")]
    assert mend["resources"][1]["id"] == "space/unwanted"


def test_a_state_without_pending_operations_is_left_alone() -> None:
    assert mended({"resources": [_resource("there")]}, ()) is None


def test_removed_resources_leave_no_reference() -> None:
    gone, left = _resource("gone"), _resource("left", depends_on=(_urn("gone"),))
    document = without({"resources": [gone, left]}, lambda resource: resource["urn"] == _urn("gone"))
    assert document["resources"] == [{**left, "dependencies": []}]


def test_a_state_hides_secrets_and_changes_its_serial() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}
    document = {"resources": [{**_resource("a"), "outputs": {"open": 1, "values": secret, "__id": "x"}}]}
    state = stack_state("stack", document, marked=False)
    assert state.outputs["a"] == {"open": 1, "values": "[secret]"}
    assert state.complete
    assert stack_state("stack", document, marked=True).complete is False
    assert stack_state("stack", {"resources": []}, marked=False).serial != state.serial


def test_fields_are_named_as_people_write_them() -> None:
    before = {
        "spec": {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]},
        "data": {"key": "old"},
    }
    after = {"spec": {"containers": [{"name": "b", "image": "2"}]}, "data": {"key": "new"}, "x": {"a/b.c": 1}}
    fields = {field.path: (field.before, field.after) for field in field_changes(before, after, secret_keys=("data",))}
    assert fields == {
        "spec.containers[b].image": ("1", "2"),
        "spec.containers[a]": ({"name": "a", "image": "1"}, None),
        "data.key": ("[secret]", "[secret]"),
        "x": (None, {"a/b.c": 1}),
    }


# -- locks ---------------------------------------------------------------------------------------------------------------


def _lock(folder: Path, pid: int, host: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{pid}.json"
    path.write_text(
        json.dumps({"pid": pid, "username": "someone", "hostname": host, "timestamp": "2026-01-01T00:00:00Z"})
    )
    return path


def _dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_lock_of_a_dead_process_of_this_host_is_broken(tmp_path: Path) -> None:
    path = _lock(tmp_path, _dead_pid(), socket.gethostname())
    clear_stale(tmp_path)
    assert not path.exists()


def test_a_lock_of_a_live_process_that_is_no_engine_is_broken(tmp_path: Path) -> None:
    path = _lock(tmp_path, os.getpid(), socket.gethostname())
    clear_stale(tmp_path)
    assert not path.exists(), "a reused process id"


def test_a_lock_that_was_being_written_when_its_process_was_killed_is_broken(tmp_path: Path) -> None:
    (tmp_path / "fileblob123").write_text('{"pid": 1')
    clear_stale(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_of_a_live_engine_holds(tmp_path: Path) -> None:
    engine = tmp_path / "pulumi"
    engine.symlink_to("/bin/sleep")
    process = subprocess.Popen([engine, "60"])
    try:
        while Path(f"/proc/{process.pid}/comm").read_text().strip() != "pulumi":  # set a moment after the start
            time.sleep(0.01)
        path = _lock(tmp_path / "locks", process.pid, socket.gethostname())
        with pytest.raises(StateLocked, match=f"process {process.pid}"):
            clear_stale(tmp_path / "locks", patience=0.5)
        assert path.exists()
    finally:
        process.kill()
        process.wait()


def test_a_lock_of_another_host_holds(tmp_path: Path) -> None:
    path = _lock(tmp_path, _dead_pid(), "another-host")
    with pytest.raises(StateLocked, match="someone@another-host"):
        clear_stale(tmp_path)
    assert path.exists()


def test_an_orphaned_engine_is_ended_and_no_other_process(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    orphan = subprocess.Popen(["/bin/sleep", "60"])
    try:
        write_mark(mark, orphan.pid)
        mark.write_text(mark.read_text() + "0")  # the same id, begun at another time
        end_orphan(mark, patience=0.2)
        assert started_at(orphan.pid) != ""
        write_mark(mark, orphan.pid)
        end_orphan(mark, patience=0.2)
        assert started_at(orphan.pid) == ""
    finally:
        orphan.kill()
        orphan.wait()


# -- the workspace -------------------------------------------------------------------------------------------------------


def test_the_key_is_private_made_once_and_no_credentials_are_passed_on(
    state_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_CLOUD_SECRET_KEY", "x")
    workspace = open_workspace(None)
    key = workspace.key.read_text()
    assert stat.S_IMODE(workspace.key.stat().st_mode) == 0o600
    assert len(key) > 40
    assert open_workspace(None).key.read_text() == key
    environment = workspace.environment()
    assert "SOME_CLOUD_SECRET_KEY" not in environment
    assert key.strip() not in environment.values()
    assert environment["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(workspace.key)


def test_a_remote_backend_needs_shared_secrets(state_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    with pytest.raises(EngineError, match="s3://bucket/state needs secrets") as refusal:
        open_workspace("s3://bucket/state?region=x")
    assert "PULUMI_CONFIG_PASSPHRASE" in refusal.value.fix
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "shared")
    assert open_workspace("s3://bucket/state").environment()["PULUMI_CONFIG_PASSPHRASE"] == "shared"


def test_the_official_plugin_is_found_on_path_or_in_pulumis_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    assert choose_plugin("auto") is None
    with pytest.raises(EngineError, match="is not installed"):
        choose_plugin("official")
    for version in ("4.9.0", "4.30.0"):
        cached = tmp_path / f"home/plugins/resource-kubernetes-v{version}/pulumi-resource-kubernetes"
        cached.parent.mkdir(parents=True)
        cached.write_text("")
    assert choose_plugin("auto") == tmp_path / "home/plugins/resource-kubernetes-v4.30.0/pulumi-resource-kubernetes"
    assert choose_plugin("builtin") is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"checkpoint": 3}', "\x00\xff"])
def test_a_corrupt_state_names_its_backup(content: str, engine: Engine, home: Home) -> None:
    file = open_workspace(None).state_file(home.app_stack)
    assert file is not None
    file.parent.mkdir(parents=True)
    file.write_text(content)
    with pytest.raises(EngineError, match=r"cannot be read") as refusal:
        engine.stacks.state(home.app_stack)
    assert f"{file}.bak" in refusal.value.fix


def test_a_held_stack_is_refused(engine: Engine, home: Home) -> None:
    other = Engine(Settings(pulumi=Path("/nonexistent")), nowhere)
    with (
        engine.stacks.operation(home.app_stack, ()),
        pytest.raises(StateLocked, match="another portable process"),
        other.stacks.operation(home.app_stack, ()),
    ):
        pass
    assert engine.stacks.names() == [home.app_stack]


def test_importing_the_engine_imports_neither_pulumi_nor_grpc() -> None:
    code = "import sys, portable.engine; print(*{'pulumi', 'grpc', 'httpx2', 'yaml'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert found == []


def test_types_of_the_public_api() -> None:
    assert issubclass(Interrupted, PortableError)
    assert StackState("x", "", True).resources == {}
