"""The local certificate authority: certificates for `tls: auto` on this machine.

Made once per user; its key never leaves its 0600 file. A browser accepts the certificates once the user has told the
system to trust `authority.crt`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from portable.errors import ProviderError
from portable_kind import folders

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

AUTHORITY_LIFE = dt.timedelta(days=3650)
# Apple's limit for certificates that a system trusts is 825 days, and 398 for public ones.
LEAF_LIFE = dt.timedelta(days=390)
RENEW_BEFORE = dt.timedelta(days=60)


def folder() -> Path:
    return folders.root() / "authority"


def certificate_file() -> Path:
    """The authority's certificate, to be trusted by the user's system. May not exist yet."""
    return folder() / "authority.crt"


def trust_note() -> str:
    """How to make browsers and tools accept what the authority signs, in one line."""
    return f"the certificate is signed by portable's own authority: trust {certificate_file()} (curl: --cacert)"


def certificate(hosts: Sequence[str], *, now: dt.datetime | None = None) -> tuple[str, str]:
    """(chain PEM, private key PEM) valid for `hosts`; the same one until RENEW_BEFORE its end.

    Raises ProviderError when a host is no host name or address.
    """
    now = now or dt.datetime.now(dt.UTC)
    names = tuple(sorted(set(hosts)))
    with _alone():
        authority, authority_key = _authority(now)
        file = folder() / "issued" / f"{hashlib.sha256(' '.join(names).encode()).hexdigest()[:24]}.pem"
        kept = _kept(file, authority, now)
        if kept is None:
            chain, key = _issue(names, authority, authority_key, now)
            kept = chain, key
            # The key first: a reader splits at the first certificate.
            folders.write_private(file, (key + chain).encode())
        return kept


@contextmanager
def _alone() -> Iterator[None]:
    """Two processes that both find no authority must not make one each."""
    from filelock import FileLock

    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(folder() / ".lock"):
        yield


def _authority(now: dt.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key_file, certificate_path = folder() / "authority.key", certificate_file()
    try:
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        made = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        if isinstance(key, ec.EllipticCurvePrivateKey) and made.not_valid_after_utc - now > RENEW_BEFORE:
            return made, key
    except FileNotFoundError:
        pass
    except ValueError as error:
        raise ProviderError(
            f"the certificate authority in {folder()} cannot be read: {error}",
            fix=f"delete {folder()}: a new one is made, to be trusted anew",
        ) from error
    return _make_authority(key_file, certificate_path, now)


def _make_authority(
    key_file: Path, certificate_path: Path, now: dt.datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    who = f"{os.environ.get('USER') or 'user'}@{socket.gethostname()}"[:64]
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "portable local authority"),
            x509.NameAttribute(NameOID.COMMON_NAME, who),
        ]
    )
    usage = _key_usage(certificates=True)
    made = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    folders.write_private(key_file, _key_pem(key).encode())
    folders.write_private(certificate_path, made.public_bytes(serialization.Encoding.PEM))
    # Not a secret: it is there to be copied and trusted.
    certificate_path.chmod(0o644)
    return made, key


def _kept(file: Path, authority: x509.Certificate, now: dt.datetime) -> tuple[str, str] | None:
    """An issued certificate that the present authority signed and that is not near its end."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        key, mark, chain = file.read_text().partition("-----BEGIN CERTIFICATE-----")
        leaf = x509.load_pem_x509_certificate((mark + chain).encode())
        leaf.verify_directly_issued_by(authority)
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature):
        return None
    if leaf.not_valid_after_utc - now <= RENEW_BEFORE:
        return None
    return mark + chain, key


def _issue(
    hosts: Sequence[str], authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey, now: dt.datetime
) -> tuple[str, str]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key = ec.generate_private_key(ec.SECP256R1())
    # Names count in the subjectAltName only (RFC 9525); an empty subject makes that extension critical (RFC 5280).
    names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
    leaf = (
        _builder(x509.Name([]), authority.subject, key.public_key(), now, LEAF_LIFE)
        .add_extension(names, critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    chain = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, authority))
    return chain.decode(), _key_pem(key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, life: dt.timedelta
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # An hour back: clocks of containers and virtual machines differ.
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + life)
    )


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host.encode("idna").decode() if not host.isascii() else host)
    except (ValueError, UnicodeError) as error:
        raise ProviderError(f"no certificate can be made for the host {host!r}", fix="write a host name") from error


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
