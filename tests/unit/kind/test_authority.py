from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from pathlib import Path

import pytest

from portable.errors import ProviderError
from portable_kind import authority

pytestmark = pytest.mark.unit

HOSTS = ["web.localhost", "*.shop.localhost", "127.0.0.1"]


def handshake(chain: str, key: str, host: str, folder: Path) -> dict[str, object]:
    """A real TLS connection to a server with that certificate, by a client that trusts our authority alone."""
    served = folder / "served.pem"
    served.write_text(key + chain)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(served)
    client_side = ssl.create_default_context(cafile=authority.certificate_file())
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT
    left, right = socket.socketpair()

    def serve() -> None:
        try:
            server_side.wrap_socket(left, server_side=True).close()
        except (ssl.SSLError, OSError):
            left.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client_side.wrap_socket(right, server_hostname=host) as connection:
            return dict(connection.getpeercert() or {})
    finally:
        thread.join(timeout=20)


@pytest.mark.parametrize("host", ["web.localhost", "a.shop.localhost", "127.0.0.1"])
def test_a_strict_client_that_trusts_the_authority_accepts_it(host: str, tmp_path: Path) -> None:
    assert handshake(*authority.certificate(HOSTS), host, tmp_path)


def test_another_host_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(*authority.certificate(HOSTS), "other.localhost", tmp_path)


def test_it_is_the_same_until_it_nears_its_end() -> None:
    first = authority.certificate(HOSTS)
    assert authority.certificate(list(reversed(HOSTS))) == first
    assert authority.certificate([*HOSTS, "more.localhost"]) != first
    late = dt.datetime.now(dt.UTC) + authority.LEAF_LIFE - authority.RENEW_BEFORE + dt.timedelta(hours=1)
    renewed = authority.certificate(HOSTS, now=late)
    assert renewed != first
    assert authority.certificate(HOSTS, now=late) == renewed


def test_a_new_authority_reissues_what_the_old_one_signed(tmp_path: Path) -> None:
    first = authority.certificate(HOSTS)
    for name in ("authority.key", "authority.crt"):
        (authority.folder() / name).unlink()
    second = authority.certificate(HOSTS)
    assert second != first
    assert handshake(*second, "web.localhost", tmp_path)


def test_an_authority_near_its_end_is_made_anew() -> None:
    authority.certificate(HOSTS)
    before = authority.certificate_file().read_bytes()
    authority.certificate(HOSTS, now=dt.datetime.now(dt.UTC) + authority.AUTHORITY_LIFE)
    assert authority.certificate_file().read_bytes() != before


def test_private_keys_are_for_their_owner_alone() -> None:
    authority.certificate(HOSTS)
    secret = [path for path in authority.folder().rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert len(secret) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in secret)


def test_a_damaged_authority_is_named() -> None:
    authority.certificate(HOSTS)
    (authority.folder() / "authority.key").write_text("nonsense")
    with pytest.raises(ProviderError, match="cannot be read") as caught:
        authority.certificate(HOSTS)
    assert str(authority.folder()) in caught.value.fix


def test_a_damaged_certificate_is_issued_again(tmp_path: Path) -> None:
    authority.certificate(HOSTS)
    (kept,) = (authority.folder() / "issued").iterdir()
    kept.write_text("nonsense")
    assert handshake(*authority.certificate(HOSTS), "web.localhost", tmp_path)


def test_many_processes_agree_on_one_authority() -> None:
    found: list[tuple[str, str]] = []
    threads = [threading.Thread(target=lambda: found.append(authority.certificate(HOSTS))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
