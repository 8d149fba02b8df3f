"""What tests of several folders share: one control plane for the whole run."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Iterator, Mapping

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
        config.pluginmanager.register(soak.Report(command))


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
