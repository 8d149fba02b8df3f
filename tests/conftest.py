"""What tests of several folders share: one control plane for the whole run."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from portable.kube import Kube
from tests import soak
from tests.control_plane import ControlPlane, start

# The width of somebody's terminal, which readline hands down to the processes of pytest-xdist.
os.environ.pop("COLUMNS", None)
# Who starts tests in the background of a script hands down that Ctrl-C is ignored. Some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    if soak.SOAK and "PYTEST_XDIST_WORKER" not in os.environ:
        command = shlex.join(["PORTABLE_SOAK=1", "pytest", *config.invocation_params.args])
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        run = f"{datetime.now(UTC).date().isoformat()}, {commit.stdout.strip()}"
        config.pluginmanager.register(soak.Report(command, run))


# Whoever starts one of these last is waited for by all others: the longest first.
LONGEST = (
    "tests/e2e/test_migrate.py",
    "tests/e2e/test_clouds.py",
    "tests/e2e/test_crash.py",
    "tests/e2e/test_docs.py",
    "tests/e2e/test_operating.py",
    "tests/e2e/test_shop.py",
    "tests/e2e/test_kind_provider.py",
    "tests/e2e/test_reliability_updates.py",
    "tests/e2e/test_reliability_scaling.py",
    "tests/e2e/test_reliability_healing.py",
    "tests/e2e/test_migrate_databases.py",
    "tests/e2e/test_demo.py",
    "tests/e2e/test_rollback.py",
    "tests/e2e/test_images.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file goes to one process, in this order: the long ones, the others with a cluster, and at last what needs none and
    fills up what is left of the cores."""

    def place(item: pytest.Item) -> tuple[bool, int]:
        file = item.nodeid.partition("::")[0]
        return item.get_closest_marker("e2e") is None, LONGEST.index(file) if file in LONGEST else len(LONGEST)

    items.sort(key=place)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server with all controllers but no nodes: give each test a namespace of its own."""
    with start(tmp_path_factory.mktemp("control-plane"), controllers=("*",)) as plane:
        yield plane


@pytest.fixture(scope="session")
def kube(control_plane: ControlPlane) -> Iterator[Kube]:
    with Kube.connect(control_plane.kubeconfig) as connected:
        yield connected


@pytest.fixture(scope="module")
def with_buildkit() -> Iterator[Mapping[str, str]]:
    """The environment of a BuildKit; nothing where it is not a whole run: it takes minutes to be built."""
    if not soak.SOAK:
        yield {}
        return
    from tests.buildkit import buildkit

    with buildkit() as environment:
        yield environment
