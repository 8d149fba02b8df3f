"""What the cluster stack of an AKS cluster holds."""

from __future__ import annotations

from typing import Any

from portable.errors import SpecError
from portable.provider import ClusterResource, Ref
from portable.spec.model import Cluster, Nodes
from portable_azure import ACCESS, AUDIT, CLUSTER, GROUP, POOL, ROLE, audit, configuration, names, roles, sizes

# East US, pay as you go. Which of them were looked up, and when: docs/azure.md.
PRICES = "list price, 2026"
AUTOMATIC_NOTE = (
    f"AKS Automatic: about $0.16 per hour for the cluster, and the machines that pods need, with a surcharge ({PRICES})"
)
STANDARD_NOTE = (
    f"AKS Standard: about $0.10 per hour for the control plane, $0.10 per hour for one system node ({PRICES})"
)

AUDIT_NOTE = f"audit log: about $0.26 for each GiB written, kept for {audit.DAYS} days ({PRICES})"


def of(cluster: Cluster, subscription: str) -> tuple[ClusterResource, ...]:
    """Raises SpecError for a pool that no machine type fits, ProviderError where no location is chosen."""
    name = cluster.name
    common = {"subscription": subscription, "owner": names.stack(name)}
    located = {**common, "location": configuration.location(cluster.region)}
    group, data = names.group(name), names.data_group(name)
    cluster_id = names.cluster_id(subscription, group, name)
    made = {
        **located,
        "name": name,
        "group": group,
        "automatic": not cluster.pools,
        "version": cluster.version or "",
        "allow": sorted(cluster.allow),
    }
    disks = {
        "subscription": subscription,
        "name": f"{name}-disks",
        "place": names.group_id(subscription, data),
        "role": roles.CONTRIBUTOR,
        "principal": Ref("cluster", "principal"),
    }
    access = {
        "subscription": subscription,
        "name": f"{name}-access",
        "place": cluster_id,
        "role": roles.CLUSTER_ADMIN,
        "principal": roles.CALLER,
        "group": group,
        "cluster": name,
    }
    log = {
        **located,
        "name": f"{name}-audit",
        "account": audit.account(subscription, name),
        "cluster": cluster_id,
        "group": group,
        "categories": sorted(audit.CATEGORIES),
        "days": audit.DAYS,
    }
    return (
        ClusterResource(GROUP, "group", {**located, "name": group}),
        ClusterResource(GROUP, "data", {**located, "name": data}),
        ClusterResource(
            CLUSTER, "cluster", made, depends_on=("group",), note=STANDARD_NOTE if cluster.pools else AUTOMATIC_NOTE
        ),
        ClusterResource(ROLE, "disks", disks, depends_on=("data",)),
        ClusterResource(ACCESS, "access", access, depends_on=("cluster",)),
        ClusterResource(AUDIT, "audit", log, depends_on=("cluster",), note=AUDIT_NOTE),
        *_pools(cluster, {**common, "cluster": name, "group": group}),
    )


def _pools(cluster: Cluster, common: dict[str, Any]) -> list[ClusterResource]:
    types = {name: sizes.fitting(pool.cpu, pool.memory) for name, pool in cluster.pools.items()}
    problems = [
        sizes.problem(name, cluster.pools[name].cpu, cluster.pools[name].memory) for name in types if not types[name]
    ]
    if problems:
        raise SpecError(problems)
    return [
        ClusterResource(
            POOL,
            f"pool-{name}",
            {**common, "name": name, "vmSize": types[name], "min": pool.min, "max": pool.max or 0, "spot": pool.spot},
            depends_on=("cluster",),
            note=_note(name, types[name] or "", pool),
        )
        for name, pool in cluster.pools.items()
    ]


def _note(name: str, machine: str, pool: Nodes) -> str:
    count = f"{pool.min} to {pool.max}" if pool.max else str(pool.min)
    price = f"about ${sizes.hourly(machine):.2f} per hour each"
    spot = ", less for spot capacity" if pool.spot else ""
    return f"node pool {name}: {count} x {machine}, {price}{spot} ({PRICES})"
