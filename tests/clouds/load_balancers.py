"""What the clouds' load balancer controllers do for an Ingress, on a cluster where none of them can run.

Each cloud's has its way to be chosen (a class, or GKE's annotation), its address, and its store of certificates. Here a copy of
the Ingress is made for kind's controller, which serves each cloud at an address of its own; the address goes into the status of the
app's Ingress, as the clouds' controllers do. Where the Ingress names hosts for TLS but no secret, the certificate is the stand-in
store's: signed by itself.
"""

from __future__ import annotations

import base64
import copy
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portable.errors import ClusterError
from portable.kube import Kube
from portable.provider import KubeObject
from tests.certificates import self_signed

_NAMESPACE = "portable-ingress"  # of kind's own controller
_COPY = "portable.dev/load-balancer-of"
_EVERY = 0.4
_READY_SECONDS = 180.0
_ANNOTATION = "kubernetes.io/ingress.class"
INGRESS = ("networking.k8s.io/v1", "Ingress")


@dataclass(frozen=True)
class LoadBalancer:
    """`serves` is the Ingress class, or what the annotation says; `address` answers on ports 80 and 443."""

    serves: str
    address: str

    @property
    def copies(self) -> str:
        """The class of its copies."""
        return _class_of_copies(self.serves)


@contextmanager
def load_balancers(kube: Kube, classes: Sequence[str]) -> Iterator[dict[str, LoadBalancer]]:
    """One for each Ingress class, by it, at work until the block ends."""
    for name in classes:
        _run_controller(kube, name)
    made = {name: LoadBalancer(name, _address(kube, _class_of_copies(name))) for name in classes}
    stop = threading.Event()
    worker = threading.Thread(target=_work, args=(kube, made, stop), daemon=True)
    worker.start()
    try:
        yield made
    finally:
        stop.set()
        worker.join()


def _class_of_copies(serves: str) -> str:
    return f"balancer-{serves.replace('.', '-')}"


def _run_controller(kube: Kube, serves: str) -> None:
    """kind's ingress controller once more, for the class of the copies, with a Service of type LoadBalancer before it."""
    live = kube.get("apps/v1", "DaemonSet", "portable-ingress", _NAMESPACE)
    assert live is not None
    name = _class_of_copies(serves)
    labels = {"app.kubernetes.io/name": name}
    template = copy.deepcopy(live["spec"]["template"])
    template["metadata"] = {"labels": labels}
    template["spec"]["hostNetwork"] = False
    container = template["spec"]["containers"][0]
    container["command"] = ["portable-ingress", f"-class={name}"]
    container["ports"] = [{"name": each["name"], "containerPort": each["containerPort"]} for each in container["ports"]]
    metadata = {"name": name, "namespace": _NAMESPACE}
    spec: dict[str, Any] = {"selector": {"matchLabels": labels}, "template": template}
    kube.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    ports = [{"name": "http", "port": 80}, {"name": "https", "port": 443}]
    service = {"type": "LoadBalancer", "selector": labels, "ports": ports}
    kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})


def _address(kube: Kube, service: str) -> str:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        live = kube.get("v1", "Service", service, _NAMESPACE)
        entries = (live or {}).get("status", {}).get("loadBalancer", {}).get("ingress", ())
        if entries:
            return entries[0]["ip"]
        time.sleep(0.2)
    raise AssertionError(f"the Service {service} got no address within {_READY_SECONDS:.0f} s")


def _work(kube: Kube, balancers: dict[str, LoadBalancer], stop: threading.Event) -> None:
    """What is on its way out, was changed meanwhile, or cannot be asked for because its cluster begins anew is looked at again."""
    while not stop.wait(_EVERY):
        with suppress(ClusterError):
            for live in kube.list(*INGRESS):
                balancer = balancers.get(_asked_for(live))
                if balancer is not None and "deletionTimestamp" not in live["metadata"]:
                    with suppress(ClusterError):
                        _serve(kube, live, balancer)


def _asked_for(live: KubeObject) -> str:
    return live["spec"].get("ingressClassName") or live["metadata"].get("annotations", {}).get(_ANNOTATION, "")


def _serve(kube: Kube, live: KubeObject, balancer: LoadBalancer) -> None:
    metadata = live["metadata"]
    owner = {"apiVersion": INGRESS[0], "kind": INGRESS[1], "name": metadata["name"], "uid": metadata["uid"]}
    place = {
        "name": f"{metadata['name']}-balancer",
        "namespace": metadata["namespace"],
        "labels": {_COPY: metadata["name"]},
        "ownerReferences": [owner],
    }
    spec: dict[str, Any] = {"ingressClassName": balancer.copies, "rules": live["spec"]["rules"]}
    if tls := live["spec"].get("tls"):
        spec["tls"] = [entry if "secretName" in entry else {**entry, "secretName": place["name"]} for entry in tls]
        stored = [host for entry in tls if "secretName" not in entry for host in entry["hosts"]]
        if stored and kube.get("v1", "Secret", place["name"], place["namespace"]) is None:
            kube.apply(_certificate(place, stored), field_manager="balancer")
    kube.apply(
        {"apiVersion": INGRESS[0], "kind": INGRESS[1], "metadata": place, "spec": spec}, field_manager="balancer"
    )
    if not live.get("status", {}).get("loadBalancer", {}).get("ingress"):
        status = {"status": {"loadBalancer": {"ingress": [{"ip": balancer.address}]}}}
        kube.merge_patch(
            *INGRESS, metadata["name"], status, metadata["namespace"], subresource="status", field_manager="balancer"
        )


def _certificate(metadata: KubeObject, hosts: Sequence[str]) -> KubeObject:
    with tempfile.TemporaryDirectory() as folder:
        files = self_signed(Path(folder), hosts)
        chain, key = (base64.b64encode(file.read_bytes()).decode() for file in files)
    data = {"tls.crt": chain, "tls.key": key}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}
