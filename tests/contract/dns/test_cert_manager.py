"""Where the cluster has cert-manager, it makes the certificates. Its types are here, by their public names; nothing acts on them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portable.certificates import cluster_issuer, ensure_certificates
from portable.dns.settings import AcmeSettings
from portable.errors import ClusterError, UsageError
from portable.events import Event, Notice
from portable.kube import Kube
from portable.provider import KubeObject
from tests.contract.dns.apps import compiled, target

pytestmark = pytest.mark.contract
GROUP = "cert-manager.io"
ACME: KubeObject = {"acme": {"server": "https://acme.example/dir", "privateKeySecretRef": {"name": "key"}}}


def definition(kind: str, scope: str) -> KubeObject:
    plural = f"{kind.lower()}s"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}],
        },
    }


@pytest.fixture(autouse=True)
def _cert_manager(kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Its types, which go afterwards with all issuers: the API server is everybody's."""
    monkeypatch.setenv("PORTABLE_CONFIG", str(tmp_path / "none.toml"))
    kinds = (definition("ClusterIssuer", "Cluster"), definition("Certificate", "Namespaced"))
    for made in kinds:
        kube.apply(made)
    for made in kinds:
        _wait_served(kube, made["spec"]["names"]["plural"])
    yield
    for made in kinds:
        name = made["metadata"]["name"]
        kube.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", name)
        assert kube.wait_gone("apiextensions.k8s.io/v1", "CustomResourceDefinition", name, timeout=60)


def _wait_served(kube: Kube, plural: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            kube.raw("GET", f"/apis/{GROUP}/v1/{plural}")
            return
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def issuer(kube: Kube, name: str, spec: KubeObject) -> None:
    kube.apply({"apiVersion": f"{GROUP}/v1", "kind": "ClusterIssuer", "metadata": {"name": name}, "spec": spec})


def test_its_issuer_is_asked_for_a_certificate(kube: Kube) -> None:
    issuer(kube, "letsencrypt", ACME)
    issuer(kube, "for-webhooks", {"selfSigned": {}})  # no public authority
    to = target("managed", {"shop.managed.example.test": "auto"})
    objects = compiled(to, kube)
    told: list[Event] = []
    assert not ensure_certificates(to, kube, objects, told.append)
    asked = kube.get(f"{GROUP}/v1", "Certificate", "tls-shop.managed.example.test", objects.namespace)
    assert asked is not None
    assert asked["spec"] == {
        "secretName": "tls-shop.managed.example.test",
        "dnsNames": ["shop.managed.example.test"],
        "issuerRef": {"kind": "ClusterIssuer", "name": "letsencrypt"},
    }
    assert asked["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "portable"
    assert [event.message for event in told if isinstance(event, Notice)] == [
        "cert-manager makes the certificate of shop.managed.example.test (issuer letsencrypt)"
    ]


def test_of_several_issuers_the_user_names_one(kube: Kube) -> None:
    issuer(kube, "production", ACME)
    issuer(kube, "staging", ACME)
    issuer(kube, "internal", {"ca": {"secretName": "ca"}})
    with pytest.raises(UsageError, match="several ClusterIssuers for ACME: production, staging") as caught:
        cluster_issuer(kube, AcmeSettings())
    assert "PORTABLE_ACME_ISSUER" in caught.value.fix
    assert cluster_issuer(kube, AcmeSettings(issuer="internal")) == "internal"
    with pytest.raises(UsageError, match="no ClusterIssuer 'other'"):
        cluster_issuer(kube, AcmeSettings(issuer="other"))


def test_without_a_public_issuer_nobody_is_asked(kube: Kube) -> None:
    issuer(kube, "for-webhooks", {"selfSigned": {}})
    assert cluster_issuer(kube, AcmeSettings()) is None
