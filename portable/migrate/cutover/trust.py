"""Whose certificates count: those of this machine's trust store; for names of one's own machine, which nobody certifies, those that
portable made for them."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

from portable.compile.network import is_local
from portable.migrate.sides import Side
from portable.provider import Routes


def authorities(side: Side, host: str) -> str:
    """PEM of what is trusted for `host` on this side; empty: anything, since nobody can certify it."""
    if isinstance(side.app.provider, Routes) or is_local(host):
        return _own(side, host)
    return _machine()


def context(side: Side, host: str) -> ssl.SSLContext:
    trusted = authorities(side, host)
    if not trusted:
        found = ssl.create_default_context()
        found.check_hostname, found.verify_mode = False, ssl.CERT_NONE
        return found
    return ssl.create_default_context(cadata=trusted)


def _own(side: Side, host: str) -> str:
    """The chain in the Secret that `up` made for the host: it ends with the authority that signed it, or signs itself."""
    for secret in side.objects.expected:
        if host in secret.certificate_hosts:
            live = side.kube.get("v1", "Secret", secret.name, side.namespace)
            if live is not None:
                return base64.b64decode(live["data"]["tls.crt"]).decode()
    return ""


def _machine() -> str:
    """As OpenSSL finds it, SSL_CERT_FILE and SSL_CERT_DIR included; from a folder certificates are loaded when they are needed."""
    store = ssl.create_default_context()
    folder = ssl.get_default_verify_paths().capath
    if not store.get_ca_certs() and folder:
        for file in sorted(Path(folder).glob("*.0")):
            store.load_verify_locations(cafile=str(file))
    return "".join(ssl.DER_cert_to_PEM_cert(found) for found in store.get_ca_certs(binary_form=True))
