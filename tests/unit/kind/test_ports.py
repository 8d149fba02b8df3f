from __future__ import annotations

import socket

import pytest

from portable_kind.ports import Ports, any_free, choose, is_free

pytestmark = pytest.mark.unit


def test_the_usual_ports_are_preferred() -> None:
    assert choose(free=lambda _: True) == Ports(80, 443)


def test_both_of_a_pair_have_to_be_free() -> None:
    assert choose(free=lambda port: port != 443) == Ports(8080, 8443)


def test_earlier_ports_are_kept_while_they_are_free() -> None:
    assert choose(Ports(9000, 9001), free=lambda _: True) == Ports(9000, 9001)
    assert choose(Ports(9000, 9001), free=lambda port: port != 9000) == Ports(80, 443)


def test_where_all_are_taken_the_system_gives_two_others() -> None:
    found = choose(free=lambda _: False)
    assert found.http != found.https
    assert is_free(found.http)
    assert is_free(found.https)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_a_server_listens_on_is_not_free(address: str) -> None:
    with socket.socket() as server:
        server.bind((address, 0))
        server.listen()
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_any_free_gives_different_ports() -> None:
    assert len(set(any_free(5))) == 5
