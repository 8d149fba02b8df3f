"""A real Pulumi CLI with local state in a folder of the test's own, on a real API server."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from portable.engine import Engine, Settings
from portable.events import Event, ResourceEvent
from portable.home import Home
from portable.tools import require
from portable.tools.pulumi import PULUMI


@pytest.fixture(scope="session")
def pulumi() -> Path:
    """The CLI, as the tools find it; fails with what to do where there is none."""
    return require(PULUMI)


@pytest.fixture
def space() -> str:
    """A namespace name that no other test uses."""
    return f"app-{secrets.token_hex(4)}"


@pytest.fixture
def home(space: str) -> Home:
    return Home(space, None, "test", "plane")


@pytest.fixture
def state_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """$PORTABLE_STATE of this test."""
    monkeypatch.setenv("PORTABLE_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def engine(pulumi: Path, state_root: Path, events: list[Event]) -> Engine:
    return Engine(Settings(pulumi=pulumi, kubernetes_provider="builtin"), events.append)


@pytest.fixture
def changed(events: list[Event]) -> Callable[[], dict[str, str]]:
    """name -> operation of every resource that was changed since the last call."""

    def since() -> dict[str, str]:
        seen = {event.name: event.operation for event in events if isinstance(event, ResourceEvent)}
        done = {name: operation for name, operation in seen.items() if operation != "same"}
        events.clear()
        return done

    return since
