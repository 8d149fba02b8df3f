"""One kind cluster for all end-to-end tests, made by `portable up` itself, and `portable` as a user runs it: a process."""

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

from portable.kube import Kube

ROOT = Path(__file__).resolve().parents[2]
PORTABLE = Path(sys.executable).with_name("portable")


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

    def __str__(self) -> str:
        return f"$ portable {' '.join(self.command)}\n[exit {self.code}, {self.seconds:.1f} s]\n{self.out}\n{self.err}"


@dataclass(frozen=True)
class Portable:
    """Runs the command with a state and data folder of the tests' own."""

    folder: Path
    env: Mapping[str, str] = field(repr=False)

    def __call__(
        self, *arguments: str | Path, code: int | None = 0, stdin: str | None = None, cwd: Path | None = None, timeout: float = 420
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


@pytest.fixture(scope="session")
def portable(tmp_path_factory: pytest.TempPathFactory) -> Portable:
    return new_portable(tmp_path_factory.mktemp("portable"))


@dataclass(frozen=True)
class Cluster:
    name: str
    kube: Kube


@pytest.fixture(scope="session")
def cluster(portable: Portable) -> Iterator[Cluster]:
    """A running cluster with an app called `anchor` on it, which keeps it from being destroyed with a test's own app."""
    from portable_kind import Kind

    name = f"test-{secrets.token_hex(3)}"
    anchor = portable.folder / "anchor.yaml"
    anchor.write_text(app("anchor", name, {"idle": {"containers": {"main": {"image": "shop/app:1.0", "args": ["idle"]}}}}))
    os.environ["PORTABLE_DATA"] = portable.env["PORTABLE_DATA"]
    try:
        portable("up", "--cloud", "kind", "--yes", anchor)
        yield Cluster(name, Kube.connect(Kind().credentials(name).kubeconfig))
    finally:
        portable("destroy", "--cloud", "kind", "--yes", "--destroy-data", anchor)


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


@dataclass(frozen=True)
class AppUnderTest:
    """An app of one test: its spec file and its namespace; `write` changes the spec."""

    name: str
    cluster: Cluster
    file: Path

    @property
    def namespace(self) -> str:
        return self.name

    def write(self, workloads: Mapping[str, Any], **more: Any) -> Path:
        self.file.write_text(app(self.name, self.cluster.name, workloads, **more))
        return self.file

    def pods(self, workload: str) -> Sequence[dict[str, Any]]:
        selector = f"app.kubernetes.io/name={workload}"
        return self.cluster.kube.list("v1", "Pod", self.namespace, label_selector=selector)


@pytest.fixture()
def make_app(portable: Portable, cluster: Cluster, tmp_path: Path) -> Iterator[Callable[[str], AppUnderTest]]:
    """`make_app("name")` gives an app on the shared cluster; it is destroyed with its data when the test ends."""
    made: list[AppUnderTest] = []

    def make(prefix: str) -> AppUnderTest:
        entry = AppUnderTest(f"{prefix}-{secrets.token_hex(2)}", cluster, tmp_path / f"{prefix}.yaml")
        made.append(entry)
        return entry

    yield make
    for entry in made:
        if entry.file.exists():
            portable("destroy", "--cloud", "kind", "--yes", "--destroy-data", "--keep-cluster", entry.file)
