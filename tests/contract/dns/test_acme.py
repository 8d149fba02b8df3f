"""Certificates by ACME: a real Pebble that proves hosts at a real BIND, which our updates reach; Secrets in a real API server."""

from __future__ import annotations

import base64
import datetime as dt
import logging
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.verification import PolicyBuilder, Store

from portable import acme, certificates
from portable.certificates import ACCOUNT_SECRET, ensure_certificates
from portable.dns.places import Place
from portable.dns.settings import AcmeSettings
from portable.errors import ProviderError, UsageError
from portable.events import Event, Notice, nowhere
from portable.kube import Kube
from portable.provider import KubeObject, Record
from tests.contract.dns import name_server as name_servers
from tests.contract.dns.apps import compiled, target
from tests.contract.dns.name_server import NameServer
from tests.contract.dns.pebble import Pebble, forms

pytestmark = pytest.mark.contract
ZONE = "example.test"


@pytest.fixture
def settings(pebble: Pebble, name_server: NameServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AcmeSettings:
    """As a user chooses: by the environment, with no configuration file of their own."""
    monkeypatch.setenv("PORTABLE_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.setenv("PORTABLE_DNS_SERVER", name_server.address)
    monkeypatch.setenv("PORTABLE_DNS_KEY_FILE", str(name_server.key))
    monkeypatch.setenv("PORTABLE_ACME_DIRECTORY", pebble.directory)
    monkeypatch.setenv("PORTABLE_ACME_CA", str(pebble.ca))
    return AcmeSettings(pebble.directory, pebble.ca)


def account(settings: AcmeSettings) -> acme.Account:
    return acme.register(acme.new_account(settings), settings)


def secret(kube: Kube, namespace: str, name: str) -> KubeObject:
    found = kube.get("v1", "Secret", name, namespace)
    assert found is not None, name
    return found


def text(found: KubeObject, key: str) -> str:
    return base64.b64decode(found["data"][key]).decode()


def check_chain(chain: str, pebble: Pebble, host: str) -> x509.Certificate:
    """As a browser would: the host's name, the dates, and signatures up to the authority's root."""
    leaf, *between = x509.load_pem_x509_certificates(chain.encode())
    verifier = PolicyBuilder().store(Store(x509.load_pem_x509_certificates(pebble.root())))
    verifier.build_server_verifier(x509.DNSName(host)).verify(leaf, between)
    return leaf


def test_a_host_is_certified(settings: AcmeSettings, pebble: Pebble, name_server: NameServer) -> None:
    issued = acme.issue("one.example.test", Place(name_server.zones, ZONE), account(settings), settings)
    leaf = check_chain(issued.chain, pebble, "one.example.test")
    key = serialization.load_pem_private_key(issued.key.encode(), password=None)
    assert leaf.public_key() == key.public_key()  # type: ignore[union-attr]
    assert name_server.zones.records(ZONE, "_acme-challenge.one.example.test") == []


def test_a_wildcard_is_certified_and_others_challenges_stay(
    settings: AcmeSettings, pebble: Pebble, name_server: NameServer
) -> None:
    theirs = Record("_acme-challenge.any.example.test", "TXT", ("of another client",), 60)
    name_server.zones.upsert(ZONE, theirs)
    issued = acme.issue("*.any.example.test", Place(name_server.zones, ZONE), account(settings), settings)
    check_chain(issued.chain, pebble, "shop.any.example.test")
    assert name_server.zones.records(ZONE, theirs.name) == [theirs]


def test_up_makes_keeps_and_renews(settings: AcmeSettings, pebble: Pebble, kube: Kube) -> None:
    to = target("acme", {"up.example.test": "auto"})
    objects = compiled(to, kube)
    assert not ensure_certificates(
        to, kube, objects, nowhere, renew_only=True
    )  # nothing to renew, nothing agreed to yet
    assert ensure_certificates(to, kube, objects, nowhere)
    first = secret(kube, objects.namespace, "tls-up.example.test")
    assert first["type"] == "kubernetes.io/tls"
    check_chain(text(first, "tls.crt"), pebble, "up.example.test")
    registered = text(secret(kube, objects.namespace, ACCOUNT_SECRET), "uri")
    assert registered.startswith(pebble.directory.removesuffix("/dir"))

    assert not ensure_certificates(to, kube, objects, nowhere)
    assert secret(kube, objects.namespace, "tls-up.example.test")["data"] == first["data"]

    kube.apply(first | {"metadata": _named(first), "data": _near_its_end("up.example.test")})
    assert ensure_certificates(to, kube, objects, nowhere, renew_only=True)
    renewed = secret(kube, objects.namespace, "tls-up.example.test")
    check_chain(text(renewed, "tls.crt"), pebble, "up.example.test")
    assert renewed["data"] != first["data"]
    assert text(secret(kube, objects.namespace, ACCOUNT_SECRET), "uri") == registered


def test_one_that_cannot_be_renewed_is_a_warning_while_it_is_valid(
    settings: AcmeSettings, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = target("offline", {"offline.example.test": "auto"})
    objects = compiled(to, kube)
    ensure_certificates(to, kube, objects, nowhere)
    live = secret(kube, objects.namespace, "tls-offline.example.test")
    monkeypatch.setenv("PORTABLE_ACME_DIRECTORY", "https://127.0.0.1:1/dir")
    told: list[Event] = []
    assert not ensure_certificates(to, kube, objects, told.append, renew_only=True)
    (warning,) = [event.message for event in told if isinstance(event, Notice) and event.level == "warning"]
    assert warning.startswith("the certificate of offline.example.test could not be renewed and ends on 20")
    assert "https://127.0.0.1:1/dir cannot be reached" in warning
    assert secret(kube, objects.namespace, "tls-offline.example.test")["data"] == live["data"]
    kube.delete("v1", "Secret", "tls-offline.example.test", objects.namespace, propagation="Background")
    with pytest.raises(ProviderError, match="cannot be reached"):
        ensure_certificates(to, kube, objects, nowhere)


def test_one_whose_zone_went_away_is_a_warning_while_it_is_valid(
    settings: AcmeSettings, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = target("moved", {"moved.example.test": "auto"})
    objects = compiled(to, kube)
    ensure_certificates(to, kube, objects, nowhere)
    live = secret(kube, objects.namespace, "tls-moved.example.test")
    kube.apply({**live, "metadata": _named(live), "data": _near_its_end("moved.example.test")})
    monkeypatch.setenv("PORTABLE_DNS", "manual")
    told: list[Event] = []
    assert not ensure_certificates(to, kube, objects, told.append, renew_only=True)
    (warning,) = [event.message for event in told if isinstance(event, Notice) and event.level == "warning"]
    assert "there is no way to a certificate for moved.example.test" in warning


def _named(live: KubeObject) -> KubeObject:
    return {key: live["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}


def _near_its_end(host: str) -> dict[str, str]:
    """A certificate of a year of which a quarter is left."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=270))
        .not_valid_after(now + dt.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    parts = {
        "tls.crt": made.public_bytes(serialization.Encoding.PEM),
        "tls.key": key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
    }
    return {name: base64.b64encode(part).decode() for name, part in parts.items()}


def test_one_from_another_directory_is_replaced(
    settings: AcmeSettings, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = target("staging", {"staging.example.test": "auto"})
    objects = compiled(to, kube)
    ensure_certificates(to, kube, objects, nowhere)
    live = secret(kube, objects.namespace, "tls-staging.example.test")
    live["metadata"] = _named(live) | {
        "annotations": {certificates.DIRECTORY_ANNOTATION: "https://staging.example/dir"}
    }
    kube.apply({key: live[key] for key in ("apiVersion", "kind", "metadata", "type", "data")})
    assert ensure_certificates(to, kube, objects, nowhere)
    made = secret(kube, objects.namespace, "tls-staging.example.test")
    assert made["metadata"]["annotations"][certificates.DIRECTORY_ANNOTATION] == settings.directory


def test_no_key_is_logged_told_or_written(
    settings: AcmeSettings,
    pebble: Pebble,
    kube: Kube,
    name_server: NameServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.DEBUG)
    to = target("quiet", {"quiet.example.test": "auto"})
    objects = compiled(to, kube)
    told: list[Event] = []
    ensure_certificates(to, kube, objects, told.append)
    keys = [
        text(secret(kube, objects.namespace, "tls-quiet.example.test"), "tls.key"),
        text(secret(kube, objects.namespace, ACCOUNT_SECRET), "key"),
    ]
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    said = caplog.text.encode() + repr(told).encode() + pebble.log.read_bytes() + name_server.log.read_bytes()
    assert len(caplog.text) > 1000, "nothing was logged: this proves nothing"
    for form in (form for key in keys for form in forms(key)):
        assert form not in written
        assert form not in said


# When it cannot be


def test_a_proof_that_is_not_seen_is_refused_in_the_authoritys_words(settings: AcmeSettings, tmp_path: Path) -> None:
    with name_servers.serving(tmp_path, [ZONE]) as elsewhere:  # not the one that the world asks
        with pytest.raises(ProviderError, match=r"refuses a certificate for unseen\.example\.test") as caught:
            acme.issue("unseen.example.test", Place(elsewhere.zones, ZONE), account(settings), settings)
        assert elsewhere.zones.records(ZONE, "_acme-challenge.unseen.example.test") == []
    assert "unauthorized" in caught.value.detail
    assert "_acme-challenge.unseen.example.test" in caught.value.detail
    assert "name servers" in caught.value.fix


def test_a_host_that_the_authority_rejects(settings: AcmeSettings, name_server: NameServer) -> None:
    with pytest.raises(ProviderError, match="refuses a certificate") as caught:
        acme.issue("blocked.example.test", Place(name_server.zones, ZONE), account(settings), settings)
    assert "rejectedIdentifier" in caught.value.detail
    assert "another host" in caught.value.fix


def test_an_authority_that_is_not_trusted_or_not_there(settings: AcmeSettings) -> None:
    with pytest.raises(ProviderError, match="is not trusted") as caught:
        account(AcmeSettings(settings.directory))
    assert "PORTABLE_ACME_CA" in caught.value.fix
    with pytest.raises(ProviderError, match="cannot be reached"):
        account(AcmeSettings("https://127.0.0.1:1/dir"))


def test_an_account_that_the_authority_knows_is_found_again(settings: AcmeSettings) -> None:
    made = acme.new_account(settings)
    assert acme.register(made, settings).uri == acme.register(made, settings).uri


def test_a_host_without_a_zone_says_every_way_out(settings: AcmeSettings, kube: Kube) -> None:
    to = target("nowhere", {"shop.example.org": "auto"})
    objects = compiled(to, kube)
    for attempt in (
        lambda: ensure_certificates(to, kube, objects, nowhere),
        lambda: certificates.require_way(to, objects, nowhere),
    ):
        with pytest.raises(UsageError, match=r"no way to a certificate for shop\.example\.org") as caught:
            attempt()
        assert all(word in caught.value.detail + caught.value.fix for word in ("RFC 2136", "cert-manager", "secret"))


def test_a_name_of_ones_own_machine_signs_itself(settings: AcmeSettings, kube: Kube) -> None:
    to = target("local", {"shop.localhost": "auto"})
    objects = compiled(to, kube)
    certificates.require_way(to, objects, nowhere)
    assert ensure_certificates(to, kube, objects, nowhere)
    made = x509.load_pem_x509_certificate(
        text(secret(kube, objects.namespace, "tls-shop.localhost"), "tls.crt").encode()
    )
    assert made.issuer == made.subject
    assert not ensure_certificates(to, kube, objects, nowhere)
