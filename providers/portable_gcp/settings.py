"""What a cluster is asked to be, as GKE's messages, and what about it can be put right while it lives.

https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/projects.locations.clusters
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from portable.provider import Inputs, Outputs
from portable_gcp import naming
from portable_gcp.session import SCOPE, word
from portable_gcp.versions import CHANNEL

# Beside the Admin Activity audit logs, which are always on and free: https://cloud.google.com/kubernetes-engine/docs/how-to/audit-logging
LOGGED = ("SYSTEM_COMPONENTS", "WORKLOADS")
STANDARD = "standard"
AUTOPILOT = "autopilot"


@dataclass(frozen=True)
class Setting:
    """`key`: of the outputs. `fits`: live value, wanted value -> no change needed. `update`: the one field of ClusterUpdate."""

    key: str
    want: Callable[[Inputs], Any]
    update: Callable[[Any], dict[str, Any]]
    fits: Callable[[Any, Any], bool] = lambda live, wanted: live == wanted
    standard_only: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "allow",
        lambda inputs: sorted(inputs["allow"]),
        lambda allow: {"desired_control_plane_endpoints_config": {"ip_endpoints_config": _networks(allow)}},
    ),
    Setting(
        "private",
        lambda inputs: inputs["private"],
        lambda private: {"desired_default_enable_private_nodes": private},
    ),
    Setting("channel", lambda _: CHANNEL, lambda channel: {"desired_release_channel": {"channel": channel}}),
    Setting(
        "logging",
        lambda _: list(LOGGED),
        lambda logged: {"desired_logging_config": {"component_config": {"enable_components": logged}}},
        fits=lambda live, wanted: set(live) >= set(wanted),
    ),
    Setting(
        "workloadPool",
        lambda inputs: workload_pool(inputs["project"]),
        lambda pool: {"desired_workload_identity_config": {"workload_pool": pool}},
        standard_only=True,
    ),
    Setting(
        "shielded",
        lambda _: True,
        lambda shielded: {"desired_shielded_nodes": {"enabled": shielded}},
        standard_only=True,
    ),
    Setting(
        "gateway",
        lambda _: "CHANNEL_STANDARD",
        lambda channel: {"desired_gateway_api_config": {"channel": channel}},
        standard_only=True,
    ),
)


def differing(live: Outputs, inputs: Inputs) -> list[Setting]:
    """Settings of a live cluster that are not what is asked for. Values that GKE chose by itself are no difference."""
    standard = inputs["mode"] == STANDARD
    return [
        setting
        for setting in SETTINGS
        if (standard or not setting.standard_only) and not setting.fits(live.get(setting.key), setting.want(inputs))
    ]


def workload_pool(project: str) -> str:
    return f"{project}.svc.id.goog"


def cluster_message(
    inputs: Inputs, version: str, zones: list[str], first_pool: dict[str, Any] | None
) -> dict[str, Any]:
    """The body of CreateCluster."""
    region, project = inputs["region"], inputs["project"]
    message: dict[str, Any] = {
        "name": inputs["name"],
        "resource_labels": naming.labels(inputs["name"]),
        "initial_cluster_version": version,
        "release_channel": {"channel": CHANNEL},
        "network": f"projects/{project}/global/networks/{inputs['network']}",
        "subnetwork": f"projects/{project}/regions/{region}/subnetworks/{inputs['network']}",
        "ip_allocation_policy": {"use_ip_aliases": True},
        "control_plane_endpoints_config": {
            "ip_endpoints_config": {"enabled": True, **_networks(sorted(inputs["allow"]))}
        },
        "network_config": {"default_enable_private_nodes": inputs["private"]},
        "logging_config": {"component_config": {"enable_components": list(LOGGED)}},
    }
    if inputs["mode"] == AUTOPILOT:
        defaults = {"service_account": inputs["account"], "oauth_scopes": [SCOPE]}
        return {
            **message,
            "autopilot": {"enabled": True},
            "autoscaling": {"autoprovisioning_node_pool_defaults": defaults},
        }
    message["network_config"] |= {
        "datapath_provider": "ADVANCED_DATAPATH",
        "gateway_api_config": {"channel": "CHANNEL_STANDARD"},
    }
    return {
        **message,
        "locations": zones,
        "workload_identity_config": {"workload_pool": workload_pool(project)},
        "shielded_nodes": {"enabled": True},
        "addons_config": {
            "gce_persistent_disk_csi_driver_config": {"enabled": True},
            "gcp_filestore_csi_driver_config": {"enabled": True},
            "http_load_balancing": {"disabled": False},
        },
        # a cluster is not made without nodes: its first pool comes with it
        "node_pools": [first_pool],
    }


def outputs(inputs: Inputs, live: Any) -> Outputs:
    """A live cluster (container_v1.Cluster) as the resource's outputs."""
    endpoints = live.control_plane_endpoints_config.ip_endpoints_config
    networks = endpoints.authorized_networks_config or live.master_authorized_networks_config
    return {
        **inputs,
        "uid": live.id,
        "mode": AUTOPILOT if live.autopilot.enabled else STANDARD,
        "version": live.current_master_version,
        "endpoint": live.endpoint,
        "ca": live.master_auth.cluster_ca_certificate,
        "status": word(live.status),
        "allow": sorted(block.cidr_block for block in networks.cidr_blocks) if networks.enabled else [],
        "private": bool(
            live.network_config.default_enable_private_nodes or live.private_cluster_config.enable_private_nodes
        ),
        "channel": word(live.release_channel.channel),
        "logging": [word(component) for component in live.logging_config.component_config.enable_components],
        "workloadPool": live.workload_identity_config.workload_pool,
        "shielded": live.shielded_nodes.enabled,
        "gateway": word(live.network_config.gateway_api_config.channel),
        "labels": dict(live.resource_labels),
        "zones": sorted(live.locations),
        "network": live.network.rpartition("/")[2],
    }


def _networks(allow: list[str]) -> dict[str, Any]:
    """No list at all: every address, with credentials. A list: nobody else, not even from Google's other customers."""
    blocks = [{"cidr_block": block, "display_name": "cluster.api.allow"} for block in allow]
    return {
        "authorized_networks_config": {
            "enabled": bool(allow),
            "cidr_blocks": blocks,
            "gcp_public_cidrs_access_enabled": not allow,
        }
    }
