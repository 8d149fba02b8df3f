"""What Google Kubernetes Engine makes of the spec's neutral words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from portable.compile.images import OFFICIAL
from portable.provider import IdentityProfile, IngressProfile, KubeObject, Profile, StorageProfile
from portable_gcp import naming

if TYPE_CHECKING:
    from portable.spec.model import Cluster

DISKS = "portable-rwo"
DISK_DRIVER = "pd.csi.storage.gke.io"
ZONE_KEY = "topology.gke.io/zone"
SHARES = "portable-rwx"
SHARE_DRIVER = "filestore.csi.storage.gke.io"
# https://cloud.google.com/kubernetes-engine/docs/how-to/managed-certs
MANAGED_CERTIFICATE: KubeObject = {
    "apiVersion": "networking.gke.io/v1",
    "kind": "ManagedCertificate",
    "spec": {"domains": ["{host}"]},
}


def profile(cluster: Cluster) -> Profile:
    """Classes of our own label each disk with its cluster, so that it is found when the cluster is gone."""
    mark = f"{naming.LABEL}={naming.stack(cluster.name)}"
    disks = _storage_class(DISKS, DISK_DRIVER, {"type": "pd-balanced", "labels": mark})
    # A share lives in one network, and GKE's own class knows only the one called default.
    shares = _storage_class(
        SHARES, SHARE_DRIVER, {"tier": "standard", "network": naming.network(cluster.name), "labels": mark}
    )
    return Profile(
        cloud="gcp",
        aliases=("gke",),
        title="Google Kubernetes Engine",
        replicas=2,
        storage=StorageProfile(
            single=DISKS,
            shared="standard-rwx" if cluster.existing else SHARES,
            expandable=True,
            objects=(disks,) if cluster.existing else (disks, shares),
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


def _storage_class(name: str, driver: str, parameters: dict[str, str]) -> KubeObject:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": driver,
        "parameters": parameters,
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
        # A disk is made in the zone of the pod that wants it.
        "volumeBindingMode": "WaitForFirstConsumer",
    }
