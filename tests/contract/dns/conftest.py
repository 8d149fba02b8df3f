"""One name server for the tests of this folder: each uses names of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.dns import pebble as pebble_server
from tests.contract.dns.name_server import NameServer, serving
from tests.contract.dns.pebble import Pebble


@pytest.fixture(scope="session")
def name_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    with serving(tmp_path_factory.mktemp("named"), ["example.test", "deep.example.test"]) as server:
        yield server


@pytest.fixture(scope="session")
def pebble(tmp_path_factory: pytest.TempPathFactory, name_server: NameServer) -> Iterator[Pebble]:
    with pebble_server.serving(
        tmp_path_factory.mktemp("pebble"), name_server.address, blocked=["blocked.example.test"]
    ) as server:
        yield server
