"""`portable dev`: a change of a file is running again in seconds, by a copy or by a build, and it is said why."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from portable_kind import docker
from tests.e2e.conftest import ROOT, AppUnderTest, app

pytestmark = pytest.mark.e2e

PATIENCE = 240.0


@dataclass
class Session:
    """A running `portable dev --output json`: its lines as they come."""

    process: subprocess.Popen[str]
    lines: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    seen: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)

    def until(self, wanted: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """The first event from now on that is wanted."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                event = json.loads(self.lines.get(timeout=1))
            except queue.Empty:
                assert self.process.poll() is None, f"dev has ended: {self.seen[-3:]}"
                continue
            self.seen.append(event)
            if wanted(event):
                return event
        raise AssertionError(f"{what} did not come within {PATIENCE:.0f} s; the last: {self.seen[-5:]}")

    def notice(self, *words: str) -> str:
        return self.until(lambda e: e["event"] == "notice" and all(w in e["message"] for w in words), str(words))[
            "message"
        ]


@pytest.fixture
def work(make_app: Callable[[str], AppUnderTest]) -> Iterator[tuple[AppUnderTest, Path, Session]]:
    """The hello example as an app under work: its binary serves, and a file beside it can be synchronised."""
    entry = make_app("dev")
    context = entry.file.parent / "web"
    context.mkdir()
    shutil.copy(ROOT / "examples" / "hello" / "build" / "hello", context / "hello")
    (context / "static").mkdir()
    (context / "static" / "page.txt").write_text("first")
    (context / "notes.md").write_text("not part of the image")
    (context / ".dockerignore").write_text("*.md\n")
    (context / "Dockerfile").write_text(
        'FROM scratch\nCOPY hello /hello\nCOPY static /static\nUSER 65532:65532\nENTRYPOINT ["/hello"]\n'
    )
    container = {
        "build": {"context": "./web", "sync": {"static": "/static"}},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    web = {"containers": {"main": container}, "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}}}
    entry.file.write_text(app(entry.name, entry.cluster.name, {"web": web}))
    session = Session(entry.portable.start("dev", "--cloud", "kind", "--output", "json", entry.file))
    yield entry, context, session
    if session.process.poll() is None:
        os.killpg(session.process.pid, signal.SIGKILL)
        session.process.wait()


def test_a_change_is_running_again(work: tuple[AppUnderTest, Path, Session], say: Callable[[str], None]) -> None:
    entry, context, session = work
    session.notice("running after", "the start")
    address = session.until(lambda event: event["event"] == "address", "an address")
    assert "version" in httpx.get(address["url"]).text
    session.until(lambda event: event["event"] == "log", "a line of the app's log")

    # a file that the image does not hold
    (context / "notes.md").write_text("still not part of it")
    session.notice("web: nothing to do", ".dockerignore leaves out notes.md")

    # a file that is copied
    (pod,) = entry.pods("web")
    began = time.monotonic()
    (context / "static" / "page.txt").write_text("second")
    session.notice("web: copied into 1 running", "page.txt -> /static/page.txt")
    copied = time.monotonic() - began
    assert read_in(pod, "/static/page.txt") == "second"
    assert [each["metadata"]["uid"] for each in entry.pods("web")] == [pod["metadata"]["uid"]]

    # one that only a build can bring
    began = time.monotonic()
    with (context / "Dockerfile").open("a") as file:
        file.write('CMD ["again"]\n')
    session.notice("web: building anew", "Dockerfile changed")
    (context / "late").write_text("changed while another change is brought up")
    session.notice("running after", "Dockerfile changed")
    built = time.monotonic() - began
    session.notice("web: building anew", "late changed")
    session.notice("after", "late changed")
    image = entry.get("apps/v1", "Deployment", "web")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert "@sha256:" in image

    # a mistake, and its mending
    whole = (context / "Dockerfile").read_text()
    (context / "Dockerfile").write_text(whole + "COPY nowhere /\n")
    failed = session.until(lambda event: event["event"] == "failed", "the failure")
    assert "nowhere" in failed["error"]["detail"]
    assert session.process.poll() is None
    (context / "Dockerfile").write_text(whole)
    session.notice("after", "Dockerfile changed")

    # Ctrl-C: the app goes on
    os.killpg(session.process.pid, signal.SIGINT)
    last = session.until(lambda event: event["event"] == "result", "the last word")
    assert last["running"] is True
    assert "portable destroy" in last["end"]
    assert session.process.wait(timeout=60) == 130
    assert entry.get("apps/v1", "Deployment", "web")["status"]["readyReplicas"] == 1
    say(
        f"dev: a changed file is in the running container after {copied:.1f} s, a changed image runs after {built:.1f} s"
    )


def read_in(pod: dict[str, Any], path: str) -> str:
    """A file of the pod's container, as its own processes see it: the image has no `cat`."""
    running = pod["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
    node = pod["spec"]["nodeName"]
    shown = docker.execute(node, "ctr", "--namespace=k8s.io", "tasks", "list")
    (pid,) = [line.split()[1] for line in shown.splitlines() if line.startswith(running)]
    return docker.execute(node, "cat", f"/proc/{pid}/root{path}")
