"""What Amazon EKS (Auto Mode) makes of the spec's neutral words."""

from __future__ import annotations

from portable.compile.images import OFFICIAL
from portable.provider import IdentityProfile, IngressProfile, KubeObject, Profile, StorageProfile

# Auto Mode comes without a usable class; the one that stands there asks for a driver that it does not have.
STORAGE_CLASS: KubeObject = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "portable-gp3"},
    "provisioner": "ebs.csi.eks.amazonaws.com",
    "parameters": {"encrypted": "true", "type": "gp3"},
    "reclaimPolicy": "Delete",
    "allowVolumeExpansion": True,
    # A disk is made in the zone of the pod that wants it.
    "volumeBindingMode": "WaitForFirstConsumer",
}
INGRESS_CLASS: KubeObject = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "IngressClass",
    "metadata": {"name": "portable-alb"},
    "spec": {"controller": "eks.amazonaws.com/alb"},
}
_ALB = "alb.ingress.kubernetes.io"

PROFILE = Profile(
    cloud="aws",
    aliases=("eks",),
    title="Amazon EKS",
    replicas=2,
    storage=StorageProfile(single="portable-gp3", shared=None, expandable=True, objects=(STORAGE_CLASS,)),
    ingress=IngressProfile(
        class_name="portable-alb",
        annotations={f"{_ALB}/scheme": "internet-facing", f"{_ALB}/target-type": "ip"},
        # The load balancer finds the certificate of a host in ACM by its name.
        auto_tls="annotation",
        auto_tls_annotations={f"{_ALB}/listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]', f"{_ALB}/ssl-redirect": "443"},
        tls_secrets=False,
        objects=(INGRESS_CLASS,),
    ),
    load_balancer_annotations={"service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing"},
    load_balancer_class="eks.amazonaws.com/nlb",
    # Auto Mode can enforce policy, but only once its node class says so: the cluster stack's affair.
    policy_enforced=False,
    node_autoscaling=True,
    identity=IdentityProfile(service_account_annotations={"eks.amazonaws.com/role-arn": "{identity}"}),
    images=OFFICIAL,
    unsupported={"resources.*.access=shared": "block volumes on Amazon EKS belong to one node at a time"},
)
