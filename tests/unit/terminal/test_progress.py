from __future__ import annotations

import json
import threading
from io import StringIO
from itertools import count

import pytest

from portable.errors import Cause
from portable.events import Event, Notice, ResourceEvent, Step, WorkloadEvent
from portable.steps import step
from portable.terminal.progress import Live, Written, json_lines, log_lines, progress
from portable.terminal.state import State
from tests.unit.terminal.screens import Screen, terminal

pytestmark = pytest.mark.unit

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
CAUSE = Cause("api", "CrashLoop", "container main exits with code 1")
RUN: list[Event] = [
    Step("cluster", "started", "cluster portable on kind", usual=40),
    ResourceEvent("cluster", "create", "portable:kind:Cluster", "portable", "started"),
    Step("cluster", "started", "Creating the kind cluster"),
    Step("cluster", "progress", detail="starting nodes"),
    Step("cluster", "done", seconds=3.0),
    ResourceEvent("cluster", "create", "portable:kind:Cluster", "portable", "done", seconds=3.0),
    Step("cluster", "done", "cluster portable on kind", seconds=4.0),
    Notice("a volume is kept", "warning"),
    Step("app", "started", "app shop"),
    ResourceEvent("app", "create", DEPLOYMENT, "Deployment/api", "started"),
    ResourceEvent("app", "create", DEPLOYMENT, "Deployment/api", "done", seconds=0.5),
    ResourceEvent("app", "same", DEPLOYMENT, "Deployment/web", "done", seconds=0.5),
    Step("app", "done", seconds=1.0),
    Step("rollout", "started", "rollout"),
    WorkloadEvent("web", "progress", 1, 2, "pulling image"),
    WorkloadEvent("web", "progress", 1, 2, "pulling image"),
    WorkloadEvent("web", "done", 2, 2),
    WorkloadEvent("api", "failed", 0, 2, cause=CAUSE),
    Step("rollout", "failed", seconds=9.0),
]


def test_lines_say_each_thing_once_with_the_time_since_the_start() -> None:
    screen, ticks = Screen(), count()
    lines = log_lines(screen.console, clock=lambda: float(next(ticks)))
    for event in RUN:
        lines(event)
    assert screen.lines == [
        "    1.0s  cluster portable on kind (usually 40s)",
        "    3.0s    Creating the kind cluster",
        "    4.0s    Creating the kind cluster: starting nodes",
        "    5.0s    Creating the kind cluster: done in 3.0s",
        "    6.0s    created Cluster portable  3.0s",
        "    7.0s  cluster portable on kind: done in 4.0s",
        "    8.0s  a volume is kept",
        "    9.0s  app shop",
        "   11.0s    created Deployment/api  0.5s",
        "   13.0s  app shop: done in 1.0s",
        "   14.0s  rollout",
        "   15.0s    web  1/2 ready  pulling image",
        "   17.0s    web  2/2 ready  2.0s",
        "   18.0s    api  0/2 ready  failed, container main exits with code 1",
        "   19.0s  rollout: failed in 9.0s",
    ]


@pytest.mark.parametrize(("width", "height"), [(40, 10), (80, 24), (12, 3), (200, 60)])
def test_the_live_tree_ends_with_what_was_done(width: int, height: int) -> None:
    console, stream = terminal(width, height)
    with Live(console) as live:
        for event in RUN:
            live(event)
    assert "cluster" in stream.getvalue()
    if width >= 40:
        text = stream.getvalue()
        for said in ("✓ cluster portable", "✓ app shop", "✗ rollout", "✓ web  2/2", "✗ api  0/2"):
            assert said in text
        assert "! a volume is kept" in text


def test_the_live_tree_never_outgrows_the_terminal() -> None:
    console, stream = terminal(60, 10)
    with Live(console) as live:
        live(Step("rollout", "started", "rollout"))
        for number in range(100):
            live(WorkloadEvent(f"w{number}", "progress", 0, 1, "x" * 200))
        stream.truncate(0)
        live._live.refresh()
        frame = stream.getvalue()
    assert "92 more" in frame or "93 more" in frame or "94 more" in frame
    rows = [row for row in frame.split("\n") if "w" in row or "more" in row]
    assert len(rows) <= 10


def test_many_ready_workloads_are_one_line_and_failures_are_named() -> None:
    console, stream = terminal(80, 50)
    with Live(console) as live:
        live(Step("rollout", "started", "rollout"))
        for number in range(40):
            live(WorkloadEvent(f"w{number}", "done", 1, 1))
        live(WorkloadEvent("api", "failed", 0, 1, cause=CAUSE))
        stream.truncate(0)
        live(Step("rollout", "failed"))
        text = stream.getvalue()
    assert "40 workloads ready" in text
    assert "✗ api  0/1" in text
    assert "w7" not in text


def test_a_step_within_a_step_of_the_same_name_ends_alone() -> None:
    state = State()
    state.apply(Step("cluster", "started", "outer"), 0.0)
    state.apply(Step("cluster", "started", "inner"), 1.0)
    state.apply(Step("cluster", "done"), 2.0)
    (outer,) = state.running
    assert (outer.title, outer.ended) == ("outer", False)
    (inner,) = outer.children
    assert (inner.title, inner.status, inner.seconds) == ("inner", "done", 1.0)
    state.apply(Step("cluster", "done"), 5.0)
    assert state.running == []
    assert outer.seconds == 5.0


def test_progress_of_an_unknown_step_is_a_detail_of_the_running_one() -> None:
    state = State()
    state.apply(Step("cluster", "started", "outer"), 0.0)
    state.apply(Step("kind", "progress", detail="waiting"), 1.0)
    (outer,) = state.running
    assert outer.detail == "waiting"
    assert outer.children == []


def test_doing_still_names_what_failed_once_the_error_has_left_every_step() -> None:
    state = State()

    def emit(event: Event) -> None:
        state.apply(event, 0.0)

    with pytest.raises(KeyboardInterrupt), step(emit, "up", "app shop"), step(emit, "wait", "waiting for web"):
        raise KeyboardInterrupt
    assert state.doing == "app shop: waiting for web"
    with step(emit, "again", "trying again"):
        assert state.doing == "trying again"
    assert state.doing == ""


def test_doing_names_what_runs() -> None:
    state = State()
    state.apply(Step("cluster", "started", "cluster portable"), 0.0)
    state.apply(Step("kind", "started", "Creating the kind cluster"), 0.0)
    assert state.doing == "cluster portable: Creating the kind cluster"


def test_json_lines_are_one_object_each() -> None:
    stream = StringIO()
    lines = json_lines(stream)
    for event in RUN:
        lines(event)
    documents = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(documents) == len(RUN)
    assert {document["event"] for document in documents} == {"step", "resource", "workload", "notice"}
    assert documents[-2]["cause"]["sign"] == "CrashLoop"
    assert all(document["time"].endswith("Z") for document in documents)


def test_events_from_many_threads_are_whole_lines() -> None:
    stream = StringIO()
    lines = json_lines(stream)

    def speak(name: str) -> None:
        for number in range(50):
            lines(WorkloadEvent(name, "progress", number, 50))

    threads = [threading.Thread(target=speak, args=(f"w{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([json.loads(line) for line in stream.getvalue().splitlines()]) == 400


def test_what_a_thread_tells_after_the_end_is_not_shown() -> None:
    stream = StringIO()
    with json_lines(stream) as lines:
        lines(Notice("before"))
    lines(Notice("after"))
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["before"]
    console, shown = terminal()
    with Live(console) as live:
        live(Notice("before"))
    live(Notice("after"))
    assert "before" in shown.getvalue()
    assert "after" not in shown.getvalue()


def test_a_pipe_and_ci_get_lines_a_terminal_gets_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    assert isinstance(progress(screen.console), Written)
    console, stream = terminal()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    assert isinstance(progress(console), Live)
    monkeypatch.setenv("CI", "true")
    assert isinstance(progress(console), Written)
