"""What kind makes of the spec's neutral words."""

from __future__ import annotations

from portable.compile.images import OFFICIAL
from portable.provider import IngressProfile, Profile, StorageProfile

# Built from Debian's packages for closed networks: user 999, the official images' variables, STOPSIGNAL SIGINT for postgres.
POSTGRES_IMAGE = "portable/postgres:15-bookworm"
REDIS_IMAGE = "portable/redis:7.0-bookworm"
# Moves volumes for `portable migrate`: a program of ours with Debian's rsync.
MOVER_IMAGE = "portable/mover:bookworm"
SELF_BUILT_IMAGES = {
    "postgres": POSTGRES_IMAGE,
    "postgres:15": POSTGRES_IMAGE,
    "redis": REDIS_IMAGE,
    "redis:7": REDIS_IMAGE,
}

# One host folder in all nodes, so that a volume follows its pod, serves several and outlives the cluster.
STORAGE_CLASS = "portable"
INGRESS_CLASS = "portable"


def profile(*, self_built: bool) -> Profile:
    """`self_built`: the node image is our own, whose network enforces no policy, and database images are built here too."""
    return Profile(
        cloud="kind",
        title="kind",
        replicas=1,
        storage=StorageProfile(single=STORAGE_CLASS, shared=STORAGE_CLASS, expandable=True),
        ingress=IngressProfile(class_name=INGRESS_CLASS, auto_tls="plugin", drain=5),
        policy_enforced=not self_built,
        images=SELF_BUILT_IMAGES if self_built else OFFICIAL,
        unsupported={
            "workloads.*.identity": "a kind cluster has no cloud identities",
            "cluster.pools": "a kind cluster's nodes are all alike: cluster.nodes.min is their number",
            "cluster.region": "a kind cluster is on this machine; name the region in an environment of its own",
            "cluster.api": "a kind cluster's API server listens on this machine only",
            "cluster.private": "a kind cluster's nodes are containers on this machine",
            "cluster.nodes.max": "a kind cluster has as many nodes as cluster.nodes.min says, and does not grow",
            "cluster.nodes.cpu": "kind's nodes are containers that share this machine",
            "cluster.nodes.memory": "kind's nodes are containers that share this machine",
            "cluster.nodes.spot": "kind's nodes are containers on this machine",
        },
    )
