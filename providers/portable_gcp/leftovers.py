"""What GKE's controllers made in a cluster's network, and would leave there: load balancers from front to back, firewall rules.

None of it carries a cluster's labels. But firewall rules and endpoint groups belong to a network, and the network is the
cluster's own, so the rest is found from them, upwards by reference:
forwarding rule -> target proxy -> URL map -> backend service -> endpoint group (Ingress, Gateway, newer Services), and
forwarding rule -> target pool (Services), whose firewall rule is called k8s-fw-NAME.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from portable_gcp import compute
from portable_gcp.session import Google

# https://cloud.google.com/kubernetes-engine/docs/concepts/firewall-rules
_RULES = ("k8s-", "k8s2-", "gke-", "gkegw1-", "gkemcg1-")
_SERVICE_RULE = "k8s-fw-"


@dataclass(frozen=True)
class Part:
    kind: str
    link: str

    @property
    def name(self) -> str:
        return self.link.rpartition("/")[2]


def in_network(google: Google, project: str, network: str) -> list[Part]:
    """In the order in which they can be deleted. `network`: its link."""
    rules = [rule for rule in _all(google, "firewalls", project, "list") if _same(rule.get("network", ""), network)]
    made = [rule for rule in rules if rule["name"].startswith(_RULES)]
    groups = [
        group for group in _all(google, "networkEndpointGroups", project) if _same(group.get("network", ""), network)
    ]
    if not made and not groups:
        return []
    return [*_load_balancers(google, project, network, made, groups), *_parts("firewall rule", made)]


def _load_balancers(
    google: Google, project: str, network: str, rules: list[dict[str, Any]], groups: list[dict[str, Any]]
) -> list[Part]:
    backends = _using(_all(google, "backendServices", project), groups, _backends)
    maps = _using(_all(google, "urlMaps", project), backends, _services)
    proxies = [
        *_using(_all(google, "targetHttpProxies", project), maps, lambda proxy: [proxy.get("urlMap", "")]),
        *_using(_all(google, "targetHttpsProxies", project), maps, lambda proxy: [proxy.get("urlMap", "")]),
    ]
    services = {rule["name"].removeprefix(_SERVICE_RULE) for rule in rules if rule["name"].startswith(_SERVICE_RULE)}
    pools = [pool for pool in _all(google, "targetPools", project) if pool["name"] in services]
    fronts = [
        rule
        for rule in _all(google, "forwardingRules", project)
        if {rule.get("target"), rule.get("backendService")} & _links([*proxies, *pools, *backends])
        or _same(rule.get("network", ""), network)
    ]
    checks = dict.fromkeys(link for backend in backends for link in backend.get("healthChecks", []))
    return [
        *_parts("forwarding rule", fronts),
        *_parts("target proxy", proxies),
        *_parts("URL map", maps),
        *_parts("backend service", backends),
        *_parts("target pool", pools),
        *(Part("health check", link) for link in checks),
        *_parts("network endpoint group", groups),
    ]


def _all(google: Google, kind: str, project: str, method: str = "aggregatedList") -> list[dict[str, Any]]:
    return list(compute.listed(google, f"compute.{kind}.{method}", project))


def _using(candidates: Iterable[dict[str, Any]], used: list[dict[str, Any]], refers: Any) -> list[dict[str, Any]]:
    links = _links(used)
    return [candidate for candidate in candidates if links & set(refers(candidate))]


def _backends(service: dict[str, Any]) -> list[str]:
    return [backend.get("group", "") for backend in service.get("backends", [])]


def _services(url_map: dict[str, Any]) -> list[str]:
    matchers = url_map.get("pathMatchers", [])
    rules = [rule for matcher in matchers for rule in matcher.get("pathRules", [])]
    named = [url_map, *matchers, *rules]
    return [entry.get("defaultService", "") or entry.get("service", "") for entry in named]


def _links(found: Iterable[dict[str, Any]]) -> set[str]:
    return {entry["selfLink"] for entry in found}


def _parts(kind: str, found: Iterable[dict[str, Any]]) -> list[Part]:
    return [Part(kind, entry["selfLink"]) for entry in found]


def _same(link: str, other: str) -> bool:
    """Links differ in their host and version, not in what they name."""
    return link.partition("/projects/")[2] == other.partition("/projects/")[2] != ""
