"""A real kind cluster for stand-in clouds to hand out: what `up` deploys "in the cloud" really runs and answers.

Real: the cluster, its pods, volumes and routes, and its API server, which asks a token webhook who calls, as those of the
clouds do. What the clouds' own controllers would do is stood in for by kind's add-ons, since those controllers work on their cloud alone:

* disks: kind's volume provisioner, once for each of the clouds' driver names, so that the clouds' storage classes work as they are
* routes: kind's ingress controller, once for each of the clouds' Ingress classes, each with an address of its own
* registries: the images are put into the node under the names that the clouds would pull. The databases are those that portable builds
  from Debian's packages, under the official images' names: nothing can be pulled here
"""

from __future__ import annotations

import copy
import json
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from portable.events import nowhere
from portable.kube import Kube
from portable.provider import KubeObject
from portable_kind import addons, docker, docker_engine, images, kind, node_images, ports
from portable_kind.configuration import Configuration
from portable_kind.profile import SELF_BUILT_IMAGES
from tests.clouds.token_webhook import TokenWebhook

_IN_NODE = "/etc/portable-webhook"
_READY_SECONDS = 180.0
_ROUTES = "portable-ingress"  # the namespace of kind's controller


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
                yield ClusterBehind(
                    name, entry["server"], entry["certificate-authority-data"], kubeconfig, kube, webhook
                )
        finally:
            kind.delete(name, folder / "kubeconfig")


def _host_address() -> str:
    """Where containers reach this machine: the gateway of Docker's own network."""
    return docker.run("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()


def _create(name: str, folder: Path, mounted: Path) -> None:
    engine = docker_engine.find()
    assert engine is not None, docker_engine.why_not()
    volumes = folder / "volumes"
    volumes.mkdir(mode=0o755)
    configuration = Configuration(
        name=name,
        nodes=1,
        image=node_images.choose("", node_images.available()),
        ports=ports.choose(None),
        volumes=str(volumes),
        cgroup_v1=engine.cgroup == "1",
    )
    document = with_webhook(configuration.document(), mounted)
    command = [str(kind.binary()), "create", "cluster", "--config", "-", "--kubeconfig", str(folder / "kubeconfig")]
    done = subprocess.run(command, input=json.dumps(document), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def with_webhook(document: dict[str, Any], mounted: Path) -> dict[str, Any]:
    """A kind configuration whose API server asks the webhook that `mounted`/config names, for each token once in two minutes."""
    changed = copy.deepcopy(document)
    changed["nodes"][0]["extraMounts"].append({"hostPath": str(mounted), "containerPath": _IN_NODE, "readOnly": True})
    volume = {"name": "webhook", "hostPath": _IN_NODE, "mountPath": _IN_NODE, "readOnly": True, "pathType": "Directory"}
    flags = {
        "authentication-token-webhook-config-file": f"{_IN_NODE}/config",
        "authentication-token-webhook-version": "v1",
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


def serve_disks(cluster: ClusterBehind, driver: str, classes: Sequence[str] = ()) -> None:
    """kind's provisioner under a cloud's `driver` name; `classes` are those that the cloud's clusters come with."""
    provisioner = cluster.kube.get("apps/v1", "Deployment", "local-path-provisioner", "local-path-storage")
    assert provisioner is not None
    name = driver.partition(".")[0] + "-" + driver.rpartition(".")[2]
    copied = _copy_of(provisioner, name)
    command = copied["spec"]["template"]["spec"]["containers"][0]["command"]
    position = next(i for i, argument in enumerate(command) if argument.startswith("--provisioner-name="))
    command[position] = f"--provisioner-name={driver}"
    cluster.kube.apply(copied)
    for each in classes:
        cluster.kube.apply(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": each},
                "provisioner": driver,
                "volumeBindingMode": "WaitForFirstConsumer",
                "reclaimPolicy": "Delete",
                "allowVolumeExpansion": True,
            }
        )


def serve_routes(cluster: ClusterBehind, ingress_class: str) -> str:
    """kind's ingress controller for one more class; returns the address where it answers on ports 80 and 443."""
    controller = cluster.kube.get("apps/v1", "DaemonSet", "portable-ingress", _ROUTES)
    assert controller is not None
    name = ingress_class.replace(".", "-")
    copied = _copy_of(controller, name)
    copied["kind"] = "Deployment"
    pod = copied["spec"]["template"]["spec"]
    pod["hostNetwork"] = False
    pod["containers"][0]["command"] = ["portable-ingress", f"-class={ingress_class}"]
    cluster.kube.apply(copied)
    cluster.kube.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": _ROUTES},
            "spec": {
                "type": "LoadBalancer",
                "selector": {"app.kubernetes.io/name": name},
                "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}],
            },
        }
    )
    return _address(cluster.kube, name)


def _copy_of(live: KubeObject, name: str) -> KubeObject:
    """A controller like `live` under another name, in the same namespace and with the same service account."""
    labels = {"app.kubernetes.io/name": name}
    template = copy.deepcopy(live["spec"]["template"])
    template["metadata"] = {"labels": labels}
    for port in (port for container in template["spec"]["containers"] for port in container.get("ports", ())):
        port.pop("hostPort", None)
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {"name": name, "namespace": live["metadata"]["namespace"]},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def _address(kube: Kube, service: str) -> str:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        live = kube.get("v1", "Service", service, _ROUTES)
        entries = (live or {}).get("status", {}).get("loadBalancer", {}).get("ingress", ())
        if entries:
            return entries[0]["ip"]
        time.sleep(0.5)
    raise AssertionError(f"the Service {service} got no address within {_READY_SECONDS:.0f} s")
