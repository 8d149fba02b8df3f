"""One kind cluster for all end-to-end tests, made by `portable up` itself, and `portable` as a user runs it: a process.

Tests of several files run at the same time in processes of pytest-xdist. They share the state and data folder, the images and
the cluster; whichever process needs them first makes them, the last one to end takes them away.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from portable.events import nowhere
from portable.kube import Kube
from portable.spec import model
from tests.images import make_images

ANCHOR = "anchor.yaml"
ROOT = Path(__file__).resolve().parents[2]
PORTABLE = Path(sys.executable).with_name("portable")
HELLO: Mapping[str, Any] = {
    "containers": {"main": {"image": "hello:1.0", "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}},
    "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
}


@dataclass(frozen=True)
class Run:
    """What one command did. `seconds` is the wall time."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float

    def json(self) -> Any:
        return json.loads(self.out)

    def error(self) -> dict[str, Any]:
        """The error that ended an operation, as `--output json` tells it."""
        last = self.events()[-1]
        assert last["event"] == "error", str(self)
        return last["error"]

    def events(self) -> list[dict[str, Any]]:
        """What an operation with `--output json` wrote: JSON lines, the last of them its result or error."""
        return [json.loads(line) for line in self.out.splitlines()]

    def __str__(self) -> str:
        return f"$ portable {' '.join(self.command)}\n[exit {self.code}, {self.seconds:.1f} s]\n{self.out}\n{self.err}"


@dataclass(frozen=True)
class Portable:
    """Runs the command with a state and data folder of the tests' own."""

    folder: Path
    env: Mapping[str, str] = field(repr=False)

    def __call__(
        self,
        *arguments: str | Path,
        code: int | None = 0,
        stdin: str | None = None,
        cwd: Path | None = None,
        timeout: float = 420,
    ) -> Run:
        """Fails the test unless the command exits with `code` (None: any)."""
        command = tuple(str(argument) for argument in arguments)
        started = time.monotonic()
        done = subprocess.run(
            [PORTABLE, *command],
            env=dict(self.env),
            cwd=cwd or self.folder,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        run = Run(command, done.returncode, done.stdout, done.stderr, time.monotonic() - started)
        assert "Traceback" not in run.out + run.err, run
        if code is not None:
            assert run.code == code, str(run)
        return run

    def start(self, *arguments: str | Path, cwd: Path | None = None) -> subprocess.Popen[str]:
        """The command as a running process, in a process group of its own, for tests that interrupt it."""
        return subprocess.Popen(
            [PORTABLE, *(str(argument) for argument in arguments)],
            env=dict(self.env),
            cwd=cwd or self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def new_portable(folder: Path) -> Portable:
    env = os.environ | {
        "PORTABLE_STATE": str(folder / "state"),
        "PORTABLE_DATA": str(folder / "data"),
        "NO_COLOR": "1",
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return Portable(folder, env)


KEPT = os.environ.get("PORTABLE_E2E_KEEP")
WORKER = os.environ.get("PYTEST_XDIST_WORKER")


@pytest.fixture(scope="session")
def portable(tmp_path_factory: pytest.TempPathFactory) -> Portable:
    """With PORTABLE_E2E_KEEP=FOLDER state and cluster stay there, so that a test under work starts at once the next time."""
    made = new_portable(Path(KEPT).absolute() if KEPT else _shared_folder(tmp_path_factory))
    os.environ["PORTABLE_DATA"] = made.env["PORTABLE_DATA"]  # where tests that use the plugin find its credentials
    return made


def _shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same one in all processes of a run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if WORKER else base) / "portable"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Prints past the capture: for the figures that a test run is asked for. The standard output of an xdist process is
    its line to the one that reports."""
    capture: Any = request.config.pluginmanager.getplugin("capturemanager")

    def print_it(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", flush=True, file=sys.stderr)

    return print_it


@dataclass(frozen=True)
class Cluster:
    name: str
    kube: Kube


@pytest.fixture(scope="session")
def images() -> None:
    """hello:1.0 and shop/app:1.0."""
    for example in ("hello", "shop"):
        make_images(ROOT / "examples" / example)


@pytest.fixture(scope="session")
def movers_image(portable: Portable) -> None:
    """What a migration's pods run, built where it is missing."""
    from portable_kind import mover_image

    with FileLock(portable.folder / "images.lock"):
        if mover_image.is_missing():
            mover_image.build(nowhere)


@pytest.fixture(scope="session")
def cluster(portable: Portable, images: None) -> Cluster:
    """A running cluster with an app called `anchor` on it, which keeps it from being destroyed with a test's own app."""
    from portable_kind import Kind

    anchor = portable.folder / ANCHOR
    with FileLock(portable.folder / "cluster.lock"):
        if not anchor.exists():
            name = f"kept-{portable.folder.name}" if KEPT else f"test-{secrets.token_hex(3)}"
            anchor.write_text(app("anchor", name, {"idle": HELLO}))
            portable("up", "--cloud", "kind", "--yes", anchor)
    name = yaml.safe_load(anchor.read_text())["cluster"]["name"]
    return Cluster(name, Kube.reach(Kind().credentials(model.Cluster(name=name))))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The last process of a run ends its cluster. One that has no test of this folder counts too: it may end first."""
    folder: Path | None = None if KEPT else _shared_folder(session.config._tmp_path_factory)  # type: ignore[attr-defined]
    if folder is None:
        return
    ended = folder / "ended"
    with FileLock(folder / "ended.lock"):
        ended.write_text(f"{ended.read_text() if ended.exists() else ''}{WORKER or 'alone'}\n")
        last = len(ended.read_text().splitlines()) == int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if last and (folder / ANCHOR).exists():
        new_portable(folder)("destroy", "--cloud", "kind", "--yes", "--destroy-data", folder / ANCHOR)


def app(
    name: str,
    cluster: str,
    workloads: Mapping[str, Any],
    *,
    resources: Mapping[str, Any] | None = None,
    **more: Any,
) -> str:
    """A spec as YAML text."""
    spec: dict[str, Any] = {
        "apiVersion": "portable/v1",
        "kind": "App",
        "metadata": {"name": name},
        "cluster": {"name": cluster},
        "workloads": dict(workloads),
    }
    if resources:
        spec["resources"] = dict(resources)
    return yaml.safe_dump(spec | more, sort_keys=False)


def wait(condition: Callable[[], object], what: str, seconds: float = 240) -> float:
    """Seconds until it was true."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < seconds, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)
    return time.monotonic() - started


@dataclass(frozen=True)
class AppUnderTest:
    """An app of one test: its spec file and its namespace; `write` changes the spec."""

    name: str
    cluster: Cluster
    file: Path
    portable: Portable

    @property
    def namespace(self) -> str:
        return self.name

    def write(self, workloads: Mapping[str, Any], **more: Any) -> Path:
        self.file.write_text(app(self.name, self.cluster.name, workloads, **more))
        return self.file

    def run(self, command: str, *arguments: str | Path, code: int | None = 0, stdin: str | None = None) -> Run:
        """`portable COMMAND` on this app. `command` may be of two words: "secret set"."""
        named = ("--file", self.file) if command.split()[0] in ("logs", "open", "secret") else (self.file,)
        return self.portable(*command.split(), "--cloud", "kind", *arguments, *named, code=code, stdin=stdin)

    def up(self, *arguments: str | Path) -> dict[str, Any]:
        """`portable up`, which must succeed; its result."""
        return self.run("up", "--yes", "--output", "json", *arguments).events()[-1]

    def destroy(self, *arguments: str) -> Run:
        return self.run("destroy", "--yes", "--keep-cluster", *arguments)

    def get(self, api_version: str, kind: str, name: str) -> dict[str, Any]:
        """The live object, which must be there."""
        found = self.cluster.kube.get(api_version, kind, name, self.namespace)
        assert found is not None, f"{kind}/{name} is not in {self.namespace}"
        return found

    def pods(self, workload: str) -> Sequence[dict[str, Any]]:
        selector = f"app.kubernetes.io/name={workload}"
        return self.cluster.kube.list("v1", "Pod", self.namespace, label_selector=selector)

    def pod_uids(self, *workloads: str) -> dict[str, tuple[str, ...]]:
        """workload -> UIDs of its pods that are not on their way out; without names, of all workloads."""
        found: dict[str, list[str]] = {name: [] for name in workloads}
        for pod in self.cluster.kube.list("v1", "Pod", self.namespace, label_selector="app.kubernetes.io/name"):
            name = pod["metadata"]["labels"]["app.kubernetes.io/name"]
            if "deletionTimestamp" not in pod["metadata"] and (not workloads or name in workloads):
                found.setdefault(name, []).append(pod["metadata"]["uid"])
        return {name: tuple(sorted(uids)) for name, uids in found.items()}


@pytest.fixture
def make_app(
    portable: Portable, cluster: Cluster, leave: Callable[..., None], tmp_path: Path
) -> Iterator[Callable[[str], AppUnderTest]]:
    """`make_app("name")` gives an app on the shared cluster; it leaves with its data when the test ends."""
    made: list[AppUnderTest] = []

    def make(prefix: str) -> AppUnderTest:
        entry = AppUnderTest(f"{prefix}-{secrets.token_hex(2)}", cluster, tmp_path / f"{prefix}.yaml", portable)
        made.append(entry)
        return entry

    yield make
    for entry in made:
        if entry.file.exists():
            leave("--cloud", "kind", entry.file)


@pytest.fixture(scope="session")
def leave(portable: Portable, cluster: Cluster) -> Iterator[Callable[..., None]]:
    """`leave(ARGUMENT..., cwd=...)` destroys an app with its data while other tests go on: pods take their time to end. Whether
    it went well is asserted when the session ends."""
    leaving: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path, cwd: Path | None = None) -> None:
        leaving.append(portable.start("destroy", "--yes", "--destroy-data", "--keep-cluster", *arguments, cwd=cwd))

    yield start
    for process in leaving:
        said, _ = process.communicate(timeout=420)
        assert process.returncode == 0, said


@pytest.fixture(scope="module")
def module_app(
    request: pytest.FixtureRequest,
    portable: Portable,
    cluster: Cluster,
    leave: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AppUnderTest]:
    """One app for all tests of a module, which stand in order; destroyed with its data after the last one."""
    prefix = request.path.stem.removeprefix("test_").replace("_", "-")
    entry = AppUnderTest(
        f"{prefix}-{secrets.token_hex(2)}", cluster, tmp_path_factory.mktemp(prefix) / f"{prefix}.yaml", portable
    )
    yield entry
    if entry.file.exists():
        leave("--cloud", "kind", entry.file)
