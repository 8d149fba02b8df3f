"""What Google Kubernetes Engine makes of the spec's neutral words."""

from __future__ import annotations

from portable.compile.images import OFFICIAL
from portable.provider import IdentityProfile, IngressProfile, KubeObject, Profile, StorageProfile

# https://cloud.google.com/kubernetes-engine/docs/how-to/managed-certs
MANAGED_CERTIFICATE: KubeObject = {
    "apiVersion": "networking.gke.io/v1",
    "kind": "ManagedCertificate",
    "spec": {"domains": ["{host}"]},
}

PROFILE = Profile(
    cloud="gcp",
    aliases=("gke",),
    title="Google Kubernetes Engine",
    replicas=2,
    storage=StorageProfile(
        single="standard-rwo",
        shared="standard-rwx",
        expandable=True,
        shared_note="a shared volume is a Filestore share, made and billed with at least 1 TiB whatever its size says",
    ),
    ingress=IngressProfile(
        # This controller reads the annotation only, and leaves an Ingress with ingressClassName alone.
        class_name="",
        annotations={"kubernetes.io/ingress.class": "gce"},
        # Google makes and renews it, once the host's DNS record leads to the load balancer.
        auto_tls="annotation",
        auto_tls_annotations={"networking.gke.io/managed-certificates": "{certificates}"},
        auto_tls_object=MANAGED_CERTIFICATE,
        # Google's front ends take longer than most to hear that an endpoint is going.
        drain=25,
    ),
    policy_enforced=True,
    node_autoscaling=True,
    identity=IdentityProfile(service_account_annotations={"iam.gke.io/gcp-service-account": "{identity}"}),
    images=OFFICIAL,
)
