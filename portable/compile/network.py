"""Services, the Ingress, and NetworkPolicies: who may reach what (docs/decisions/0003-network-policy.md)."""

from __future__ import annotations

import copy
import ipaddress
import json
from collections.abc import Iterable, Mapping
from typing import Any

from portable.compile.names import WORKLOAD_LABEL, metadata, selector
from portable.compile.objects import ExpectedSecret, RouteTarget
from portable.compile.outputs import PORTS
from portable.compile.ports import pod_ports
from portable.compile.scaling import LONG_RUNNING
from portable.compile.scope import Scope
from portable.provider import KubeObject
from portable.spec.model import App, Database, Port, Route, Workload

DENY_ALL = "default-deny"
_DNS = {"ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}


def service(app: App, name: str, ports: Mapping[Port, str | int]) -> KubeObject:
    """The stable address of a workload or database: other workloads dial its name. `ports`: with the pods' port behind each."""
    listed = [
        {"name": port.name, "port": port.port, "protocol": port.protocol, "targetPort": target}
        for port, target in ports.items()
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(app, name, name),
        "spec": {"type": "ClusterIP", "selector": selector(name), "ports": listed},
    }


def peers_name(workload: Workload) -> str:
    return f"{workload.name}-pods"


def peers(app: App, workload: Workload) -> KubeObject:
    """The headless Service that gives a StatefulSet's pods names of their own; they find each other before they are ready."""
    found = service(app, workload.name, pod_ports(workload))
    found["metadata"] = metadata(app, peers_name(workload), workload.name)
    spec = {"clusterIP": "None", "publishNotReadyAddresses": True} | found["spec"]
    if not spec["ports"]:
        del spec["ports"]
    return found | {"spec": spec}


# Routes


def is_local(host: str) -> bool:
    """A name of the user's own machine (RFC 6761): in no DNS, and no public authority certifies it."""
    return host == "localhost" or host.endswith(".localhost")


def check(scope: Scope, workload: Workload) -> None:
    ingress = scope.profile.ingress
    for route in workload.routes.values():
        place = ("workloads", workload.name, "routes", route.name, "tls")
        if route.tls == "auto" and ingress.auto_tls == "unsupported":
            scope.problem(place, f"{scope.profile.title} makes no certificates by itself", expected="a secret")
        if route.tls not in (None, "auto") and not ingress.tls_secrets:
            scope.problem(
                place,
                f"{scope.profile.title} keeps certificates outside the cluster and cannot take one from a secret",
                expected="tls: auto",
            )
        if ingress.auto_tls_object is not None and route.tls == "auto" and route.host.startswith("*."):
            scope.problem(
                place, f"{scope.profile.title} makes no certificates for all names below one", expected="a secret"
            )


def routes(app: App) -> tuple[RouteTarget, ...]:
    found = [
        RouteTarget(workload.name, route.name, route.host, route.path, route.tls is not None, route.tls == "auto")
        for workload in app.workloads.values()
        for route in workload.routes.values()
    ]
    return tuple(sorted(found, key=lambda route: (route.host, route.path, route.workload)))


def ingresses(scope: Scope) -> list[KubeObject]:
    """One Ingress for all routes of the app, for a cloud makes (and bills) a load balancer for each.

    A second one holds the routes whose certificates an annotation asks for: it must not ask for the others'.
    """
    everything = [(workload, route) for workload in scope.app.workloads.values() for route in workload.routes.values()]
    profile = scope.profile.ingress
    certificates = [made["metadata"]["name"] for made in certificate_objects(scope)]
    if profile.auto_tls_object is not None:
        asked = {
            key: value.replace("{certificates}", ",".join(certificates))
            for key, value in profile.auto_tls_annotations.items()
        }
        return [_ingress(scope, scope.app.name, everything, asked if certificates else {})] if everything else []
    apart = profile.auto_tls == "annotation"
    automatic = [pair for pair in everything if apart and pair[1].tls == "auto"]
    others = [pair for pair in everything if pair not in automatic] if automatic else everything
    found = [_ingress(scope, scope.app.name, others, {})] if others else []
    if automatic:
        name = scope.app.name if not others else f"{scope.app.name}-auto-tls"
        found.append(_ingress(scope, name, automatic, profile.auto_tls_annotations))
    return found


def certificate_objects(scope: Scope) -> list[KubeObject]:
    """What the cloud makes certificates of, one for each host with `tls: auto`, where it wants objects for that."""
    template = scope.profile.ingress.auto_tls_object
    if template is None:
        return []
    found = []
    for host in _automatic_hosts(scope):
        if not is_local(host):
            made = json.loads(json.dumps(template).replace("{host}", host))
            named = {"metadata": metadata(scope.app, _certificate_name(host))}
            found.append({"apiVersion": made["apiVersion"], "kind": made["kind"], **named, **made})
    return found


def _automatic_hosts(scope: Scope) -> list[str]:
    every = (route for workload in scope.app.workloads.values() for route in workload.routes.values())
    return sorted({route.host for route in every if route.tls == "auto"})


def _in_secret(scope: Scope, host: str) -> bool:
    """Whether the certificate that `tls: auto` means for this host stands in a Secret of the namespace."""
    profile = scope.profile.ingress
    return profile.auto_tls == "plugin" or (profile.auto_tls_object is not None and is_local(host))


def _ingress(
    scope: Scope, name: str, pairs: list[tuple[Workload, Route]], annotations: Mapping[str, str]
) -> KubeObject:
    profile = scope.profile.ingress
    hosts: dict[str, list[tuple[str, Workload, Route]]] = {}
    certificates: dict[str, set[str]] = {}
    for workload, route in pairs:
        hosts.setdefault(route.host, []).append((route.path, workload, route))
        by_object = profile.auto_tls_object is not None and route.tls == "auto" and not is_local(route.host)
        if route.tls is not None and not by_object:
            certificates.setdefault(_certificate(route), set()).add(route.host)
    spec: dict[str, Any] = {}
    if profile.class_name:
        spec["ingressClassName"] = profile.class_name
    spec["rules"] = [{"host": host, "http": {"paths": _paths(entries)}} for host, entries in sorted(hosts.items())]
    if certificates:
        spec["tls"] = [
            {"hosts": sorted(names)} | ({"secretName": secret} if profile.tls_secrets else {})
            for secret, names in sorted(certificates.items())
        ]
    named = metadata(scope.app, name, annotations={**profile.annotations, **annotations})
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": named, "spec": spec}


def _paths(entries: list[tuple[str, Workload, Route]]) -> list[dict[str, Any]]:
    """Longest first: the order in which they match, also where a controller takes the first."""
    ordered = sorted(entries, key=lambda entry: (-len(entry[0]), entry[0], entry[1].name))
    return [
        {
            "path": path,
            "pathType": "Prefix",
            "backend": {"service": {"name": workload.name, "port": {"number": _route_port(workload, route)}}},
        }
        for path, workload, route in ordered
    ]


def _route_port(workload: Workload, route: Route) -> int | None:
    """The service port that the route leads to: the one it names, else the first TCP port."""
    for port in workload.ports.values():
        if port.protocol == "TCP" and route.port in (None, port.name, port.port):
            return port.port
    return None


def _certificate(route: Route) -> str:
    return _certificate_name(route.host) if route.tls == "auto" else str(route.tls)


def _certificate_name(host: str) -> str:
    return f"tls-{host.replace('*', 'wildcard')}"


def tls_secrets(app: App) -> frozenset[str]:
    """The secret resources that routes name: their Secrets hold a certificate and its key."""
    every = (route.tls for workload in app.workloads.values() for route in workload.routes.values())
    return frozenset(tls for tls in every if tls not in (None, "auto"))


def expected_certificates(scope: Scope) -> list[ExpectedSecret]:
    """The Secrets that `up` makes for `tls: auto`, one for each host."""
    return [
        ExpectedSecret(
            resource=_certificate_name(host),
            name=_certificate_name(host),
            keys=("tls.crt", "tls.key"),
            type="kubernetes.io/tls",
            certificate_hosts=(host,),
        )
        for host in _automatic_hosts(scope)
        if _in_secret(scope, host)
    ]


# Policies


def policies(scope: Scope) -> list[tuple[KubeObject, str | None]]:
    """Nothing may come in but what the spec connects; nothing is kept from going out but where the spec asks."""
    callers: dict[str, set[str]] = {}
    for name, targets in scope.links.items():
        for target in targets:
            callers.setdefault(target, set()).add(name)
    found: list[tuple[KubeObject, str | None]] = [
        (_policy(scope.app, DENY_ALL, None, {"policyTypes": ["Ingress"]}), None)
    ]
    names = sorted({*scope.app.workloads, *(n for n, r in scope.app.resources.items() if isinstance(r, Database))})
    for name in names:
        spec = _policy_spec(scope, name, callers.get(name, set()))
        if spec:
            found.append((_policy(scope.app, name, name, spec), name))
    return found


def _policy(app: App, name: str, workload: str | None, spec: Mapping[str, Any]) -> KubeObject:
    pods = {"podSelector": {"matchLabels": selector(workload)} if workload else {}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(app, name, workload),
        "spec": pods | dict(spec),
    }


def _policy_spec(scope: Scope, name: str, callers: set[str]) -> dict[str, Any]:
    workload = scope.app.workloads.get(name)
    ingress, egress = _ingress_rules(scope, name, workload, callers), None
    if workload is not None and workload.security.egress is not None:
        egress = _egress_rules(scope, workload)
    types = (["Ingress"] if ingress else []) + (["Egress"] if egress is not None else [])
    spec: dict[str, Any] = {"policyTypes": types} if types else {}
    if ingress:
        spec["ingress"] = ingress
    if egress is not None:
        spec["egress"] = egress
    return spec


def _ingress_rules(scope: Scope, name: str, workload: Workload | None, callers: set[str]) -> list[dict[str, Any]]:
    ports = _ports(scope.app, name)
    rules: list[dict[str, Any]] = []
    if callers and ports:
        rules.append({"from": [_pods(callers)], "ports": ports})
    if workload is None:
        return rules
    if workload.kind == "stateful":
        # Replicas of one set find and copy from each other, often on ports that no client uses.
        rules.append({"from": [_pods({name})]})
    routed = {_route_port(workload, route) for route in workload.routes.values()}
    if routed:
        targets = [port for port in workload.ports.values() if port.port in routed and port.protocol == "TCP"]
        controller = scope.profile.ingress.controller_selector
        opened: dict[str, Any] = {"from": [copy.deepcopy(dict(controller))]} if controller is not None else {}
        rules.append(opened | {"ports": _entries(workload, targets)})
    return rules


def _egress_rules(scope: Scope, workload: Workload) -> list[dict[str, Any]]:
    """DNS, what the spec connects, and the address ranges that it names."""
    rules: list[dict[str, Any]] = [dict(_DNS)]
    for name in sorted(scope.links.get(workload.name, frozenset())):
        rule: dict[str, Any] = {"to": [_pods({name})]}
        if ports := _ports(scope.app, name):
            rule["ports"] = ports
        rules.append(rule)
    ranges = [
        _range(scope, workload, entry) for entry in workload.security.egress or () if not _known(scope.app, entry)
    ]
    blocks = [{"ipBlock": {"cidr": cidr}} for cidr in sorted({cidr for cidr in ranges if cidr})]
    if blocks:
        rules.append({"to": blocks})
    return rules


def _known(app: App, name: str) -> bool:
    return name == "dns" or name in app.workloads or isinstance(app.resources.get(name), Database)


def _range(scope: Scope, workload: Workload, text: str) -> str | None:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        place = ("workloads", workload.name, "security", "egress")
        scope.problem(place, f"{text} is neither a workload, a database nor an address range", expected="10.0.0.0/8")
        return None


def _pods(names: set[str]) -> dict[str, Any]:
    if len(names) == 1:
        return {"podSelector": {"matchLabels": selector(next(iter(names)))}}
    chosen = {"key": WORKLOAD_LABEL, "operator": "In", "values": sorted(names)}
    return {"podSelector": {"matchExpressions": [chosen]}}


def _ports(app: App, name: str) -> list[dict[str, Any]]:
    """The ports on which the pods of a workload or database listen."""
    database = app.resources.get(name)
    if name not in app.workloads and isinstance(database, Database):
        return [{"port": PORTS[database.type], "protocol": "TCP"}]
    workload = app.workloads[name]
    return _entries(workload, workload.ports.values())


def _entries(workload: Workload, ports: Iterable[Port]) -> list[dict[str, Any]]:
    known = pod_ports(workload)
    found = {(port.target, port.protocol): known[port] for port in ports}
    return [{"port": found[pair], "protocol": pair[1]} for pair in sorted(found)]


def has_service(workload: Workload) -> bool:
    return workload.kind in LONG_RUNNING and bool(workload.ports)
