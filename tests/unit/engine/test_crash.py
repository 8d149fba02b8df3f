"""kill -9 and Ctrl-C at any moment: the same call again finishes, and cluster and state agree."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from portable.compile.objects import Objects
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


@dataclass(frozen=True)
class App:
    """The app of one test, on the control plane: operated on here, or by a process that can be killed."""

    engine: Engine
    home: Home
    kube: Kube
    kubeconfig: Path
    pulumi: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def space(self) -> str:
        return self.home.app

    def up(self, objects: Objects, superseded: Literal["keep", "delete"] = "delete") -> None:
        kubeconfig = self.kubeconfig.read_text()
        self.engine.app.up(self.home, objects, self.kube, kubeconfig, lambda *_: None, superseded=superseded)

    def start(self, operation: str) -> subprocess.Popen[str]:
        """`operate` with this test's state."""
        command = [sys.executable, "-m", "tests.unit.engine.operate", operation, str(self.pulumi)]
        arguments = [str(self.kubeconfig), self.space]
        process = subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.running.append(process)
        return process

    def live(self) -> set[str]:
        kinds = (("v1", "ConfigMap"), ("v1", "Service"), ("apps/v1", "Deployment"))
        found = {
            f"{kind}/{entry['metadata']['name']}"
            for version, kind in kinds
            for entry in self.kube.list(version, kind, self.space)
        }
        return found - {"ConfigMap/kube-root-ca.crt"}


@pytest.fixture
def app(engine: Engine, home: Home, kube: Kube, control_plane: ControlPlane, pulumi: Path) -> Iterator[App]:
    made = App(engine, home, kube, control_plane.folder / "kubeconfig", pulumi)
    yield made
    for process in made.running:
        process.kill()
        process.wait()


@pytest.mark.parametrize(("operation", "victim", "after"), KILLS)
def test_killed_anywhere_the_same_call_finishes(
    operation: str, victim: Literal["portable", "pulumi"], after: int, app: App
) -> None:
    everything = world.sixty(app.space)
    if operation == "destroy":
        app.up(everything)
    cli = _killed(app.start(operation), victim, after)
    killed_state = app.engine.stacks.state(app.home.app_stack)
    assert killed_state is not None
    assert not killed_state.complete

    if operation == "destroy":
        app.engine.app.destroy(app.home, app.kube, destroy_data=True)
        assert app.kube.get("v1", "Namespace", app.space) is None
        assert app.engine.stacks.state(app.home.app_stack) is None
    else:
        app.up(everything)
        state = app.engine.stacks.state(app.home.app_stack)
        assert state is not None
        assert state.complete
        assert app.live() == {name for name in state.resources if not name.startswith("Namespace/")}
        assert len(state.resources) == 61
        assert all(change.operation == "same" for change in app.engine.app.preview(app.home, everything, app.kube, ""))
    assert not Path(f"/proc/{cli}").exists(), "no engine is left behind"


def test_what_a_killed_up_began_is_deleted_when_it_is_no_longer_wanted(app: App) -> None:
    _killed(app.start("up"), "pulumi", 20)
    app.up(world.app(app.space, world.config("config-0", app.space)))
    assert app.live() == {"ConfigMap/config-0"}


def test_up_after_a_killed_destroy_brings_everything_back(app: App) -> None:
    """The namespace is on its way out: what is applied into it now would vanish with it."""
    objects = world.app(app.space, world.config("config-0", app.space), world.config("config-1", app.space))
    app.up(objects)
    _killed(app.start("destroy"), "portable", 1)
    app.kube.delete("v1", "Namespace", app.space)
    app.up(objects)
    assert app.live() == {"ConfigMap/config-0", "ConfigMap/config-1"}
    namespace = app.kube.get("v1", "Namespace", app.space)
    assert namespace is not None
    assert namespace["status"]["phase"] == "Active"


def test_ctrl_c_ends_a_waiting_run_in_order(app: App) -> None:
    process = app.start("gate")
    assert process.stdout is not None
    lines = list(iter(process.stdout.readline, "waiting\n"))
    assert "create Deployment/db\n" in lines
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[0]
    assert "Interrupted" in rest
    assert process.returncode == 130
    state = app.engine.stacks.state(app.home.app_stack)
    assert state is not None
    assert state.pending == ()
    assert not state.complete
    app.up(operate.gated(app.space), "keep")
    assert app.kube.get("apps/v1", "Deployment", "web", app.space) is not None


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
