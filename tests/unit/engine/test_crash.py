"""kill -9 and Ctrl-C at any moment: the same call again finishes, and cluster and state agree."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from portable.engine import Engine
from portable.home import Home
from portable.kube import Kube
from tests import soak
from tests.control_plane import ControlPlane
from tests.unit.engine import operate, world

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
SEED = 20261123
# (operation, who is killed, after how many finished objects)
_random = random.Random(SEED)
KILLS = [
    (("up", "up", "destroy")[number % 3], ("portable", "pulumi")[number % 2], _random.randrange(0, 55))
    for number in range(soak.size(3, 60))
]


@pytest.fixture
def started(
    pulumi: Path, control_plane: ControlPlane, state_root: Path, space: str
) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Starts `operate` with this test's state; ends it with the test."""
    running: list[subprocess.Popen[str]] = []

    def start(operation: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.unit.engine.operate", operation, str(pulumi)]
        process = subprocess.Popen(
            [*command, str(control_plane.folder / "kubeconfig"), space],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PORTABLE_STATE": str(state_root)},
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("operation", "victim", "after"), KILLS)
def test_killed_anywhere_the_same_call_finishes(
    operation: str,
    victim: Literal["portable", "pulumi"],
    after: int,
    started: Callable[[str], subprocess.Popen[str]],
    engine: Engine,
    home: Home,
    kube: Kube,
    control_plane: ControlPlane,
    space: str,
) -> None:
    def up() -> None:
        engine.app_up(home, world.sixty(space), kube, control_plane.kubeconfig, lambda *_: None, superseded="delete")

    if operation == "destroy":
        up()
    process = started(operation)
    cli = _killed(process, victim, after)
    killed_state = engine.state(home.app_stack)
    assert killed_state is not None
    assert not killed_state.complete

    if operation == "destroy":
        engine.app_destroy(home, kube, destroy_data=True)
        assert kube.get("v1", "Namespace", space) is None
        assert engine.state(home.app_stack) is None
    else:
        up()
        state = engine.state(home.app_stack)
        assert state is not None
        assert state.complete
        assert _live(kube, space) == {name for name in state.resources if not name.startswith("Namespace/")}
        assert len(state.resources) == 61
        assert all(change.operation == "same" for change in engine.app_preview(home, world.sixty(space), kube, ""))
    assert not Path(f"/proc/{cli}").exists(), "no engine is left behind"


def test_what_a_killed_up_began_is_deleted_when_it_is_no_longer_wanted(
    started: Callable[[str], subprocess.Popen[str]],
    engine: Engine,
    home: Home,
    kube: Kube,
    control_plane: ControlPlane,
    space: str,
) -> None:
    _killed(started("up"), "pulumi", 20)
    smaller = world.app(space, world.config("config-0", space))
    engine.app_up(home, smaller, kube, control_plane.kubeconfig, lambda *_: None, superseded="delete")
    assert _live(kube, space) == {"ConfigMap/config-0"}


def test_up_after_a_killed_destroy_brings_everything_back(
    started: Callable[[str], subprocess.Popen[str]],
    engine: Engine,
    home: Home,
    kube: Kube,
    control_plane: ControlPlane,
    space: str,
) -> None:
    """The namespace is on its way out: what is applied into it now would vanish with it."""
    kubeconfig = control_plane.kubeconfig
    objects = world.app(space, world.config("config-0", space), world.config("config-1", space))
    engine.app_up(home, objects, kube, kubeconfig, lambda *_: None, superseded="delete")
    _killed(started("destroy"), "portable", 1)
    kube.delete("v1", "Namespace", space)
    engine.app_up(home, objects, kube, kubeconfig, lambda *_: None, superseded="delete")
    assert _live(kube, space) == {"ConfigMap/config-0", "ConfigMap/config-1"}
    namespace = kube.get("v1", "Namespace", space)
    assert namespace is not None
    assert namespace["status"]["phase"] == "Active"


def test_ctrl_c_ends_a_waiting_run_in_order(
    started: Callable[[str], subprocess.Popen[str]],
    engine: Engine,
    home: Home,
    kube: Kube,
    control_plane: ControlPlane,
    space: str,
) -> None:
    process = started("gate")
    assert process.stdout is not None
    lines = list(iter(process.stdout.readline, "waiting\n"))
    assert "create Deployment/db\n" in lines
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[0]
    assert "Interrupted" in rest
    assert process.returncode == 130
    state = engine.state(home.app_stack)
    assert state is not None
    assert state.pending == ()
    assert not state.complete
    engine.app_up(home, operate.gated(space), kube, control_plane.kubeconfig, lambda *_: None, superseded="keep")
    assert kube.get("apps/v1", "Deployment", "web", space) is not None


def _killed(process: subprocess.Popen[str], victim: Literal["portable", "pulumi"], after: int) -> int:
    """Kills -9 the process, or its CLI, once `after` objects are finished; returns the CLI's id."""
    assert process.stdout is not None
    cli = _child(process.pid)
    for _ in range(after):
        assert process.stdout.readline() != "", "it ended before it could be killed"
    os.kill(process.pid if victim == "portable" else cli, signal.SIGKILL)
    process.communicate()
    return cli


def _child(pid: int) -> int:
    """The id of the process's only child, as soon as it has one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise AssertionError("the CLI was not started")


def _live(kube: Kube, space: str) -> set[str]:
    kinds = (("v1", "ConfigMap"), ("v1", "Service"), ("apps/v1", "Deployment"))
    found = {
        f"{kind}/{entry['metadata']['name']}" for version, kind in kinds for entry in kube.list(version, kind, space)
    }
    return found - {"ConfigMap/kube-root-ca.crt"}
