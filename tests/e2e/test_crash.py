"""kill -9, Ctrl-C, a second `up`, an API server that restarts: the same command again finishes, and cluster and state agree.

The moments are chosen by what a running command says in its JSON lines. `make test` takes a seeded sample of ten, `make soak`
(PORTABLE_SOAK=1) every moment with every victim.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest
import yaml

from portable.compile.objects import logical_name
from portable.engine import Engine, Settings
from portable.engine.state import StackState
from portable.events import nowhere
from portable.home import Home
from portable.kube import Kube
from portable.spec import model
from portable_kind import Kind, docker
from portable_kind.database_images import REDIS
from tests import soak
from tests.e2e.conftest import HELLO, AppUnderTest, Cluster, Portable, app

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SEED = 20261218
SAMPLE = 5
only_in_soak = pytest.mark.skipif(not soak.SOAK, reason="only in `make soak`")

Event: TypeAlias = Mapping[str, Any]
Victim: TypeAlias = Literal["portable", "pulumi", "both"]
VICTIMS: tuple[Victim, ...] = ("portable", "pulumi", "both")


class Moment:
    """The `count`-th event that has all of these fields. A `name` that ends with "/" is a beginning."""

    def __init__(self, count: int = 1, **fields: str) -> None:
        self.count, self.fields, self.seen = count, fields, 0

    def __call__(self, event: Event) -> bool:
        self.seen += all(_is(event.get(key), value) for key, value in self.fields.items())
        return self.seen == self.count


def _is(found: object, value: str) -> bool:
    return str(found).startswith(value) if value.endswith("/") else found == value


# name -> (the moment, whether an engine of ours runs then)
UP: Mapping[str, tuple[Callable[[], Moment], bool]] = {
    "look": (lambda: Moment(event="step", name="look", status="started"), False),
    "cluster": (lambda: Moment(event="step", name="cluster", status="started"), False),
    "prepare": (lambda: Moment(event="step", name="prepare", status="started"), False),
    "engine": (lambda: Moment(event="step", name="app", status="started"), False),
    "first object": (lambda: Moment(event="resource", stack="app", status="started"), True),
    "among the objects": (lambda: Moment(6, event="resource", stack="app", status="done"), True),
    "at the gate": (lambda: Moment(event="workload", workload="migrate"), True),
    "applied": (lambda: Moment(event="step", name="app", status="done"), False),
    "rollout": (lambda: Moment(event="workload", workload="web"), False),
    "tidy": (lambda: Moment(event="step", name="tidy", status="started"), False),
}
DESTROY: Mapping[str, tuple[Callable[[], Moment], bool]] = {
    "engine": (lambda: Moment(event="step", name="app", status="started"), False),
    "first object": (lambda: Moment(event="resource", operation="delete", status="started"), True),
    "among the objects": (lambda: Moment(4, event="resource", operation="delete", status="done"), True),
    "namespace": (lambda: Moment(event="resource", operation="delete", name="Namespace/", status="started"), True),
    "data": (lambda: Moment(event="step", name="data", status="started"), False),
}
# The moments of a cluster of its own.
MAKE = {
    "nodes": lambda: Moment(event="step", name="cluster", detail="Preparing nodes"),
    "control plane": lambda: Moment(event="step", name="cluster", detail="Starting control-plane"),
    "network": lambda: Moment(event="step", name="cluster", detail="Installing CNI"),
    "add-ons": lambda: Moment(event="step", name="add-ons", status="started"),
}
UNMAKE = {
    "engine": lambda: Moment(event="step", name="cluster", status="started"),
    "nodes": lambda: Moment(event="resource", operation="delete", type="portable:kind:Cluster", status="started"),
}


def kills() -> list[tuple[str, Victim, str, Victim]]:
    """Pairs of a kill of `up` and one of `destroy`: (moment, victim, moment, victim)."""

    def all_of(moments: Mapping[str, tuple[Callable[[], Moment], bool]]) -> list[tuple[str, Victim]]:
        return [
            (name, victim)
            for name, (_moment, engine) in moments.items()
            for victim in (VICTIMS if engine else VICTIMS[:1])
        ]

    ups, destroys = all_of(UP), all_of(DESTROY)
    if soak.SOAK:
        return [(*up, *destroy) for up, destroy in zip(ups, itertools.cycle(destroys), strict=False)]
    chance = random.Random(SEED)
    return [(*up, *destroy) for up, destroy in zip(_sample(chance, ups), _sample(chance, destroys), strict=True)]


def _sample(chance: random.Random, kills: list[tuple[str, Victim]]) -> list[tuple[str, Victim]]:
    """At different moments, so that ten kills are ten moments."""
    moments = chance.sample(sorted({moment for moment, _ in kills}), SAMPLE)
    return [chance.choice([kill for kill in kills if kill[0] == moment]) for moment in moments]


KILLS = kills()
# What the engine keeps beside objects: what has been waited for.
GATES = ("Ready/", "Complete/")


def workloads() -> dict[str, Any]:
    """A gate, a service and a worker; with its config, accounts and policies some fifteen objects."""
    small = {"requests": {"cpu": "10m", "memory": "16Mi"}}
    job = {"image": REDIS.reference, "command": ["sh", "-c", "sleep 1"], "resources": small}
    note = {"image": "hello:1.0", "variables": {"NOTE": "${resources.settings.note}"}, "resources": small}
    return {
        "migrate": {"kind": "job", "containers": {"main": job}},
        "web": {**HELLO, "after": {"migrate": "complete"}},
        "aside": {"containers": {"main": note}},
    }


# The pods need not wait for load balancers to learn that they end: nobody asks them anything.
MORE: Mapping[str, Any] = {
    "resources": {"settings": {"type": "config", "data": {"note": "crash"}}},
    "patches": {
        "quick": {
            "target": "Deployment/web",
            "json": [{"op": "remove", "path": "/spec/template/spec/containers/0/lifecycle"}],
        }
    },
}


@pytest.fixture
def crashing(make_app: Callable[[str], AppUnderTest], monkeypatch: pytest.MonkeyPatch) -> AppUnderTest:
    made = make_app("crash")
    monkeypatch.setenv("PORTABLE_STATE", made.portable.env["PORTABLE_STATE"])
    made.write(workloads(), **MORE)
    return made


def started(entry: AppUnderTest, command: Literal["up", "destroy"], *more: str) -> subprocess.Popen[str]:
    options = ("--destroy-data", "--keep-cluster") if command == "destroy" and not more else more
    return entry.portable.start(command, "--cloud", "kind", "--yes", "--output", "json", *options, entry.file)


def events(process: subprocess.Popen[str]) -> Iterator[Event]:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            yield json.loads(line)


def await_moment(process: subprocess.Popen[str], moment: Moment) -> None:
    said = []
    for event in events(process):
        said.append(event)
        if moment(event):
            return
    raise AssertionError(f"it ended (exit {process.wait()}) before the moment came: {moment.fields}; last: {said[-3:]}")


def kill(process: subprocess.Popen[str], victim: Victim) -> None:
    """kill -9: `portable` alone leaves its engine an orphan."""
    engines = children(process.pid)
    if victim != "portable":
        for engine in engines:
            with suppress(ProcessLookupError):
                os.killpg(engine, signal.SIGKILL)
    if victim != "pulumi":
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=120)


def children(pid: int) -> list[int]:
    """Engines: they lead a group of their own."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return [child for child in found if "pulumi" in command_line(child)]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def engines_left(stack: str) -> list[str]:
    """Command lines of the engines that work on the stack."""
    lines = [command_line(int(folder.name)) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    return [line for line in lines if "pulumi" in line and f"--stack={stack} " in line]


def stack_of(entry: AppUnderTest) -> str:
    return Home(entry.name, None, "kind", entry.cluster.name).app_stack


def state_of(entry: AppUnderTest) -> StackState | None:
    return Engine(Settings(), nowhere).stacks.state(stack_of(entry))


def require_agreement(entry: AppUnderTest) -> None:
    """Every object of the spec is there once and ready, nothing else of ours is, and the state knows exactly these."""
    rendered = [item for item in yaml.safe_load_all(entry.run("render").out) if item["kind"] != "Namespace"]
    apis = {(item["apiVersion"], item["kind"]) for item in rendered}
    apis |= {("v1", "Secret"), ("v1", "PersistentVolumeClaim"), ("apps/v1", "StatefulSet"), ("batch/v1", "CronJob")}
    ours = "app.kubernetes.io/managed-by=portable"
    live = [
        logical_name({"kind": kind, **item})
        for version, kind in apis
        for item in entry.cluster.kube.list(version, kind, entry.namespace, label_selector=ours)
        if not item["metadata"]["name"].startswith("portable-")  # revisions and the like: portable's own books
    ]
    assert sorted(map(bare, live)) == sorted(bare(logical_name(item)) for item in rendered)
    state = state_of(entry)
    assert state is not None
    assert state.pending == ()
    assert state.complete
    known = {name for name in state.resources if not name.startswith(GATES)}
    assert known == {*live, f"Namespace/{entry.namespace}"}
    status = entry.run("status", "--output", "json").json()
    assert {workload["name"]: workload["state"] for workload in status["workloads"]} == dict.fromkeys(
        workloads(), "ready"
    )
    assert all(len(uids) == 1 for uids in entry.pod_uids("web", "aside").values())
    assert engines_left(stack_of(entry)) == []


def bare(name: str) -> str:
    """A job without its digest: `render` does not look at the images that are on this machine."""
    return re.sub(r"^(Job/.*)-[0-9a-f]{8}$", r"\1", name)


def require_unchanged(entry: AppUnderTest) -> None:
    pods = entry.pod_uids()
    assert entry.up()["changed"] is False
    assert entry.pod_uids() == pods


@pytest.mark.parametrize(("up_at", "up_victim", "destroy_at", "destroy_victim"), KILLS)
def test_killed_anywhere_the_same_command_finishes(
    crashing: AppUnderTest, up_at: str, up_victim: Victim, destroy_at: str, destroy_victim: Victim
) -> None:
    process = started(crashing, "up")
    await_moment(process, UP[up_at][0]())
    kill(process, up_victim)
    crashing.up()
    require_agreement(crashing)
    require_unchanged(crashing)

    process = started(crashing, "destroy")
    await_moment(process, DESTROY[destroy_at][0]())
    kill(process, destroy_victim)
    crashing.destroy("--destroy-data")
    assert crashing.cluster.kube.get("v1", "Namespace", crashing.namespace) is None
    assert state_of(crashing) is None
    assert engines_left(stack_of(crashing)) == []


@only_in_soak
def test_up_after_a_killed_destroy_brings_the_app_back(crashing: AppUnderTest) -> None:
    crashing.up()
    process = started(crashing, "destroy")
    await_moment(process, DESTROY["among the objects"][0]())
    kill(process, "both")
    crashing.up()
    require_agreement(crashing)
    require_unchanged(crashing)


CLUSTER_KILLS = (
    list(itertools.zip_longest(MAKE, UNMAKE, fillvalue="nodes")) if soak.SOAK else [("control plane", "nodes")]
)


@soak.drawn(1, of=3)  # the others that make a cluster anew are in test_kind_provider.py and test_demo.py
@pytest.mark.parametrize(("make_at", "unmake_at"), CLUSTER_KILLS)
def test_killed_while_the_cluster_is_made_and_deleted_and_its_api_server_restarted(
    portable: Portable,
    images: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_at: str,
    unmake_at: str,
) -> None:
    monkeypatch.setenv("PORTABLE_STATE", portable.env["PORTABLE_STATE"])
    monkeypatch.setenv("PORTABLE_DATA", portable.env["PORTABLE_DATA"])
    name = f"crash-{secrets.token_hex(3)}"
    file = tmp_path / "portable.yaml"
    file.write_text(app("lone", name, workloads(), **MORE))
    arguments = ("--cloud", "kind", "--yes", "--output", "json")
    try:
        process = portable.start("up", *arguments, file)
        await_moment(process, MAKE[make_at]())
        kill(process, "portable")
        portable("up", *arguments, file)
        lone = AppUnderTest(
            "lone", Cluster(name, Kube.connect(Kind().credentials(model.Cluster(name=name)).kubeconfig)), file, portable
        )
        require_agreement(lone)
        require_unchanged(lone)
        restart_the_api_server_meanwhile(lone)

        process = portable.start("destroy", *arguments, "--destroy-data", file)
        await_moment(process, Moment(event="step", name="data", status="done"))
        await_moment(process, UNMAKE[unmake_at]())
        kill(process, "both")
    finally:
        portable("destroy", *arguments, "--destroy-data", file)
    assert docker.nodes(name) == ()
    assert [stack for stack in Engine(Settings(), nowhere).stacks.names() if stack.endswith(f"kind.{name}")] == []
    assert engines_left(f"kind.{name}") == engines_left(stack_of(lone)) == []


@pytest.mark.parametrize("moment", soak.share(("among the objects", "rollout"), of=2))
def test_ctrl_c_stops_in_order(crashing: AppUnderTest, moment: str) -> None:
    process = started(crashing, "up")
    await_moment(process, UP[moment][0]())
    process.send_signal(signal.SIGINT)
    rest = [json.loads(line) for line in process.communicate(timeout=120)[0].splitlines()]
    assert process.returncode == 130
    assert rest[-1]["event"] == "error"
    assert rest[-1]["error"]["type"] == "Interrupted"
    assert rest[-1]["error"]["message"].startswith("interrupted")
    assert "carry on" in rest[-1]["error"]["fix"]
    assert engines_left(stack_of(crashing)) == []
    crashing.up()
    require_agreement(crashing)


def test_of_two_at_once_one_says_that_the_other_works(crashing: AppUnderTest) -> None:
    first = started(crashing, "up")
    await_moment(first, UP["among the objects"][0]())
    first.send_signal(signal.SIGSTOP)  # a slow one
    try:
        second = crashing.run("up", "--yes", "--output", "json", code=1)
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.error()["type"] == "StateLocked"
    assert "another portable process" in second.error()["message"]
    assert "wait" in second.error()["fix"]
    rest = first.communicate(timeout=300)[0]
    assert first.returncode == 0, rest
    require_agreement(crashing)
    require_unchanged(crashing)


@only_in_soak
def test_two_from_the_same_instant(crashing: AppUnderTest) -> None:
    """Whoever comes first, the app is up in the end, and nobody ends without saying why."""
    both = [started(crashing, "up") for _ in range(2)]
    ended = [(process.communicate(timeout=400)[0].splitlines(), process.returncode) for process in both]
    for lines, code in ended:
        last = json.loads(lines[-1])
        assert code == 0 or last["error"]["type"] == "StateLocked", lines
    assert 0 in [code for _, code in ended], ended
    crashing.up()
    require_agreement(crashing)
    require_unchanged(crashing)


def restart_the_api_server_meanwhile(entry: AppUnderTest) -> None:
    """Only on a cluster that no other test uses."""
    entry.write(workloads(), **{**MORE, "resources": {"settings": {"type": "config", "data": {"note": "changed"}}}})
    process = started(entry, "up")
    await_moment(process, UP["rollout"][0]())
    node = f"{entry.cluster.name}-control-plane"
    docker.run("exec", node, "sh", "-c", "kill -9 $(pidof kube-apiserver)")
    lines = process.communicate(timeout=400)[0].splitlines()
    last = json.loads(lines[-1])
    if process.returncode != 0:
        assert last["error"]["type"] in ("ClusterError", "EngineError"), last
        assert last["error"]["fix"], last
    await_api_server(entry.cluster.kube)
    entry.up()
    require_agreement(entry)
    require_unchanged(entry)


def await_api_server(kube: Kube, seconds: float = 180) -> None:
    from portable.errors import ClusterError

    deadline = time.monotonic() + seconds
    while True:
        try:
            kube.cluster_uid()
        except ClusterError:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        else:
            return
