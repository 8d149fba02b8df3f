"""What GKE is told of a new node pool: a container_v1.NodePool, and the zones that it begins in."""

from __future__ import annotations

from typing import Any

from portable.provider import Inputs
from portable_gcp import naming, zones
from portable_gcp.place import place_of
from portable_gcp.session import SCOPE, Google


def first_zones(google: Google, inputs: Inputs, region: list[str]) -> list[str]:
    """Where a pool begins: rather where volumes are, as those of an earlier cluster or of the pool that this one follows."""
    if inputs["max"] or inputs["min"] % len(region) == 0:
        return region
    return zones.fixed(
        inputs["min"],
        region,
        held=zones.with_volumes(google, place_of(inputs), inputs["cluster"]),
    )


def message(inputs: Inputs, in_zones: list[str]) -> dict[str, Any]:
    """A container_v1.NodePool."""
    pool: dict[str, Any] = {
        "name": inputs["name"],
        "locations": in_zones,
        "initial_node_count": _initial(inputs, len(in_zones)),
        "management": {"auto_repair": True, "auto_upgrade": True},
        # one more first, none less: https://cloud.google.com/kubernetes-engine/docs/concepts/node-pool-upgrade-strategies
        "upgrade_settings": {"max_surge": 1, "max_unavailable": 0},
        "network_config": {"enable_private_nodes": inputs["private"]},
        "config": {
            "machine_type": inputs["machine"],
            "disk_type": "pd-balanced",
            "spot": inputs["spot"],
            "service_account": inputs["account"],
            # what a node may do is its account's roles: https://cloud.google.com/kubernetes-engine/docs/how-to/access-scopes
            "oauth_scopes": [SCOPE],
            "labels": {"portable-pool": inputs["pool"]},
            "resource_labels": naming.labels(inputs["cluster"]),
            # pods get identities of their own, and never the node's
            "workload_metadata_config": {"mode": "GKE_METADATA"},
            "shielded_instance_config": {"enable_secure_boot": True, "enable_integrity_monitoring": True},
            "metadata": {"disable-legacy-endpoints": "true"},
        },
    }
    return {**pool, "autoscaling": autoscaling(inputs)} if inputs["max"] else pool


def _initial(inputs: Inputs, in_zones: int) -> int:
    """Nodes per zone at first: at least `min` in all, unless that would be more than `max`."""
    each = -(-inputs["min"] // in_zones)
    return each if not inputs["max"] or each * in_zones <= inputs["max"] else inputs["min"] // in_zones


def autoscaling(inputs: Inputs) -> dict[str, Any]:
    if not inputs["max"]:
        return {"enabled": False}
    return {
        "enabled": True,
        "total_min_node_count": inputs["min"],
        "total_max_node_count": inputs["max"],
        "location_policy": "ANY" if inputs["spot"] else "BALANCED",
    }
