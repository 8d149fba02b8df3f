"""A stand-in for each test, and one life of a cluster for those that only look at it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clouds.aws.world import World, serving
from tests.contract.aws.life import Life, live

_OTHERS = ("AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """moto's state is the process's: one at a time, and `life` has ended before it is handed out."""
    with serving(tmp_path) as made:
        _enter(made, monkeypatch)
        yield made


@pytest.fixture(scope="session")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    with pytest.MonkeyPatch.context() as patch, serving(tmp_path_factory.mktemp("life")) as made:
        _enter(made, patch)
        return live(made)


def _enter(world: World, patch: pytest.MonkeyPatch) -> None:
    for name in _OTHERS:
        patch.delenv(name, raising=False)
    for name, value in world.environment.items():
        patch.setenv(name, value)
    assert "AWS_ENDPOINT_URL" in os.environ
