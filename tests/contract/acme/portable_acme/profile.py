"""What Acme Cloud makes of the spec's neutral words."""

from __future__ import annotations

from portable.provider import IdentityProfile, IngressProfile, Profile, StorageProfile

PROFILE = Profile(
    cloud="acme",
    title="Acme Kubernetes Engine",
    replicas=1,
    storage=StorageProfile(single="acme-disk", shared=None, expandable=True),
    ingress=IngressProfile(class_name="acme", auto_tls="plugin"),
    load_balancer_class="acme.example/balancer",
    policy_enforced=True,
    identity=IdentityProfile(),
    unsupported={"cluster.private": "Acme has no private nodes"},
    aliases=("ake",),
)
