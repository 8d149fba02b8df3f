"""kind's command line, played by small programs that print what kind prints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from portable.errors import ProviderError
from portable.events import Event, Step, nowhere
from portable_kind import cluster, folders, kind
from portable_kind.configuration import Configuration
from portable_kind.ports import Ports

pytestmark = pytest.mark.unit

VERSION = 'if [ "$1" = version ]; then echo "kind v0.33.0 go1.26.8 linux/amd64"; exit; fi\n'
CONFIGURATION = Configuration("dev", 1, "kindest/node:v1.37.0", Ports(80, 443), "/v")


@pytest.mark.parametrize(
    ("line", "phase"),
    [
        (" • Ensuring node image (kindest/node:v1.36.3) 🖼️  ...\n", "Ensuring node image (kindest/node:v1.36.3)"),
        (" • Preparing nodes 📦 📦   ...\n", "Preparing nodes"),
        (" • Starting control-plane 🕹️  ...\n", "Starting control-plane"),
        (" ✓ Starting control-plane 🕹️\n", None),
        ('Creating cluster "dev" ...\n', None),
    ],
)
def test_phases_are_read_from_kinds_output(line: str, phase: str | None) -> None:
    assert kind.phase_of(line) == phase


def create(events: list[Event]) -> None:
    with kind.lock("dev", events.append) as handle:
        kind.create(CONFIGURATION, folders.cluster("dev") / "kubeconfig", handle, events.append)


def test_create_feeds_the_configuration_and_reports_phases(program: Callable[[str, str], Path], tmp_path: Path) -> None:
    program(
        "kind",
        VERSION + f"cat > {tmp_path}/config; echo \"$@\" > {tmp_path}/arguments; echo ' • Preparing nodes 📦  ...' >&2",
    )
    events: list[Event] = []
    create(events)
    assert json.loads((tmp_path / "config").read_text()) == CONFIGURATION.document()
    assert f"--kubeconfig {folders.cluster('dev')}/kubeconfig" in (tmp_path / "arguments").read_text()
    assert Step("cluster", "progress", detail="Preparing nodes") in events


def test_a_failed_create_says_why_and_leaves_nothing(program: Callable[[str, str], Path], tmp_path: Path) -> None:
    program("docker", "exit 0")
    program(
        "kind",
        VERSION
        + f"""echo "$1 $2" >> {tmp_path}/calls
if [ "$1" = create ]; then
  cat >/dev/null
  echo ' • Preparing nodes 📦  ...' >&2
  echo 'ERROR: failed to create cluster: Bind for 127.0.0.1:80 failed: port is already allocated' >&2
  exit 1
fi""",
    )
    with pytest.raises(ProviderError) as caught:
        create([])
    assert "port is already allocated" in caught.value.detail
    assert "free that port" in caught.value.fix
    assert (tmp_path / "calls").read_text().splitlines() == ["create cluster", "delete cluster"]


def test_a_port_that_is_taken_meanwhile_is_replaced_by_another(
    program: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTABLE_KIND_NODE_IMAGE", "kindest/node:v1.37.0")
    program(
        "docker", """[ "$1" = info ] && echo '{"ServerVersion": "28", "CgroupVersion": "2", "MemTotal": 1}'; exit 0"""
    )
    program(
        "kind",
        VERSION
        + f"""if [ "$1" = create ]; then
  cat >> {tmp_path}/configurations; echo >> {tmp_path}/configurations
  [ -e {tmp_path}/tried ] && exit 0
  touch {tmp_path}/tried
  echo 'docker: Error response from daemon: Bind for 127.0.0.1:80 failed: port is already allocated.' >&2
  exit 1
fi""",
    )
    offered = iter([Ports(80, 443), Ports(8080, 8443)])
    monkeypatch.setattr(cluster.ports, "choose", lambda _earlier: next(offered))
    with kind.lock("dev", nowhere) as handle:
        cluster._make("dev", {"name": "dev", "version": "", "nodes": 1}, handle, nowhere)
    tried = [json.loads(line) for line in (tmp_path / "configurations").read_text().splitlines()]
    mapped = [document["nodes"][0]["extraPortMappings"][0]["hostPort"] for document in tried]
    assert mapped == [80, 8080]


def test_kinds_words_for_a_missing_cluster(program: Callable[[str, str], Path]) -> None:
    program(
        "kind", VERSION + "echo \"ERROR: could not locate any control plane nodes for cluster named 'dev'\" >&2; exit 1"
    )
    with pytest.raises(ProviderError, match="kind get kubeconfig") as caught:
        kind.kubeconfig("dev")
    assert "could not locate" in caught.value.detail


def test_a_kind_that_outlives_portable_keeps_the_lock(program: Callable[[str, str], Path], tmp_path: Path) -> None:
    """kill -9 of portable leaves kind at work: the next run must wait for it and not take its half cluster for garbage."""
    done = tmp_path / "done"
    program("kind", VERSION + f"cat >/dev/null; echo $$ > {tmp_path}/pid; sleep 2; echo more >&2; touch {done}")
    code = """
from tests.unit.kind.test_kind import create
create([])
"""
    portable = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3], env=dict(os.environ))
    deadline = time.monotonic() + 60
    while not (tmp_path / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    portable.send_signal(signal.SIGKILL)
    portable.wait()
    assert not done.exists()
    events: list[Event] = []
    with kind.lock("dev", events.append):
        assert done.exists()
    assert [event.detail for event in events if isinstance(event, Step)] == [
        "waiting for another process that works on this cluster"
    ]
