"""Certificates for routes with `tls: auto` where the provider itself makes them (a local CA): put into the Secrets that the
Ingress objects name."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from portable.compile.objects import Objects
from portable.errors import UsageError
from portable.kube import Kube
from portable.provider import Provider, Routes


def ensure_certificates(kube: Kube, provider: Provider, objects: Objects, labels: Mapping[str, str]) -> bool:
    """Applies a kubernetes.io/tls Secret for every expected certificate whose content is not the provider's current one.

    Returns whether any was applied.
    """
    changed = False
    for expected in objects.expected:
        if not expected.certificate_hosts:
            continue
        if not isinstance(provider, Routes):
            raise UsageError(
                f"{provider.title} makes no certificates for `tls: auto`",
                fix="name a secret with your own certificate in the route's `tls:`",
            )
        chain, key = provider.certificate(expected.certificate_hosts)
        data = {"tls.crt": _encode(chain), "tls.key": _encode(key)}
        live = kube.get("v1", "Secret", expected.name, objects.namespace)
        if live is None or live.get("data") != data:
            kube.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": expected.name, "namespace": objects.namespace, "labels": dict(labels)},
                    "type": "kubernetes.io/tls",
                    "data": data,
                }
            )
            changed = True
    return changed


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
