"""The resources of a cluster's stack, from what the spec asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portable.provider import ClusterResource, ResourceType
from portable.spec.model import Cluster, Nodes
from portable_gcp import machines, naming
from portable_gcp.account import NodeAccount
from portable_gcp.cluster import Cluster as ClusterType
from portable_gcp.network import RANGE, Network, Router, Subnetwork
from portable_gcp.place import Place
from portable_gcp.pools import NodePool
from portable_gcp.session import Google
from portable_gcp.settings import AUTOPILOT, STANDARD

NETWORK = "portable:gcp:Network"
SUBNETWORK = "portable:gcp:Subnetwork"
ROUTER = "portable:gcp:Router"
ACCOUNT = "portable:gcp:NodeAccount"
CLUSTER = "portable:gcp:Cluster"
POOL = "portable:gcp:NodePool"

# https://cloud.google.com/kubernetes-engine/pricing, https://cloud.google.com/nat/pricing
_CONTROL_PLANE = f"about ${machines.CONTROL_PLANE:.2f} per hour for the control plane"
_AUTOPILOT = f"{_CONTROL_PLANE}, and what the pods request (list price of 2025)"
_STANDARD = f"{_CONTROL_PLANE} (list price of 2025)"
_NAT = "Cloud NAT: about $0.0014 per hour and node (at most $0.044), $0.005 per hour and address, $0.045 per GiB (list price of 2025)"


def types(google: Google) -> Mapping[str, ResourceType]:
    return {
        NETWORK: Network(google),
        SUBNETWORK: Subnetwork(google),
        ROUTER: Router(google),
        ACCOUNT: NodeAccount(google),
        CLUSTER: ClusterType(google),
        POOL: NodePool(google),
    }


def resources(cluster: Cluster, place: Place) -> list[ClusterResource]:
    """Every name is known beforehand, so nothing refers to another's output; the order is by `depends_on`."""
    common = {"cluster": cluster.name, "project": place.project, "region": place.region}
    network = naming.network(cluster.name)
    in_network = {**common, "name": network, "network": network}
    pools = {name: _pool(name, nodes, cluster, place) for name, nodes in sorted(cluster.pools.items())}
    found = [
        ClusterResource(NETWORK, "network", {**common, "name": network}),
        ClusterResource(SUBNETWORK, "subnetwork", {**in_network, "range": RANGE}, depends_on=("network",)),
        ClusterResource(ACCOUNT, "node-account", {**common, "name": naming.account(cluster.name)}),
    ]
    below = ["subnetwork", "node-account"]
    if cluster.private:
        found.append(ClusterResource(ROUTER, "router", in_network, depends_on=("network",), note=_NAT))
        below.append("router")
    found.append(
        ClusterResource(
            CLUSTER,
            "cluster",
            _cluster(cluster, place, network, pools),
            depends_on=tuple(below),
            note=_STANDARD if pools else _AUTOPILOT,
        )
    )
    found += [
        ClusterResource(POOL, f"pool-{name}", pool, depends_on=("cluster",), note=_note(pool))
        for name, pool in pools.items()
    ]
    return found


def _cluster(cluster: Cluster, place: Place, network: str, pools: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": cluster.name,
        "project": place.project,
        "region": place.region,
        "mode": STANDARD if pools else AUTOPILOT,
        "version": (cluster.version or "").removeprefix("v"),
        "allow": list(cluster.allow),
        "private": cluster.private,
        "network": network,
        "account": _account(cluster, place),
        "firstPool": next(iter(pools.values()), {}),
    }


def _pool(name: str, nodes: Nodes, cluster: Cluster, place: Place) -> dict[str, Any]:
    machine = machines.pick(nodes.cpu, nodes.memory)
    return {
        "name": naming.pool(name, spot=nodes.spot),
        "pool": name,
        "cluster": cluster.name,
        "project": place.project,
        "region": place.region,
        "machine": machine.name if machine else "",
        "cpu": nodes.cpu or "",
        "memory": nodes.memory or "",
        "min": nodes.min,
        "max": nodes.max or 0,
        "spot": nodes.spot,
        "private": cluster.private,
        "account": _account(cluster, place),
        "version": (cluster.version or "").removeprefix("v"),
    }


def _account(cluster: Cluster, place: Place) -> str:
    return naming.email(place.project, naming.account(cluster.name))


def _note(pool: Mapping[str, Any]) -> str:
    """Empty where no machine is that large: the pool's check says so."""
    each = machines.price(pool["machine"])
    if each is None:
        return ""
    low, high = pool["min"] * each, (pool["max"] or pool["min"]) * each
    amount = f"${low:.2f}" if low == high else f"${low:.2f} to ${high:.2f}"
    spot = ", less for spot capacity" if pool["spot"] else ""
    return f"{pool['machine']}: about {amount} per hour{spot} ({machines.PRICED})"
