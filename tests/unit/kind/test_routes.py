from __future__ import annotations

import pytest

from portable_kind.ports import Ports
from portable_kind.routes import addresses, resolves_here

pytestmark = pytest.mark.unit


USUAL = Ports(80, 443)


def url(host: str, path: str = "/", *, tls: bool = False, ports: Ports = USUAL) -> tuple[str, str]:
    (found,) = addresses(ports, [(host, path, tls)], "trust me", here=lambda name: name.endswith("localhost"))
    return found.url, found.note


def test_the_usual_ports_are_left_out() -> None:
    assert url("shop.localhost") == ("http://shop.localhost/", "")
    assert url("shop.localhost", "/api", tls=True) == ("https://shop.localhost/api", "trust me")


def test_other_ports_are_named() -> None:
    assert url("shop.localhost", "/api", ports=Ports(8080, 8443))[0] == "http://shop.localhost:8080/api"
    assert url("shop.localhost", "/", tls=True, ports=Ports(8080, 8443))[0] == "https://shop.localhost:8443/"


def test_a_host_that_leads_elsewhere_gets_a_line_for_the_hosts_file() -> None:
    address, note = url("shop.example.com", tls=True)
    assert address == "https://shop.example.com/"
    assert note == 'add "127.0.0.1 shop.example.com" to /etc/hosts; trust me'


def test_a_wildcard_or_no_host_is_shown_by_a_name_that_matches() -> None:
    assert url("*.shop.localhost")[0] == "http://www.shop.localhost/"
    assert url("")[0] == "http://localhost/"


def test_names_under_localhost_need_no_resolver() -> None:
    assert resolves_here("a.b.localhost")
    assert not resolves_here("no-such-host.invalid")
