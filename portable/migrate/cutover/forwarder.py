"""The objects of the forwarder: the mover's program in the source's namespace, which sends requests on to the target.

Two pods of their own Service, behind the source's own load balancer; they end only after what they carry has ended.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from portable.migrate.cutover.addresses import load_balancers
from portable.migrate.cutover.trust import authorities
from portable.migrate.sides import MIGRATION_LABEL, Sides
from portable.provider import KubeObject

NAME = "portable-forwarding"
PORT = 80
PROBE_PATH = "/.well-known/portable-forwarding"
PROBE_HEADER = "Portable-Forwarding"
_LISTENS = 8080
_LINGER, _DRAIN = 20, 60
_USER = 65534


def destinations(sides: Sides) -> str:
    """JSON: where the requests for each host of the target go. Raises ClusterError while its load balancer has no address."""
    target = sides.target
    at = load_balancers(target)
    secure = {route.host for route in target.objects.routes if route.tls}
    hosts = {
        host: {
            "address": at[host],
            "port": 443 if host in secure else 80,
            "tls": host in secure,
            "authorities": authorities(target, host) if host in secure else "",
        }
        for host in sorted({route.host for route in target.objects.routes})
    }
    return json.dumps({"migration": sides.migration, "hosts": hosts}, sort_keys=True)


def objects(sides: Sides, image: str) -> list[KubeObject]:
    """In the order in which they are applied."""
    routes = destinations(sides)
    config = _object(sides, "v1", "ConfigMap", {"data": {"routes.json": routes}})
    ports = [{"name": "http", "port": PORT, "protocol": "TCP", "targetPort": _LISTENS}]
    service = {"spec": {"type": "ClusterIP", "selector": _selector(sides), "ports": ports}}
    return [
        config,
        _object(sides, "networking.k8s.io/v1", "NetworkPolicy", {"spec": _policy(sides)}),
        _object(sides, "v1", "Service", service),
        _object(sides, "apps/v1", "Deployment", {"spec": _deployment(sides, image, routes)}),
    ]


def kinds() -> Mapping[str, str]:
    """kind -> apiVersion of what `objects` makes, all of the name NAME; in the order in which they are deleted."""
    return {
        "Deployment": "apps/v1",
        "Service": "v1",
        "NetworkPolicy": "networking.k8s.io/v1",
        "ConfigMap": "v1",
    }


def _selector(sides: Sides) -> dict[str, str]:
    return {MIGRATION_LABEL: sides.migration, "app.kubernetes.io/name": NAME}


def _object(sides: Sides, api_version: str, kind: str, content: Mapping[str, Any]) -> KubeObject:
    metadata = {"name": NAME, "namespace": sides.source.namespace, "labels": _selector(sides)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def _policy(sides: Sides) -> dict[str, Any]:
    """As for a workload with routes: the load balancer gets in."""
    controller = sides.source.app.profile.ingress.controller_selector
    rule: dict[str, Any] = {"ports": [{"port": _LISTENS, "protocol": "TCP"}]}
    if controller is not None:
        rule["from"] = [copy.deepcopy(dict(controller))]
    return {"podSelector": {"matchLabels": _selector(sides)}, "policyTypes": ["Ingress"], "ingress": [rule]}


def _deployment(sides: Sides, image: str, routes: str) -> dict[str, Any]:
    container = {
        "name": "forwarding",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["routes", "-file=/etc/portable/routes.json", f"-linger={_LINGER}s", f"-drain={_DRAIN}s"],
        "ports": [{"containerPort": _LISTENS, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": PROBE_PATH, "port": _LISTENS}, "periodSeconds": 2},
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "routes", "mountPath": "/etc/portable", "readOnly": True}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "containers": [container],
        "enableServiceLinks": False,
        "securityContext": {
            "runAsGroup": _USER,
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": _LINGER + _DRAIN + 10,
        "tolerations": [dict(each) for each in sides.source.app.profile.tolerations],
        "volumes": [{"name": "routes", "configMap": {"name": NAME}}],
    }
    # pods begin anew where the target's address changes
    annotations = {"portable.dev/routes": hashlib.sha256(routes.encode()).hexdigest()[:16]}
    return {
        "replicas": 2,
        "selector": {"matchLabels": _selector(sides)},
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"metadata": {"labels": _selector(sides), "annotations": annotations}, "spec": pod},
    }
