"""Services, routes and policies."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from portable.compile.objects import Objects
from portable.errors import SpecError
from portable.provider import IngressProfile
from portable.spec.model import Container, Database, File, Port, Route, Secret, Security
from tests.unit.compile.apps import PROFILE, compiled, manifests, workload

pytestmark = pytest.mark.unit
AUTO = Route("all", "shop.example", tls="auto")


def with_ingress(**changes: Any) -> Any:
    return replace(PROFILE, ingress=replace(PROFILE.ingress, **changes))


def ingress(objects: Objects, name: str = "shop") -> dict[str, Any]:
    return manifests(objects)[f"Ingress/{name}"]


def policy(objects: Objects, name: str) -> dict[str, Any]:
    return manifests(objects)[f"NetworkPolicy/{name}"]["spec"]


def callers(objects: Objects, name: str) -> set[str]:
    """Who may connect to a workload: names, or "everyone"."""
    found: set[str] = set()
    for rule in manifests(objects).get(f"NetworkPolicy/{name}", {"spec": {}})["spec"].get("ingress", []):
        for peer in rule.get("from", [{"everyone": True}]):
            chosen = peer.get("podSelector", {})
            found.update(chosen.get("matchLabels", {}).values())
            found.update(value for each in chosen.get("matchExpressions", []) for value in each["values"])
            found.update(["everyone"] if "everyone" in peer else [])
    return found


def calling(**variables: str) -> Container:
    return Container("web", "web:1", variables=variables)


# Services


BY_OBJECT = {
    "auto_tls": "annotation",
    "auto_tls_annotations": {"certificates": "{certificates}"},
    "auto_tls_object": {"apiVersion": "certs.example/v1", "kind": "Cert", "spec": {"domains": ["{host}"]}},
}


def test_a_service_leads_to_the_port_that_the_container_listens_on() -> None:
    spec = manifests(compiled(workload()))["Service/web"]["spec"]
    assert spec["ports"] == [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": "http"}]
    assert spec["selector"] == {"portable.dev/workload": "web"}


def test_workers_and_jobs_have_none() -> None:
    found = manifests(
        compiled(workload("worker", "worker"), workload("job", "job"), workload("cron", "cron", schedule="@daily"))
    )
    assert not [name for name in found if name.startswith("Service/")]


def test_pods_of_a_stateful_workload_have_names_of_their_own() -> None:
    found = manifests(compiled(workload("queue", "stateful")))
    peers = found["Service/queue-pods"]["spec"]
    assert (peers["clusterIP"], peers["publishNotReadyAddresses"]) == ("None", True)
    assert found["StatefulSet/queue"]["spec"]["serviceName"] == "queue-pods"
    assert found["Service/queue"]["spec"]["type"] == "ClusterIP"


# Routes


def test_all_routes_share_one_ingress_with_the_longest_path_first() -> None:
    web = workload(routes={"all": AUTO, "plain": Route("plain", "plain.example")})
    api = workload("api", routes={"api": Route("api", "shop.example", path="/api", port="http", tls="auto")})
    spec = ingress(compiled(web, api))["spec"]
    assert spec["ingressClassName"] == "web"
    paths = {
        rule["host"]: [(path["path"], path["backend"]["service"]["name"]) for path in rule["http"]["paths"]]
        for rule in spec["rules"]
    }
    assert paths == {"plain.example": [("/", "web")], "shop.example": [("/api", "api"), ("/", "web")]}
    assert spec["tls"] == [{"hosts": ["shop.example"], "secretName": "tls-shop.example"}]


def test_a_certificate_of_the_plugin_is_expected_for_its_host() -> None:
    (expected,) = compiled(workload(routes={"all": AUTO})).expected
    assert (expected.name, expected.type) == ("tls-shop.example", "kubernetes.io/tls")
    assert expected.certificate_hosts == ("shop.example",)


def test_a_secret_that_a_route_names_holds_a_certificate() -> None:
    objects = compiled(workload(routes={"r": Route("r", "shop.example", tls="cert")}), resources=(Secret("cert"),))
    assert ingress(objects)["spec"]["tls"] == [{"hosts": ["shop.example"], "secretName": "cert"}]
    (expected,) = objects.expected
    assert (expected.type, expected.keys) == ("kubernetes.io/tls", ("tls.crt", "tls.key"))


def test_an_annotation_asks_only_for_the_certificates_that_it_should_make() -> None:
    profile = with_ingress(auto_tls="annotation", auto_tls_annotations={"ask": "yes"})
    web = workload(routes={"all": AUTO, "own": Route("own", "own.example", tls="cert")})
    objects = compiled(web, profile=profile, resources=(Secret("cert"),))
    assert "annotations" not in ingress(objects)["metadata"]
    automatic = ingress(objects, "shop-auto-tls")
    assert automatic["metadata"]["annotations"] == {"ask": "yes"}
    assert [rule["host"] for rule in automatic["spec"]["rules"]] == ["shop.example"]


def test_a_cloud_without_certificates_says_so() -> None:
    with pytest.raises(SpecError) as caught:
        compiled(workload(routes={"all": AUTO}), profile=with_ingress(auto_tls="unsupported"))
    assert caught.value.problems[0].message == "Testland makes no certificates by itself"
    assert caught.value.problems[0].path == "workloads.web.routes.all.tls"


def test_certificates_that_are_objects_of_the_cloud() -> None:
    other = Route("other", "a.example", tls="auto")
    plain = Route("plain", "plain.example")
    web = workload(routes={"all": AUTO, "other": other, "plain": plain})
    objects = compiled(web, profile=with_ingress(**BY_OBJECT))
    certificates = [item.manifest for item in objects.items if item.manifest["kind"] == "Cert"]
    assert [made["spec"]["domains"] for made in certificates] == [["a.example"], ["shop.example"]]
    assert [made["metadata"]["name"] for made in certificates] == ["tls-a.example", "tls-shop.example"]
    one = ingress(objects)  # a second load balancer would cost as much again
    assert one["metadata"]["annotations"]["certificates"] == "tls-a.example,tls-shop.example"
    assert "tls" not in one["spec"]
    assert objects.expected == ()


def test_a_name_of_ones_own_machine_gets_a_secret_there_too() -> None:
    local = Route("local", "shop.localhost", tls="auto")
    objects = compiled(workload(routes={"local": local}), profile=with_ingress(**BY_OBJECT))
    assert [item for item in objects.items if item.manifest["kind"] == "Cert"] == []
    assert "annotations" not in ingress(objects)["metadata"]
    assert ingress(objects)["spec"]["tls"] == [{"hosts": ["shop.localhost"], "secretName": "tls-shop.localhost"}]
    assert [secret.certificate_hosts for secret in objects.expected] == [("shop.localhost",)]


def test_a_wildcard_that_no_certificate_object_can_name_is_refused() -> None:
    anything = Route("any", "*.shop.example", tls="auto")
    with pytest.raises(SpecError) as caught:
        compiled(workload(routes={"any": anything}), profile=with_ingress(**BY_OBJECT))
    assert caught.value.problems[0].path == "workloads.web.routes.any.tls"


def test_a_cloud_that_takes_no_certificate_from_a_secret_says_so() -> None:
    web = workload(routes={"r": Route("r", "shop.example", tls="cert")})
    with pytest.raises(SpecError, match="1 error"):
        compiled(web, profile=with_ingress(tls_secrets=False), resources=(Secret("cert"),))


def test_a_class_by_annotation_leaves_the_field_away() -> None:
    profile = with_ingress(class_name="", annotations={"kubernetes.io/ingress.class": "x"})
    found = ingress(compiled(workload(routes={"all": AUTO}), profile=profile))
    assert "ingressClassName" not in found["spec"]
    assert found["metadata"]["annotations"] == {"kubernetes.io/ingress.class": "x"}


# Policies


def test_nothing_may_connect_to_what_nobody_names() -> None:
    objects = compiled(workload(), workload("api"))
    assert policy(objects, "default-deny") == {"podSelector": {}, "policyTypes": ["Ingress"]}
    assert callers(objects, "api") == set()


@pytest.mark.parametrize(
    ("address", "linked"),
    [
        ("http://api:8080/v1", True),
        ("http://api", True),
        ("api:80", True),
        ("api", True),
        ("redis://user:pw@api/0", True),
        ("a:1,api:80,b:2", True),
        ("http://api.shop.svc.cluster.local:80", True),
        ("${workloads.api.host}", True),
        ("http://apis:8080", False),
        ("http://my-api:8080", False),
        ("http://example.com/api", False),
        ("see the api", False),
        ("https://api-docs.example.com", False),
    ],
)
def test_an_address_in_a_variable_opens_the_way(address: str, linked: bool) -> None:
    objects = compiled(workload(container=calling(ADDRESS=address)), workload("api"))
    assert callers(objects, "api") == ({"web"} if linked else set())


def test_files_and_arguments_are_read_too() -> None:
    file = File("/c", content="upstream http://api:80;")
    objects = compiled(
        workload(container=Container("web", "web:1", files={"/c": file})),
        workload("tool", container=Container("tool", "t:1", args=("--api=http://api",))),
        workload("api"),
    )
    assert callers(objects, "api") == {"web", "tool"}


def test_only_the_users_of_a_database_reach_it_and_only_its_port() -> None:
    web = workload(container=calling(URL="${resources.db.url}"))
    objects = compiled(web, workload("other"), resources=(Database("db", "postgres"),))
    assert callers(objects, "db") == {"web"}
    assert policy(objects, "db")["ingress"][0]["ports"] == [{"port": 5432, "protocol": "TCP"}]


def test_to_wait_for_a_workload_is_to_connect_to_it_unless_it_is_a_job() -> None:
    objects = compiled(workload(after={"api": "ready", "job": "complete"}), workload("api"), workload("job", "job"))
    assert callers(objects, "api") == {"web"}
    assert callers(objects, "job") == set()


def test_a_route_opens_its_port_alone_to_the_controller() -> None:
    ports = {"http": Port("http", 80, 8080), "admin": Port("admin", 9000, 9000)}
    web = workload(ports=ports, routes={"r": Route("r", "shop.example", port="http")})
    assert policy(compiled(web), "web")["ingress"] == [{"ports": [{"port": "http", "protocol": "TCP"}]}]
    selector = {"namespaceSelector": {"matchLabels": {"a": "b"}}}
    rules = policy(compiled(web, profile=with_ingress(controller_selector=selector)), "web")["ingress"]
    assert rules == [{"from": [selector], "ports": [{"port": "http", "protocol": "TCP"}]}]


def test_pods_of_a_stateful_workload_reach_each_other() -> None:
    assert callers(compiled(workload("queue", "stateful")), "queue") == {"queue"}


def test_egress_is_open_unless_the_spec_restricts_it() -> None:
    objects = compiled(workload(), workload("api"))
    assert all(
        "Egress" not in item.manifest["spec"].get("policyTypes", ())
        for item in objects.items
        if "spec" in item.manifest
    )
    closed = workload(security=Security(egress=("api", "10.1.0.0/16")), container=calling(DB="${resources.db.host}"))
    spec = policy(compiled(closed, workload("api"), resources=(Database("db", "postgres"),)), "web")
    dns, *rest = spec["egress"]
    assert {(each["port"], each["protocol"]) for each in dns["ports"]} == {(53, "TCP"), (53, "UDP")}
    assert "to" not in dns
    reached = [each["podSelector"]["matchLabels"]["portable.dev/workload"] for rule in rest[:2] for each in rule["to"]]
    assert reached == ["api", "db"]
    assert rest[2] == {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}]}
    assert spec["policyTypes"] == ["Egress"]


def test_egress_to_nothing_leaves_only_dns() -> None:
    spec = policy(compiled(workload(security=Security(egress=()))), "web")
    assert len(spec["egress"]) == 1


def test_enforcement_is_claimed_only_where_it_is_true() -> None:
    (claimed,) = compiled(workload()).notes
    (denied,) = compiled(workload(), profile=replace(PROFILE, policy_enforced=False)).notes
    assert "are enforced" in claimed
    assert "not enforced" in denied


def test_the_ingress_class_that_a_cloud_needs_is_brought_and_kept() -> None:
    brought = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "x"}, "spec": {}}
    profile = replace(PROFILE, ingress=IngressProfile(class_name="x", auto_tls="plugin", objects=(brought,)))
    items = {item.manifest["kind"]: item for item in compiled(workload(routes={"a": AUTO}), profile=profile).items}
    assert items["IngressClass"].kept
    assert "IngressClass/x" in items["Ingress"].depends_on
    assert "IngressClass" not in {item.manifest["kind"] for item in compiled(workload(), profile=profile).items}
