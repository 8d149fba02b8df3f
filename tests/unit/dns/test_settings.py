"""What a user may set for DNS and certificates, and what is said of what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.dns.settings import LETS_ENCRYPT, AcmeSettings, DnsSettings, acme_settings, dns_settings
from portable.errors import UsageError

pytestmark = pytest.mark.unit


def with_file(folder: Path, text: str, **environment: str) -> dict[str, str]:
    file = folder / "config.toml"
    file.write_text(text)
    return {"PORTABLE_CONFIG": str(file), **environment}


def test_nothing_has_to_be_said(tmp_path: Path) -> None:
    environment = {"PORTABLE_CONFIG": str(tmp_path / "none.toml")}
    assert dns_settings(environment) == DnsSettings("auto", "", None, 600.0)
    assert acme_settings(environment) == AcmeSettings(LETS_ENCRYPT, None, "", "")


def test_the_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    text = """
[dns]
server = "192.0.2.53"
key-file = "~/update.key"
address-wait = 30
[acme]
directory = "https://acme.example/dir"
ca = "/etc/ca.pem"
"""
    found = dns_settings(with_file(tmp_path, text))
    assert found == DnsSettings("auto", "192.0.2.53", Path("~/update.key").expanduser(), 30.0)
    environment = with_file(tmp_path, text, PORTABLE_DNS="manual", PORTABLE_DNS_SERVER="192.0.2.54:5353")
    assert (dns_settings(environment).mode, dns_settings(environment).server) == ("manual", "192.0.2.54:5353")
    assert acme_settings(environment) == AcmeSettings("https://acme.example/dir", Path("/etc/ca.pem"), "", "")
    assert acme_settings({**environment, "PORTABLE_ACME_ISSUER": "le"}).issuer == "le"


@pytest.mark.parametrize(
    ("text", "environment", "message", "fix"),
    [
        ("", {"PORTABLE_DNS": "auot"}, "the DNS mode 'auot' does not exist", "auto, rfc2136, manual"),
        ("", {"PORTABLE_DNS": "rfc2136"}, "needs a server", "PORTABLE_DNS_SERVER=HOST"),
        ("", {"PORTABLE_DNS_ADDRESS_WAIT": "soon"}, "'soon' is no number of seconds", "600"),
        ("[dns]\nsrever = 'x'", {}, "has no srever", "mode, server, key-file, address-wait"),
        ("dns = 3", {}, "has no 3", "it knows"),
        ("[dns", {}, "cannot be read", "TOML"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, text: str, environment: dict[str, str], message: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        dns_settings(with_file(tmp_path, text, **environment))
    assert message in caught.value.message
    assert fix in caught.value.fix
