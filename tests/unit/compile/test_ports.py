"""A version that listens on another port: who dials the Service meets each pod where it listens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from portable.compile import compile_app
from portable.compile.objects import Objects
from portable.kube import Kube
from portable.spec.model import Port, Route, Security
from tests.unit.compile.apps import PROFILE, app, compiled, main_container, manifests, workload
from tests.unit.rollout import kubelet

pytestmark = pytest.mark.contract


def listening(number: int, **rest: Any) -> Any:
    return workload(ports={"http": Port("http", 80, number)}, routes={"r": Route("r", "shop.example")}, **rest)


def test_a_new_number_changes_the_pods_and_nothing_that_leads_to_them() -> None:
    caller = workload("caller", "worker", security=Security(egress=("web",)))
    before, after = (manifests(compiled(listening(number), caller)) for number in (8080, 9090))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"Deployment/web"}


@pytest.fixture
def node(kube: Kube) -> Iterator[str]:
    """A pod without a node stands behind no Service."""
    made = kube.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "ports"}})
    yield made["metadata"]["name"]
    kube.delete("v1", "Node", "ports")


def test_the_pods_of_each_version_are_reached_on_their_own_port(kube: Kube, node: str) -> None:
    kube.apply(manifests(_objects(8080))["Namespace/shop-ports"])
    _deploy(kube, node, _objects(8080), "10.0.0.1")
    kubelet.until(lambda: _reached(kube) == {("10.0.0.1", 8080, True)})
    _deploy(kube, node, _objects(9090), "10.0.0.2", ready=False)
    kubelet.until(lambda: _reached(kube) == {("10.0.0.1", 8080, True), ("10.0.0.2", 9090, False)})


def test_a_name_that_no_container_port_may_have_is_a_number() -> None:
    ports = {
        "a-name-of-sixteen": Port("a-name-of-sixteen", 80, 8080),
        "two--dashes": Port("two--dashes", 81, 8081),
        "exactly-15-long": Port("exactly-15-long", 82, 8082, "UDP"),
    }
    objects = compiled(workload(ports=ports))
    assert main_container(objects, "Deployment/web")["ports"] == [
        {"containerPort": 8080, "protocol": "TCP"},
        {"containerPort": 8081, "protocol": "TCP"},
        {"name": "exactly-15-long", "containerPort": 8082, "protocol": "UDP"},
    ]
    assert [port["targetPort"] for port in _service(objects)["spec"]["ports"]] == [8080, 8081, "exactly-15-long"]


def test_two_names_for_one_number_share_the_first() -> None:
    objects = compiled(workload(ports={"web": Port("web", 80, 8080), "alias": Port("alias", 81, 8080)}))
    assert main_container(objects, "Deployment/web")["ports"] == [
        {"name": "alias", "containerPort": 8080, "protocol": "TCP"}
    ]
    assert {port["targetPort"] for port in _service(objects)["spec"]["ports"]} == {"alias"}


def _objects(number: int) -> Objects:
    return compile_app(replace(app(listening(number)), environment="ports"), replace(PROFILE, replicas=1))


def _service(objects: Objects) -> dict[str, Any]:
    return manifests(objects)["Service/web"]


def _deploy(kube: Kube, node: str, objects: Objects, address: str, *, ready: bool = True) -> None:
    """As a kubelet does it: the pod has an address before it is ready."""
    for name in ("ServiceAccount/web", "Service/web", "Deployment/web"):
        kube.apply(manifests(objects)[name])
    (pod,) = kubelet.pods(kube, objects.namespace, objects.workloads["web"].digest)
    name = pod["metadata"]["name"]
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"name": node}}
    kube.raw("POST", f"/api/v1/namespaces/{objects.namespace}/pods/{name}/binding", json=binding)
    named = {"status": {"podIP": address, "podIPs": [{"ip": address}]}}
    kube.merge_patch("v1", "Pod", name, named, objects.namespace, subresource="status")
    kubelet.run(kube, pod, ready=ready)


def _reached(kube: Kube) -> set[tuple[str, int, bool]]:
    """Address, port and readiness of what stands behind the Service."""
    return {
        (address, port["port"], endpoint["conditions"]["ready"])
        for each in kube.list("discovery.k8s.io/v1", "EndpointSlice", "shop-ports")
        for endpoint in each.get("endpoints") or ()
        for port in each.get("ports") or ()
        for address in endpoint["addresses"]
    }
