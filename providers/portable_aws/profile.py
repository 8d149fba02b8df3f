"""What Amazon EKS makes of the spec's neutral words, with Auto Mode (no node pools) and with node pools of a size."""

from __future__ import annotations

from portable.compile.images import OFFICIAL
from portable.provider import IdentityProfile, IngressProfile, KubeObject, Profile, StorageProfile
from portable.spec.model import Cluster

STORAGE_CLASS = "portable-gp3"
# Auto Mode's driver runs on Auto Mode's nodes alone, the add-on's everywhere else.
AUTO_DRIVER = "ebs.csi.eks.amazonaws.com"
POOL_DRIVER = "ebs.csi.aws.com"

INGRESS_CLASS: KubeObject = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": "portable-alb"},
    "spec": {"controller": "eks.amazonaws.com/alb"},
}
_ALB = "alb.ingress.kubernetes.io"
_LB = "service.beta.kubernetes.io/aws-load-balancer"
_NO_ALB = (
    "with node pools Amazon EKS runs no controller for load balancers of routes; "
    "leave cluster.nodes and cluster.pools out (Auto Mode has one)"
)


def driver(cluster: Cluster) -> str:
    return POOL_DRIVER if cluster.pools else AUTO_DRIVER


def storage_class(cluster: Cluster) -> KubeObject:
    """EKS has none that works as it is. The tag says whose a disk is when its cluster is gone."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": STORAGE_CLASS},
        "provisioner": driver(cluster),
        "parameters": {
            "encrypted": "true",
            "type": "gp3",
            "tagSpecification_1": f"portable:stack=aws.{cluster.name}",
        },
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
        # A disk is made in the zone of the pod that wants it.
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def profile(cluster: Cluster) -> Profile:
    automatic = not cluster.pools
    unsupported = {"resources.*.access=shared": "block volumes on Amazon EKS belong to one node at a time"}
    return Profile(
        cloud="aws",
        aliases=("eks",),
        title="Amazon EKS",
        replicas=2,
        storage=StorageProfile(single=STORAGE_CLASS, shared=None, expandable=True, objects=(storage_class(cluster),)),
        ingress=IngressProfile(
            class_name="portable-alb",
            annotations={f"{_ALB}/scheme": "internet-facing", f"{_ALB}/target-type": "ip"},
            # The load balancer finds the certificate of a host in ACM by its name.
            auto_tls="annotation",
            auto_tls_annotations={
                f"{_ALB}/listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]',
                f"{_ALB}/ssl-redirect": "443",
            },
            tls_secrets=False,
            objects=(INGRESS_CLASS,),
        ),
        load_balancer_annotations={f"{_LB}-scheme": "internet-facing"} if automatic else {f"{_LB}-type": "nlb"},
        load_balancer_class="eks.amazonaws.com/nlb" if automatic else None,
        # Auto Mode can enforce policy, but only once its node class says so; the VPC CNI add-on is told to.
        policy_enforced=not automatic,
        node_autoscaling=automatic,
        # Bound outside the cluster: a pod identity association, see `identities`.
        identity=IdentityProfile(),
        images=OFFICIAL,
        unsupported=unsupported if automatic else {**unsupported, "workloads.*.routes": _NO_ALB},
    )
