"""One name server for the tests of this folder: each uses names of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.dns import pebble as pebble_server
from tests.contract.dns.name_server import NameServer, serving
from tests.contract.dns.pebble import Pebble
from tests.contract.dns.services import SERVICES, Service


@pytest.fixture(scope="session")
def name_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    with serving(tmp_path_factory.mktemp("named"), ["example.test", "deep.example.test"]) as server:
        yield server


@pytest.fixture(params=["rfc2136", *(made.__name__ for made in SERVICES)])
def service(request: pytest.FixtureRequest, name_server: NameServer, tmp_path: Path) -> Iterator[Service]:
    if request.param == "rfc2136":
        yield Service(lambda: name_server.zones, "example.test", "deep.example.test")
        return
    made: Any = next(each for each in SERVICES if each.__name__ == request.param)
    with made(tmp_path) as found:
        yield found


@pytest.fixture(scope="session")
def pebble(tmp_path_factory: pytest.TempPathFactory, name_server: NameServer) -> Iterator[Pebble]:
    with pebble_server.serving(
        tmp_path_factory.mktemp("pebble"), name_server.address, blocked=["blocked.example.test"]
    ) as server:
        yield server
