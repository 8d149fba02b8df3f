"""What the things of a cluster are called, and how they are known to be ours."""

from __future__ import annotations

import hashlib
import re

LABEL = "portable-stack"
APP_LABEL = "portable-app"

# Both rules: https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/projects.locations.clusters (name) and NodePool.name
NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
_MOST_ACCOUNT = 30


def stack(cluster: str) -> str:
    """The label's value: as on the other clouds, but for the dot, which Google's labels do not take."""
    return f"gcp-{cluster}"


def labels(cluster: str) -> dict[str, str]:
    return {LABEL: stack(cluster)}


def description(cluster: str, region: str) -> str:
    """The mark of what has no labels (networks, routers, service accounts). Those are a project's, so the region counts too."""
    return f"{LABEL}={stack(cluster)} region={region}"


def network(cluster: str) -> str:
    return f"portable-{cluster}"


def pool(name: str, *, spot: bool) -> str:
    """Spot is part of the name: nodes cannot change over, so a pool beside takes their place before the old one goes."""
    return f"{name}-spot" if spot else name


def account(cluster: str) -> str:
    """The id of the nodes' service account: 6 to 30 characters."""
    plain = f"{cluster}-nodes"
    if 6 <= len(plain) <= _MOST_ACCOUNT:
        return plain
    digest = hashlib.sha256(cluster.encode()).hexdigest()[:6]
    return f"{cluster[: _MOST_ACCOUNT - 13]}-{digest}-nodes"


def email(project: str, account_id: str) -> str:
    """A project of a domain ("example.com:shop") is turned around in its accounts' addresses."""
    domain, _, name = project.rpartition(":")
    return (
        f"{account_id}@{name}.{domain}.iam.gserviceaccount.com"
        if domain
        else f"{account_id}@{name}.iam.gserviceaccount.com"
    )
