"""How values are written, which record leads to a load balancer, and what importing costs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portable.dns.ownership import marker
from portable.dns.records import closest, quoted, unquoted
from portable.dns.routes import load_balancer_records
from portable.provider import Record

pytestmark = pytest.mark.unit


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=600))
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    assert unquoted(quoted(text)) == text


def test_long_texts_are_cut_into_strings() -> None:
    assert [len(part) for part in quoted("x" * 300).replace('"', "").split(" ")] == [255, 45]


def test_the_closest_zone() -> None:
    zones = {"example.com": "1", "deep.example.com": "2"}
    assert closest(zones, "a.b.example.com") == "1"
    assert closest(zones, "a.deep.example.com") == "2"
    assert closest(zones, "notexample.com") is None


def test_markers_stand_beside_their_host_and_never_on_it() -> None:
    assert marker("shop.example.com") == "_portable.shop.example.com"
    assert marker("*.example.com") == "_portable-any.example.com"
    assert marker("any.example.com") != marker("*.example.com")


def ingress(host: str, *points: dict[str, str]) -> dict[str, Any]:
    return {"spec": {"rules": [{"host": host}]}, "status": {"loadBalancer": {"ingress": list(points)}}}


@pytest.mark.parametrize(
    ("points", "kind", "values"),
    [
        (({"ip": "192.0.2.2"}, {"ip": "192.0.2.1"}), "A", ("192.0.2.1", "192.0.2.2")),
        (({"ip": "2001:db8::1"}, {"ip": "192.0.2.1"}), "A", ("192.0.2.1",)),
        (({"ip": "2001:db8::1"},), "AAAA", ("2001:db8::1",)),
        (({"hostname": "lb.example.net"},), "CNAME", ("lb.example.net",)),
    ],
)
def test_a_load_balancer_becomes_one_record(
    points: tuple[dict[str, str], ...], kind: Any, values: tuple[str, ...]
) -> None:
    found = load_balancer_records([ingress("shop.example.com", *points)], ["shop.example.com"])
    assert found == {"shop.example.com": Record("shop.example.com", kind, values, 300)}


def test_what_has_no_address_yet_or_is_not_asked_about_is_left_out() -> None:
    ingresses = [ingress("late.example.com"), ingress("other.example.com", {"ip": "192.0.2.1"})]
    assert load_balancer_records(ingresses, ["late.example.com"]) == {}


def test_the_flows_import_no_sdk_and_no_dns_library() -> None:
    script = (
        "import sys, portable.up, portable.destroy, portable.status\n"
        "print([name for name in ('dns', 'acme', 'josepy', 'boto3', 'google.auth', 'azure.core', 'cryptography.x509')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
