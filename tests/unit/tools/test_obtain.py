"""Getting a tool: a release from a real HTTP server on loopback, or a real build of a Go module that needs nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import os
import shutil
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from portable import tools
from portable.errors import ToolError
from portable.events import Event, Step, nowhere
from portable.tools import Download, GoBuild, Tool, cache, go_build

pytestmark = pytest.mark.unit

PROGRAM = b"#!/bin/sh\necho widget v3.5.0\n"
needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="the Go toolchain is not installed")


@dataclass
class Release:
    """A release host on loopback: path -> content, and how often each was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def tool(self, file: str = "widget", member: str = "") -> Tool:
        release = Download(url=f"{self.url}/{file}", checksums=f"{self.url}/checksums.txt", member=member)
        return Tool(name="widget", version="3.5.0", purpose="", download=lambda _system, _machine: release)

    def publish(self, file: str, content: bytes, said: bytes | None = None) -> None:
        """`said`: the content that the checksum file is written for, if another."""
        self.files[f"/{file}"] = content
        line = f"{hashlib.sha256(said if said is not None else content).hexdigest()}  {file}\n"
        self.files["/checksums.txt"] = b"0" * 64 + b"  another-file\n" + line.encode()


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Release]:
    monkeypatch.setenv("PORTABLE_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    served = Release()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            content = served.files.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


def cached_files() -> list[str]:
    """Everything in the cache's tool folder, half-done things too; locks lie elsewhere."""
    folder = cache.root() / "tools"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_release_is_downloaded_verified_and_kept(release: Release) -> None:
    release.publish("widget", PROGRAM)
    events: list[Event] = []
    path = tools.obtain(release.tool(), events.append)
    assert subprocess.check_output([path]) == b"widget v3.5.0\n"
    statuses = [event.status for event in events if isinstance(event, Step)]
    assert (statuses[0], statuses[-1]) == ("started", "done")
    assert cached_files() == [str(path.relative_to(cache.root() / "tools"))]
    asked = len(release.asked)
    assert tools.obtain(release.tool(), nowhere) == path
    assert len(release.asked) == asked, "what is there is not downloaded again"


def test_the_tool_is_taken_out_of_an_archive(release: Release) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in (("widget/README", b"read me"), ("widget/widget", PROGRAM)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    release.publish("widget.tar.gz", packed.getvalue())
    path = tools.obtain(release.tool("widget.tar.gz", member="widget/widget"), nowhere)
    assert path.read_bytes() == PROGRAM
    assert os.access(path, os.X_OK)
    assert cached_files() == [str(path.relative_to(cache.root() / "tools"))]


def test_a_download_that_does_not_match_its_sum_is_refused(release: Release) -> None:
    release.publish("widget", PROGRAM + b"# and more", said=PROGRAM)
    with pytest.raises(ToolError, match="damaged or was tampered with") as raised:
        tools.obtain(release.tool(), nowhere)
    assert hashlib.sha256(PROGRAM).hexdigest() in raised.value.detail
    assert cached_files() == []
    assert tools.find(release.tool()) is None


def test_a_file_that_the_release_does_not_list_is_refused(release: Release) -> None:
    release.publish("gadget", PROGRAM)
    release.files["/widget"] = PROGRAM
    with pytest.raises(ToolError, match="does not list widget"):
        tools.obtain(release.tool(), nowhere)
    assert cached_files() == []


def test_a_release_without_the_file_and_without_a_recipe_says_so(release: Release) -> None:
    with pytest.raises(ToolError, match="cannot be downloaded") as raised:
        tools.obtain(release.tool(), nowhere)
    assert "404" in raised.value.detail


def test_a_closed_network_is_noticed_within_seconds(release: Release) -> None:
    # A full backlog drops further connections: what a firewall that says nothing looks like.
    with socket.socket() as silent, contextlib.ExitStack() as waiting:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        for _ in range(4):
            client = waiting.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(silent.getsockname())
        release.url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(ToolError, match="cannot be downloaded"):
            tools.obtain(release.tool(), nowhere)
        assert time.monotonic() - began < 20


def test_two_at_once_download_once(release: Release) -> None:
    release.publish("widget", PROGRAM)
    with ThreadPoolExecutor(4) as threads:
        paths = list(threads.map(lambda _: tools.obtain(release.tool(), nowhere), range(4)))
    assert len(set(paths)) == 1
    assert release.asked.count("/widget") == 1


def test_leftovers_of_a_killed_run_are_removed(release: Release) -> None:
    release.publish("widget", PROGRAM)
    path = tools.obtain(release.tool(), nowhere)
    leftover = path.parent.parent / f".{path.parent.name}.abc123"
    shutil.move(path.parent, leftover)
    assert tools.find(release.tool()) is None
    assert tools.obtain(release.tool(), nowhere) == path
    assert not leftover.exists()


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "place" / "thing"

    def fail() -> None:
        with cache.filling(target) as folder:
            (folder / "half").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(target.parent.iterdir()) == []


def module(folder: Path, source: str) -> GoBuild:
    folder.mkdir(exist_ok=True)
    (folder / "go.mod").write_text("module example.test/widget\n\ngo 1.21\n")
    (folder / "go.sum").write_text("")
    (folder / "main.go").write_text(source)
    return GoBuild(name="widget", module=folder, packages={"widget": "."}, ldflags="-s -w -X main.version=v3.5.0")


SOURCE = 'package main\n\nvar version = ""\n\nfunc main() { println("widget", version) }\n'


@needs_go
def test_without_a_download_it_is_built(release: Release, tmp_path: Path) -> None:
    recipe = module(tmp_path / "module", SOURCE)
    tool = Tool(name="widget", version="3.5.0", purpose="", build=recipe)
    events: list[Event] = []
    path = tools.obtain(tool, events.append)
    built = subprocess.run([path], capture_output=True, text=True, check=True)
    assert built.stderr == "widget v3.5.0\n"
    assert any(isinstance(event, Step) and "building from source" in event.detail for event in events)


@needs_go
def test_a_build_is_named_by_what_it_is_made_from(release: Release, tmp_path: Path) -> None:
    recipe = module(tmp_path / "module", SOURCE)
    first = go_build.build(recipe, nowhere)
    made = (first / "widget").stat().st_mtime_ns
    assert go_build.build(recipe, nowhere) == first
    assert (first / "widget").stat().st_mtime_ns == made, "nothing changed, nothing is built"
    changed = module(tmp_path / "module", SOURCE.replace('"widget"', '"gadget"'))
    assert go_build.build(changed, nowhere) != first


@needs_go
def test_a_build_that_fails_says_what_the_compiler_said(release: Release, tmp_path: Path) -> None:
    recipe = module(tmp_path / "module", "package main\n\nfunc main() { undefinedThing() }\n")
    with pytest.raises(ToolError, match="building widget failed") as raised:
        go_build.build(recipe, nowhere)
    assert "undefinedThing" in raised.value.detail
    assert not go_build.folder(recipe).exists()


@needs_go
def test_pins_are_not_changed_by_a_build(release: Release, tmp_path: Path) -> None:
    recipe = module(tmp_path / "module", 'package main\n\nimport _ "example.test/unpinned"\n\nfunc main() {}\n')
    before = (tmp_path / "module" / "go.mod").read_bytes()
    with pytest.raises(ToolError):
        go_build.build(recipe, nowhere)
    assert (tmp_path / "module" / "go.mod").read_bytes() == before


def test_without_go_it_says_what_to_do(release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = module(tmp_path / "module", SOURCE)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="`go` is not installed") as raised:
        go_build.build(recipe, nowhere)
    assert "install Go" in raised.value.fix
