from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from portable.cli import main
from portable.errors import UsageError
from portable.logs import LogLine, Selection, follow_logs, last_lines, read_logs
from portable.rollout.finding import LogSource
from tests.unit.cli.node import Node, serving
from tests.unit.cli.programs import HELLO

pytestmark = pytest.mark.unit


def said(lines: Iterator[LogLine]) -> list[tuple[str, str]]:
    return [(line.pod, line.text) for line in lines]


def test_all_pods_of_a_workload_and_no_other() -> None:
    node = Node()
    node.add("web-1").say("one", "two")
    node.add("web-2").say("three")
    node.add("api-1", "api").say("no")
    with serving(node) as kube:
        assert said(read_logs(kube, "ns", ["web"], Selection())) == [
            ("web-1", "one"),
            ("web-1", "two"),
            ("web-2", "three"),
        ]
        assert said(read_logs(kube, "ns", ["web"], Selection(tail=1))) == [("web-1", "two"), ("web-2", "three")]


def test_several_workloads_and_only_what_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    two = HELLO.replace("resources:\n", "  api:\n    containers: {main: {image: 'example.com/api:1'}}\nresources:\n", 1)
    (tmp_path / "portable.yaml").write_text(two)
    monkeypatch.chdir(tmp_path)
    node = Node()
    node.add("web-1").say("error: one", "fine")
    node.add("api-1", "api").say("an error: two")
    with serving(node) as kube:
        monkeypatch.setattr("portable.target.connect", lambda _target: kube)
        monkeypatch.setattr(kube, "close", lambda: None)
        assert main(["logs", "--cloud", "gcp", "--grep", "error: (one|two)"]) == 0
        assert sorted(capsys.readouterr().out.splitlines()) == ["api-1 web an error: two", "web-1 web error: one"]
        assert main(["logs", "web", "api", "--cloud", "gcp", "--grep", "^error"]) == 0
        assert capsys.readouterr().out == "web-1 web error: one\n"


def test_a_container_that_has_not_started_is_a_remark_not_a_failure() -> None:
    node = Node()
    node.add("web-1")
    node.logs.clear()
    with serving(node) as kube:
        (line,) = read_logs(kube, "ns", ["web"], Selection())
    assert (line.time, line.text) == ("", "container web is waiting to start")


def test_a_log_that_the_node_has_not_kept_is_a_remark_and_the_other_run_is_told() -> None:
    node = Node()
    pod = node.add("web-1")
    with serving(node) as kube:
        pod.say("now")
        node.forgotten.add("web-1")
        (line,) = read_logs(kube, "ns", ["web"], Selection(previous=True))
        assert (line.time, line.text) == ("", "the node has not kept the log of this run")
        (last,) = last_lines(kube, "ns", LogSource("web-1", "web", previous=True))
        assert last.endswith("now")


def test_an_unknown_container_is_named_with_the_known_ones() -> None:
    node = Node()
    node.add("web-1")
    with serving(node) as kube, pytest.raises(UsageError, match="no container is called 'x'") as error:
        list(read_logs(kube, "ns", ["web"], Selection(container="x")))
    assert error.value.fix == "there are: web, prepare"


def test_following_picks_up_new_pods_and_restarts() -> None:
    node = Node()
    first = node.add("web-1")
    first.say("old", "one")
    with serving(node) as kube:
        lines = follow_logs(kube, "ns", ["web"], Selection(tail=1))
        assert said(islice(lines, 1)) == [("web-1", "one")]
        first.say("two")
        assert said(islice(lines, 1)) == [("web-1", "two")]
        node.add("web-2").say("hello", "from the new pod")
        assert said(islice(lines, 2)) == [("web-2", "hello"), ("web-2", "from the new pod")]
        first.end()
        node.logs.pop(("web-1", "web"))
        node.add("web-1", run=1).say("again")
        assert said(islice(lines, 1)) == [("web-1", "again")]


def test_a_stream_that_breaks_goes_on_without_a_line_twice() -> None:
    node = Node()
    log = node.add("web-1")
    log.breaks_after = 2
    log.say("one", "two", "three")
    with serving(node) as kube:
        lines = follow_logs(kube, "ns", ["web"], Selection())
        assert said(islice(lines, 3)) == [("web-1", "one"), ("web-1", "two"), ("web-1", "three")]
        log.say("four")
        assert said(islice(lines, 1)) == [("web-1", "four")]


def test_a_stream_ends_quietly_when_nobody_follows_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    crashes: list[object] = []
    monkeypatch.setattr(threading, "excepthook", crashes.append)
    others = set(threading.enumerate())
    node = Node()
    node.add("web-1").say("one")
    with serving(node) as kube:
        lines = follow_logs(kube, "ns", ["web"], Selection())
        assert said(islice(lines, 1)) == [("web-1", "one")]
        (stream,) = (each for each in set(threading.enumerate()) - others if "_follow" in each.name)
    stream.join(30)
    assert not stream.is_alive()
    assert crashes == []


def test_following_a_job_ends_with_it() -> None:
    node = Node()
    log = node.add("migrate-1", "migrate")
    log.say("made tables")

    def finish() -> None:
        node.pods[0]["status"]["phase"] = "Succeeded"
        log.say("done")
        log.end()

    with serving(node) as kube:
        threading.Timer(0.3, finish).start()
        assert said(follow_logs(kube, "ns", ["migrate"], Selection(), ends=True)) == [
            ("migrate-1", "made tables"),
            ("migrate-1", "done"),
        ]


def test_the_command_writes_prefixes_or_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], spec: str
) -> None:
    node = Node()
    node.add("web-1").say("hello")
    with serving(node) as kube:
        monkeypatch.setattr("portable.target.connect", lambda _target: kube)
        monkeypatch.setattr(kube, "close", lambda: None)
        assert main(["logs", "web", "--cloud", "gcp"]) == 0
        assert capsys.readouterr().out == "web-1 web hello\n"
        assert main(["logs", "web", "--cloud", "gcp", "--since", "1h30m", "--output", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["pod"], document["container"], document["text"]) == ("web-1", "web", "hello")


@pytest.mark.parametrize("wrong", ["soon", "10x", "-5m", ""])
def test_a_wrong_duration_is_2(spec: str, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "web", "--cloud", "gcp", "--since", wrong]) == 2
    assert "1h30m" in capsys.readouterr().err
