"""Certificates for routes with `tls: auto`, put where the Ingress looks for them.

In Secrets, if the profile says "plugin": the provider's own (a local authority); one that signs itself for names of this machine;
cert-manager's where the cluster has it; else one by ACME, proven in the host's DNS zone. Clouds with a store of certificates:
see `certificate_stores`.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portable.compile.network import is_local
from portable.compile.objects import ExpectedSecret, Objects
from portable.dns.places import find_place, services
from portable.dns.settings import AcmeSettings, acme_settings
from portable.errors import ClusterError, ProviderError, UsageError
from portable.events import Emit, Notice
from portable.kube import Kube
from portable.provider import KubeObject, Routes
from portable.situation import namespace_labels
from portable.target import Target

if TYPE_CHECKING:
    from cryptography import x509

    from portable.acme import Account

ACCOUNT_SECRET = "portable-acme-account"
DIRECTORY_ANNOTATION = "portable.dev/acme-directory"
_SELF_SIGNED_LIFE = dt.timedelta(days=365)


def ensure_certificates(target: Target, kube: Kube, objects: Objects, emit: Emit, *, renew_only: bool = False) -> bool:
    """Makes every expected certificate that is near its end or (unless `renew_only`) missing. Returns whether any was written.

    Raises ProviderError with an authority's own words, and UsageError where there is no way to a certificate.
    """
    live: Mapping[str, KubeObject] = {}
    wanted = [secret for secret in objects.expected if secret.certificate_hosts]
    if wanted:
        live = {secret["metadata"]["name"]: secret for secret in kube.list("v1", "Secret", objects.namespace)}
    changed = False
    for expected in wanted:
        if renew_only and expected.name not in live:
            continue
        made = _make_or_warn(target, kube, objects, expected, live.get(expected.name), emit)
        if made is not None:
            kube.apply(made)
            changed = True
    return changed


def require_way(target: Target, objects: Objects, emit: Emit, kube: Kube | None = None) -> None:
    """Before anything is made: that certificates that are still to come will have a zone to be proven in, or cert-manager in the
    cluster. `kube` None: there is no cluster yet. Raises UsageError, and ProviderError for a DNS server that the user named."""
    hosts = [] if isinstance(target.provider, Routes) else _without_certificate(objects, kube)
    if not hosts or (kube is not None and cluster_issuer(kube, acme_settings())):
        return
    among = services(target.provider, target.app.cluster)
    for host in hosts:
        if find_place(among, host, emit) is None:
            raise _no_way(target, host)


def _without_certificate(objects: Objects, kube: Kube | None) -> list[str]:
    """Hosts that nothing valid is there for; what only nears its end is no reason to stop."""
    wanted = [expected for expected in objects.expected if expected.certificate_hosts]
    live: Mapping[str, KubeObject] = {}
    if wanted and kube is not None:
        live = {secret["metadata"]["name"]: secret for secret in kube.list("v1", "Secret", objects.namespace)}
    return [
        host
        for expected in wanted
        for host in expected.certificate_hosts
        if not is_local(host) and not _serves(live.get(expected.name), host)
    ]


def _make_or_warn(
    target: Target, kube: Kube, objects: Objects, expected: ExpectedSecret, live: KubeObject | None, emit: Emit
) -> KubeObject | None:
    """As `_make`; while the live certificate is valid, one that could not be renewed is a warning and keeps nothing from going on."""
    try:
        return _make(target, kube, objects, expected, live, emit)
    except (ProviderError, UsageError) as error:
        host, found = expected.certificate_hosts[0], _validity(live)
        if found is None or not _serves(live, host):
            raise
        words = f"the certificate of {host} could not be renewed and ends on {found.end:%Y-%m-%d}"
        emit(Notice("\n".join(filter(None, (f"{words}: {error.message}", error.detail, error.fix))), "warning"))
        return None


def _make(
    target: Target, kube: Kube, objects: Objects, expected: ExpectedSecret, live: KubeObject | None, emit: Emit
) -> KubeObject | None:
    """The Secret to apply; None where the live one is good, or where somebody in the cluster makes it."""
    host = expected.certificate_hosts[0]
    if isinstance(target.provider, Routes):
        chain, key = target.provider.certificate(expected.certificate_hosts)
        made = _secret(objects, expected.name, chain, key)
        return made if live is None or live.get("data") != made["data"] else None
    settings = acme_settings()
    if _is_good(live, host, settings):
        return None
    if is_local(host):
        chain, key = self_signed(host)
        return _secret(objects, expected.name, chain, key)
    if issuer := cluster_issuer(kube, settings):
        kube.apply(_certificate_request(objects, expected.name, host, issuer))
        emit(Notice(f"cert-manager makes the certificate of {host} (issuer {issuer})"))
        return None
    return _by_acme(target, kube, objects, expected.name, host, settings, emit)


def _secret(
    objects: Objects, name: str, chain: str, key: str, annotations: Mapping[str, str] | None = None
) -> KubeObject:
    metadata: KubeObject = {"name": name, "namespace": objects.namespace, "labels": dict(namespace_labels(objects))}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata | ({"annotations": dict(annotations)} if annotations else {}),
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": _encode(chain), "tls.key": _encode(key)},
    }


# What is there


@dataclass(frozen=True)
class Validity:
    """`good_for`: whether two thirds of its life are not over yet, the time to renew that authorities name."""

    hosts: tuple[str, ...]
    start: dt.datetime
    end: dt.datetime

    def covers(self, host: str) -> bool:
        return host in self.hosts or f"*.{host.partition('.')[2]}" in self.hosts

    def good_for(self, host: str, now: dt.datetime) -> bool:
        return self.covers(host) and self.end - now > (self.end - self.start) / 3


def validity(chain: bytes) -> Validity | None:
    """Of the first certificate of a PEM text; None where there is none."""
    from cryptography import x509

    try:
        leaf = x509.load_pem_x509_certificate(chain)
    except ValueError:
        return None
    return Validity(_hosts(leaf), leaf.not_valid_before_utc, leaf.not_valid_after_utc)


def _hosts(leaf: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.get_values_for_type(x509.DNSName))


def _is_good(live: KubeObject | None, host: str, settings: AcmeSettings) -> bool:
    if live is None:
        return False
    made_by = (live["metadata"].get("annotations") or {}).get(DIRECTORY_ANNOTATION)
    if made_by is not None and made_by != settings.directory:
        return False  # one from the staging directory is not what the real one gives
    found = _validity(live)
    return found is not None and found.good_for(host, dt.datetime.now(dt.UTC))


def _serves(live: KubeObject | None, host: str) -> bool:
    found = _validity(live)
    return found is not None and found.covers(host) and found.end > dt.datetime.now(dt.UTC)


def _validity(live: KubeObject | None) -> Validity | None:
    return validity(base64.b64decode(((live or {}).get("data") or {}).get("tls.crt", "")))


# A name of this machine


def self_signed(host: str) -> tuple[str, str]:
    """(certificate PEM, key PEM) that signs itself: no authority certifies names below `.localhost`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host[:64])])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + _SELF_SIGNED_LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return made.public_bytes(serialization.Encoding.PEM).decode(), pem.decode()


# cert-manager


def cluster_issuer(kube: Kube, settings: AcmeSettings) -> str | None:
    """The ClusterIssuer to ask: the one that the settings name, else the only one for ACME; None where there is none.

    Raises UsageError where there are several to choose from, or the named one is not there.
    """
    try:
        found = kube.list("cert-manager.io/v1", "ClusterIssuer")
    except ClusterError as error:
        if error.status != 404:
            raise
        found = []
    names = sorted(issuer["metadata"]["name"] for issuer in found)
    if settings.issuer:
        if settings.issuer not in names:
            raise UsageError(
                f"the cluster has no ClusterIssuer {settings.issuer!r}",
                detail=f"it has: {', '.join(names) or 'none'}",
                fix="see PORTABLE_ACME_ISSUER",
            )
        return settings.issuer
    public = sorted(issuer["metadata"]["name"] for issuer in found if "acme" in issuer["spec"])
    if len(public) > 1:
        raise UsageError(
            f"the cluster has several ClusterIssuers for ACME: {', '.join(public)}",
            fix="name one: PORTABLE_ACME_ISSUER",
        )
    return public[0] if public else None


def _certificate_request(objects: Objects, name: str, host: str, issuer: str) -> KubeObject:
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": name, "namespace": objects.namespace, "labels": dict(namespace_labels(objects))},
        "spec": {"secretName": name, "dnsNames": [host], "issuerRef": {"kind": "ClusterIssuer", "name": issuer}},
    }


# ACME


def _by_acme(
    target: Target, kube: Kube, objects: Objects, name: str, host: str, settings: AcmeSettings, emit: Emit
) -> KubeObject:
    from portable import acme

    place = find_place(services(target.provider, target.app.cluster), host, emit)
    if place is None:
        raise _no_way(target, host)
    emit(Notice(f"asking {settings.directory} for a certificate for {host} (usually 10-60 s)"))
    account = _account(kube, objects, settings)
    issued = acme.issue(host, place, account, settings)
    return _secret(objects, name, issued.chain, issued.key, {DIRECTORY_ANNOTATION: settings.directory})


def _no_way(target: Target, host: str) -> UsageError:
    return UsageError(
        f"there is no way to a certificate for {host}: nothing that portable may write to has its DNS zone",
        detail=f"looked for the zone of {host} on {target.provider.title}, and at PORTABLE_DNS_SERVER (RFC 2136), and for"
        " cert-manager in the cluster",
        fix="put the zone there, or install cert-manager with a ClusterIssuer, or name a secret with your own certificate in the"
        " route's `tls:`",
    )


def _account(kube: Kube, objects: Objects, settings: AcmeSettings) -> Account:
    """The app's account at the authority, from its Secret; the key is kept before it is registered, so that it is not lost."""
    from portable import acme

    live = kube.get("v1", "Secret", ACCOUNT_SECRET, objects.namespace)
    data = {key: base64.b64decode(value).decode() for key, value in ((live or {}).get("data") or {}).items()}
    account = acme.new_account(settings)
    if data.get("directory") == settings.directory:
        account = acme.Account(settings.directory, data["key"], data.get("uri", ""))
    if not account.uri:
        kube.apply(_account_secret(objects, account))
        account = acme.register(account, settings)
        kube.apply(_account_secret(objects, account))
    return account


def _account_secret(objects: Objects, account: Account) -> KubeObject:
    values = {"directory": account.directory, "key": account.key, "uri": account.uri}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": ACCOUNT_SECRET,
            "namespace": objects.namespace,
            "labels": dict(namespace_labels(objects)),
        },
        "type": "Opaque",
        "data": {key: _encode(value) for key, value in values.items()},
    }


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
