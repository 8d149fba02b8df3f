"""A real kind cluster for stand-in clouds to hand out: what `up` deploys "in the cloud" really runs and answers.

Real: the cluster, its pods, volumes and routes, and its API server, which asks a token webhook who calls, as those of the
clouds do. What the clouds' own controllers would do is stood in for by kind's add-ons, since those controllers work on their cloud alone:

* disks: kind's volume provisioner, under the names of the clouds' drivers (`serve_disks`)
* routes: kind's ingress controller, once for each cloud (`tests.clouds.load_balancers`)
* registries: the images are put into the node under the names that the clouds would pull. The databases are those that portable builds
  from Debian's packages, under the official images' names: nothing can be pulled here
"""

from __future__ import annotations

import copy
import ipaddress
import json
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from portable.events import nowhere
from portable.kube import Kube
from portable_kind import addons, docker, docker_engine, images, kind, node_images, ports
from portable_kind.configuration import Configuration
from portable_kind.profile import SELF_BUILT_IMAGES
from tests.clouds.authenticator import program
from tests.clouds.token_webhook import TokenWebhook

_IN_NODE = "/etc/portable-webhook"


@dataclass(frozen=True)
class ClusterBehind:
    """`server` (a URL on loopback) and `ca` (base64 of the PEM) are what a cloud's description of the cluster carries."""

    name: str
    server: str
    ca: str
    kubeconfig: str
    kube: Kube
    webhook: TokenWebhook

    @property
    def node(self) -> str:
        return f"{self.name}-control-plane"


@contextmanager
def cluster_behind(folder: Path) -> Iterator[ClusterBehind]:
    """A cluster of one node, until the block ends. `folder` holds its volumes and configuration."""
    name = f"behind-{secrets.token_hex(3)}"
    program()  # on a new machine it is compiled for minutes, in which no API server has to wait for its webhook
    with TokenWebhook(_host_address()).serving() as webhook:
        mounted = folder / "webhook"
        mounted.mkdir()
        (mounted / "config").write_text(webhook.kubeconfig())
        try:
            _create(name, folder, mounted)
            kubeconfig = kind.kubeconfig(name)
            with Kube.connect(kubeconfig) as kube:
                entry = yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]
                addons.AddonsResource().create({"cluster": name, "uid": "", "digest": ""}, nowhere)
                _make_room(kube)
                yield ClusterBehind(
                    name, entry["server"], entry["certificate-authority-data"], kubeconfig, kube, webhook
                )
        finally:
            kind.delete(name, folder / "kubeconfig")


def _host_address() -> str:
    """Where containers reach this machine: the gateway of Docker's own network, the first address of its subnet. An engine that
    was never restarted does not name the gateway itself."""
    subnet = docker.run("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}").strip()
    return str(ipaddress.ip_network(subnet)[1])


def _create(name: str, folder: Path, mounted: Path) -> None:
    engine = docker_engine.find()
    assert engine is not None, docker_engine.why_not()
    volumes = folder / "volumes"
    volumes.mkdir(mode=0o755)
    configuration = Configuration(
        name=name,
        nodes=1,
        image=node_images.choose("", node_images.available()),
        ports=ports.Ports(0, 0),
        volumes=str(volumes),
        cgroup_v1=engine.cgroup == "1",
    )
    document = with_webhook(configuration.document(), mounted)
    command = [str(kind.binary()), "create", "cluster", "--config", "-", "--kubeconfig", str(folder / "kubeconfig")]
    for left in (2, 1, 0):
        done = subprocess.run(command, input=json.dumps(document), capture_output=True, text=True, check=False)
        if left and "port is already allocated" in done.stderr:
            continue  # kind has looked for a free one, and another cluster took it before Docker did
        assert done.returncode == 0, done.stderr
        return


def _make_room(kube: Kube) -> None:
    """Three shops ask for nearly all of two cores, and the cluster's DNS for a tenth of them that it never uses."""
    live = kube.get("apps/v1", "Deployment", "coredns", "kube-system")
    assert live is not None
    pod = live["spec"]["template"]["spec"]
    pod["containers"][0]["resources"]["requests"]["cpu"] = "10m"
    change = {"spec": {"replicas": 1, "template": {"spec": {"containers": pod["containers"]}}}}
    kube.merge_patch("apps/v1", "Deployment", "coredns", change, "kube-system")


def with_webhook(document: dict[str, Any], mounted: Path) -> dict[str, Any]:
    """A kind configuration whose API server asks the webhook that `mounted`/config names."""
    changed = copy.deepcopy(document)
    # routes are asked at their load balancers' own addresses: the host's ports are left to others
    del changed["nodes"][0]["extraPortMappings"]
    changed["nodes"][0]["extraMounts"].append({"hostPath": str(mounted), "containerPath": _IN_NODE, "readOnly": True})
    volume = {"name": "webhook", "hostPath": _IN_NODE, "mountPath": _IN_NODE, "readOnly": True, "pathType": "Directory"}
    flags = {
        "authentication-token-webhook-config-file": f"{_IN_NODE}/config",
        "authentication-token-webhook-version": "v1",
        # what a caller may do changes while `up` is at work
        "authentication-token-webhook-cache-ttl": "3s",
    }
    patch: list[dict[str, Any]] = [
        {"op": "add", "path": "/apiServer/extraArgs/-", "value": {"name": name, "value": value}}
        for name, value in flags.items()
    ]
    patch.append({"op": "add", "path": "/apiServer/extraVolumes", "value": [volume]})
    changed["kubeadmConfigPatchesJSON6902"] = [
        {
            "group": "kubeadm.k8s.io",
            "version": "v1beta4",
            "kind": "ClusterConfiguration",
            "patch": json.dumps(patch),
        }
    ]
    return changed


# -- what the clouds' own controllers would do ---------------------------------------------------------------------------


def load_images(cluster: ClusterBehind, own: Sequence[str], databases: Mapping[str, str]) -> None:
    """Puts `own` images into the node, and under each of the `databases`' names (type -> image by digest) the one built here."""
    built = {named: SELF_BUILT_IMAGES[kind_of] for kind_of, named in databases.items() if kind_of in SELF_BUILT_IMAGES}
    images.load(cluster.name, [*own, *built.values()], nowhere)
    for named, source in built.items():
        # as the kubelet looks it up: by name and digest, without the tag
        repository, _, digest = named.partition("@")
        target = images.canonical(f"{repository.rpartition(':')[0]}@{digest}")
        docker.execute(cluster.node, *images.CTR, "tag", "--force", images.canonical(source), target)


def serve_disks(kube: Kube, driver: str) -> None:
    """kind's provisioner once more, under the name of a cloud's `driver`: the cloud's own storage classes then work as they are."""
    live = kube.get("apps/v1", "Deployment", "local-path-provisioner", "local-path-storage")
    assert live is not None
    name = driver.replace(".", "-")
    labels = {"app.kubernetes.io/name": name}
    template = copy.deepcopy(live["spec"]["template"])
    template["metadata"] = {"labels": labels}
    command = template["spec"]["containers"][0]["command"]
    position = next(i for i, argument in enumerate(command) if argument.startswith("--provisioner-name="))
    command[position] = f"--provisioner-name={driver}"
    metadata = {"name": name, "namespace": live["metadata"]["namespace"]}
    spec: dict[str, Any] = {"selector": {"matchLabels": labels}, "template": template}
    kube.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
