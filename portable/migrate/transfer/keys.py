"""Keys of one migration: an authority that signs one certificate for each end and is forgotten, so that nobody else ever gets one."""

from __future__ import annotations

import base64
import datetime
import hashlib
from dataclasses import dataclass, field

LIFETIME = datetime.timedelta(days=90)
# The ends' clocks may differ.
_EARLIER = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Keys:
    """`authority` names the pair of certificates; `source` and `target` are the data of a Secret: ca.crt, tls.crt, tls.key."""

    authority: str
    source: dict[str, str] = field(repr=False)
    target: dict[str, str] = field(repr=False)


def make(migration: str) -> Keys:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime.now(datetime.UTC)
    pem = serialization.Encoding.PEM
    authority_key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"portable migration {migration}")])

    def certificate(name: x509.Name, key: ec.EllipticCurvePrivateKey, *extensions: x509.ExtensionType) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _EARLIER)
            .not_valid_after(now + LIFETIME)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(authority_key, hashes.SHA256()).public_bytes(pem)

    authority = certificate(issuer, authority_key, x509.BasicConstraints(ca=True, path_length=0))

    def end(role: str, usage: x509.ObjectIdentifier) -> dict[str, str]:
        key = ec.generate_private_key(ec.SECP256R1())
        chain = certificate(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, role)]),
            key,
            x509.BasicConstraints(ca=False, path_length=None),
            x509.SubjectAlternativeName([x509.DNSName(role)]),
            x509.ExtendedKeyUsage([usage]),
        )
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        files = {"ca.crt": authority, "tls.crt": chain, "tls.key": private}
        return {name: base64.b64encode(content).decode() for name, content in files.items()}

    return Keys(
        authority=hashlib.sha256(authority).hexdigest()[:16],
        source=end("source", ExtendedKeyUsageOID.CLIENT_AUTH),
        target=end("target", ExtendedKeyUsageOID.SERVER_AUTH),
    )
