from __future__ import annotations

from typing import Any

import pytest

from portable_kind.configuration import Configuration
from portable_kind.ports import Ports

pytestmark = pytest.mark.unit


def document(*, nodes: int = 1, cgroup_v1: bool = False) -> dict[str, Any]:
    return Configuration("dev", nodes, "kindest/node:v1.37.0", Ports(8080, 8443), "/v", cgroup_v1).document()


def test_one_node_has_the_entry_ports_on_loopback_only() -> None:
    (node,) = document()["nodes"]
    assert [(p["containerPort"], p["hostPort"], p["listenAddress"]) for p in node["extraPortMappings"]] == [
        (80, 8080, "127.0.0.1"),
        (443, 8443, "127.0.0.1"),
    ]


def test_the_ingress_controller_is_told_where_https_answers() -> None:
    assert document()["nodes"][0]["labels"]["portable.dev/https-port"] == "8443"


def test_every_node_is_in_a_zone_since_the_scheduler_passes_over_those_that_are_in_none() -> None:
    zones = [node["labels"]["topology.kubernetes.io/zone"] for node in document(nodes=3)["nodes"]]
    assert zones == ["kind"] * 3


def test_every_node_has_the_folder_of_volumes() -> None:
    nodes = document(nodes=3)["nodes"]
    assert [node["role"] for node in nodes] == ["control-plane", "worker", "worker"]
    assert all(node["extraMounts"] == [{"hostPath": "/v", "containerPath": "/var/portable/volumes"}] for node in nodes)
    assert all("extraPortMappings" not in node for node in nodes[1:])


def test_all_nodes_of_a_bigger_cluster_run_pods() -> None:
    assert "kubeadmConfigPatches" not in document()["nodes"][0]
    (patch,) = document(nodes=2)["nodes"][0]["kubeadmConfigPatches"]
    assert "InitConfiguration" in patch
    assert "taints: []" in patch


def test_cgroup_v1_is_accepted_only_where_it_is_there() -> None:
    assert "kubeadmConfigPatches" not in document()
    (patch,) = document(cgroup_v1=True)["kubeadmConfigPatches"]
    assert "failCgroupV1: false" in patch
