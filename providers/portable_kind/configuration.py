"""What `kind create cluster --config` is given. https://kind.sigs.k8s.io/docs/user/configuration/"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from portable_kind.docker import VOLUMES_IN_NODE
from portable_kind.ports import LOOPBACK, Ports

# kubelet refuses cgroup v1 by default since Kubernetes 1.35 (KEP-5573).
CGROUP_V1_PATCH = "kind: KubeletConfiguration\nfailCgroupV1: false\n"
# All nodes run pods, as a user of a cluster of two expects; kind itself does so for a cluster of one only.
NO_TAINTS_PATCH = "kind: InitConfiguration\nnodeRegistration:\n  taints: []\n"
# With one control plane there is nobody to hand over to. A scheduler or controller manager that a busy machine keeps from its
# lease for ten seconds would end itself, and after a reboot it would wait until its own old lease has run out. Added to the lists
# of kind's own template (pkg/cluster/internal/kubeadm/config.go, from Kubernetes 1.36 on): a merge would replace them.
_NO_ELECTION = {"name": "leader-elect", "value": "false"}
NO_ELECTION_PATCH = {
    "group": "kubeadm.k8s.io",
    "version": "v1beta4",
    "kind": "ClusterConfiguration",
    "patch": json.dumps(
        [
            {"op": "add", "path": "/controllerManager/extraArgs/-", "value": _NO_ELECTION},
            {"op": "add", "path": "/scheduler/extraArgs", "value": [_NO_ELECTION]},  # kind's is null
        ]
    ),
}
# The scheduler passes over the spread of a pod on every node that lacks one of its keys, and pods are to be spread over nodes
# and zones (kubernetes/pkg/scheduler/framework/plugins/podtopologyspread/scoring.go): without a zone they would stand anywhere.
ZONE = {"topology.kubernetes.io/zone": "kind"}


@dataclass(frozen=True)
class Configuration:
    """`volumes` is the host folder for volumes, `nodes` the number of nodes: one control-plane, the rest workers."""

    name: str
    nodes: int
    image: str
    ports: Ports
    volumes: str
    cgroup_v1: bool = False

    def document(self) -> dict[str, Any]:
        """kind's own configuration document, as a plain dict."""
        mount = {"hostPath": self.volumes, "containerPath": VOLUMES_IN_NODE}
        entry = [
            {"containerPort": inside, "hostPort": outside, "listenAddress": LOOPBACK, "protocol": "TCP"}
            for inside, outside in ((80, self.ports.http), (443, self.ports.https))
        ]
        control_plane: dict[str, Any] = {
            "role": "control-plane",
            "image": self.image,
            "extraMounts": [mount],
            "extraPortMappings": entry,
            # Where the ingress controller redirects to.
            "labels": {"portable.dev/https-port": str(self.ports.https), **ZONE},
        }
        worker = {"role": "worker", "image": self.image, "extraMounts": [mount], "labels": ZONE}
        document: dict[str, Any] = {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "name": self.name,
            "kubeadmConfigPatchesJSON6902": [NO_ELECTION_PATCH],
            "nodes": [control_plane, *(worker for _ in range(self.nodes - 1))],
        }
        if self.cgroup_v1:
            document["kubeadmConfigPatches"] = [CGROUP_V1_PATCH]
        if self.nodes > 1:
            control_plane["kubeadmConfigPatches"] = [NO_TAINTS_PATCH]
        return document
