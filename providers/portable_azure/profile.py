"""What Azure Kubernetes Service makes of the spec's neutral words."""

from __future__ import annotations

from portable.compile.images import OFFICIAL
from portable.provider import IdentityProfile, IngressProfile, Profile, StorageProfile

PROFILE = Profile(
    cloud="azure",
    aliases=("aks",),
    title="Azure Kubernetes Service",
    replicas=2,
    storage=StorageProfile(single="managed-csi", shared="azurefile-csi", expandable=True),
    ingress=IngressProfile(
        class_name="webapprouting.kubernetes.azure.com",
        controller_selector={
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "app-routing-system"}}
        },
        auto_tls="plugin",
    ),
    policy_enforced=True,
    node_autoscaling=True,
    identity=IdentityProfile(
        service_account_annotations={"azure.workload.identity/client-id": "{identity}"},
        pod_labels={"azure.workload.identity/use": "true"},
    ),
    images=OFFICIAL,
)
