"""The stand-in as the SDK meets it: over TLS, with the SDK's own environment variables, on loopback.

with serving(AzureService()) as world:
    subprocess.run(["portable", ...], env=os.environ | world.environment)
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.clouds.azure.entra import CLIENT, SECRET, TENANT
from tests.clouds.azure.service import SUBSCRIPTION, AzureService
from tests.clouds.front import Front


@dataclass(frozen=True)
class World:
    """`environment`: what points the SDK here. `folder` is empty but for the certificate; it stands for ~/.azure too."""

    front: Front
    service: AzureService
    environment: dict[str, str]
    folder: Path


@contextmanager
def serving(service: AzureService, location: str = "westeurope") -> Iterator[World]:
    """Where the service has no API server of its own to hand out, its few lines are reached by the same certificate."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        context = certified(folder)
        if not service.endpoint:
            service.authority = (folder / "ca.pem").read_text()
        with Front(service, tls=context).serving() as front:
            yield World(front, service, environment(front, folder, location=location), folder)


def certified(folder: Path) -> ssl.SSLContext:
    """What a server on 127.0.0.1 shows; what to trust it by is left in ca.pem."""
    certificate, key = _certificate()
    (folder / "ca.pem").write_text(certificate)
    (folder / "server.pem").write_text(key + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    (folder / "server.pem").unlink()
    return context


def environment(
    front: Front, folder: Path, *, location: str = "westeurope", subscription: str = SUBSCRIPTION
) -> dict[str, str]:
    return {
        "AZURE_AUTHORITY_HOST": front.url,
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_CLIENT_SECRET": SECRET,
        "AZURE_SUBSCRIPTION_ID": subscription,
        "AZURE_DEFAULTS_LOCATION": location,
        "AZURE_CONFIG_DIR": str(folder),
        # nothing but the variables above is asked: no metadata service, no CLI
        "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential",
        "PORTABLE_AZURE_ENDPOINT": front.url,
        "REQUESTS_CA_BUNDLE": str(folder / "ca.pem"),
    }


@cache
def _certificate() -> tuple[str, str]:
    """(certificate, key) PEM of a server on 127.0.0.1 that is its own authority; made once for the process."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stand-in Azure")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), pem
