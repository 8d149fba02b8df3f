"""Google's ManagedCertificate type, which every GKE cluster knows, for a cluster that does not.

Written after its public API reference (names of one to a hundred hosts, no wildcards); nothing acts on the objects.
https://cloud.google.com/kubernetes-engine/docs/how-to/managed-certs
"""

from __future__ import annotations

import time

from portable.errors import ClusterError
from portable.kube import Kube
from portable.provider import KubeObject

_SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "domains": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 100,
                    "items": {
                        "type": "string",
                        "maxLength": 63,
                        "pattern": r"^(([a-z0-9]+|[a-z0-9][-a-z0-9]*[a-z0-9])\.)+[a-z]+$",
                    },
                }
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}
DEFINITION: KubeObject = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "managedcertificates.networking.gke.io",
        "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
    },
    "spec": {
        "group": "networking.gke.io",
        "scope": "Namespaced",
        "names": {
            "kind": "ManagedCertificate",
            "listKind": "ManagedCertificateList",
            "plural": "managedcertificates",
            "singular": "managedcertificate",
            "shortNames": ["mcrt"],
        },
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": _SCHEMA}}],
    },
}


def define(kube: Kube, *, seconds: float = 60.0) -> None:
    """Makes the type known, and waits until the API server serves it."""
    kube.apply(DEFINITION)
    deadline = time.monotonic() + seconds
    while True:
        try:
            kube.raw("GET", "/apis/networking.gke.io/v1/managedcertificates")
            return
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
