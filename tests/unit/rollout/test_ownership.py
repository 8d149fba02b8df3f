"""Field ownership, against what a real API server writes into managedFields."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from portable.kube import Kube
from portable.rollout.ownership import applied_fields, owned_digest, owned_fields

pytestmark = pytest.mark.unit


def live(fields: dict[str, Any], **body: Any) -> dict[str, Any]:
    entry = {"manager": "portable", "operation": "Apply", "fieldsV1": fields}
    return {"metadata": {"name": "x", "managedFields": [entry]}} | body


@pytest.mark.parametrize(
    ("fields", "spec", "owned"),
    [
        ({"f:a": {}}, {"a": 1, "b": 2}, {"a": 1}),
        ({"f:a": {}}, {"b": 2}, {}),
        ({"f:a": {}}, {"a": {"deep": [1, {"x": 2}]}}, {"a": {"deep": [1, {"x": 2}]}}),
        ({"f:a": {".": {}, "f:b": {}}}, {"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}),
        ({"f:a": {".": {}}}, {"a": {"c": 2}}, {"a": {}}),
        ({"f:a.b/c": {}}, {"a.b/c": "dots and slashes"}, {"a.b/c": "dots and slashes"}),
        (
            {"f:list": {'k:{"name":"web"}': {".": {}, "f:name": {}, "f:image": {}}}},
            {"list": [{"name": "other", "image": "x"}, {"name": "web", "image": "y", "tty": True}]},
            {"list": [{"name": "web", "image": "y"}]},
        ),
        (
            {"f:ports": {'k:{"port":80,"protocol":"TCP"}': {".": {}}}},
            {"ports": [{"port": 80, "protocol": "UDP"}, {"port": 80, "protocol": "TCP", "nodePort": 1}]},
            {"ports": [{"port": 80, "protocol": "TCP"}]},
        ),
        ({"f:set": {'v:"b"': {}, "v:3": {}}}, {"set": ["a", "b", 3, "3"]}, {"set": ["b", 3]}),
        ({"f:list": {"i:1": {}}}, {"list": ["a", "b"]}, {"list": ["b"]}),
        ({"f:list": {}}, {"list": ["a", "b"]}, {"list": ["a", "b"]}),
    ],
)
def test_fields_v1(fields: dict[str, Any], spec: dict[str, Any], owned: dict[str, Any]) -> None:
    assert owned_fields(live({"f:spec": fields}, spec=spec)) == {"spec": owned}


def test_entries_of_others_and_of_the_status_do_not_count() -> None:
    item = live({"f:spec": {"f:a": {}}}, spec={"a": 1, "b": 2}, status={"c": 3})
    item["metadata"]["managedFields"] += [
        {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:b": {}}}},
        {"manager": "portable", "operation": "Update", "subresource": "status", "fieldsV1": {"f:status": {"f:c": {}}}},
    ]
    assert owned_fields(item) == {"spec": {"a": 1}}
    assert owned_fields(item, "kubectl") == {"spec": {"b": 2}}
    assert owned_fields(item, "nobody") == {}


def test_two_entries_of_one_manager_add_up() -> None:
    item = live({"f:spec": {"f:a": {"f:x": {}}}}, spec={"a": {"x": 1, "y": 2, "z": 3}})
    more = {"manager": "portable", "operation": "Update", "fieldsV1": {"f:spec": {"f:a": {"f:y": {}}}}}
    item["metadata"]["managedFields"].append(more)
    before = copy.deepcopy(item)
    assert owned_fields(item) == {"spec": {"a": {"x": 1, "y": 2}}}
    assert item == before, "the live object is only read"


DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web", "tier": "front"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "web",
                        "image": "shop/web:1",
                        "command": ["serve", "--all"],
                        "env": [
                            {"name": "A", "value": "1"},
                            {
                                "name": "B",
                                "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
                            },
                        ],
                        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                        "resources": {"requests": {"cpu": "50m"}},
                    },
                    {"name": "side", "image": "shop/side:1"},
                ],
                "tolerations": [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}],
            },
        },
    },
}


def applied(kube: Kube, namespace: str) -> dict[str, Any]:
    manifest = copy.deepcopy(DEPLOYMENT)
    manifest["metadata"]["namespace"] = namespace
    return kube.apply(manifest)


def test_what_was_applied_is_what_is_owned(kube: Kube, namespace: str) -> None:
    item = applied(kube, namespace)
    wanted = {key: value for key, value in DEPLOYMENT.items() if key == "spec"}
    assert owned_fields(item) == wanted | {"metadata": {"labels": {"app": "web", "tier": "front"}}}
    assert applied_fields(item)[0] == "portable"


def test_the_digest_holds_until_someone_changes_what_is_ours(kube: Kube, namespace: str) -> None:
    first = owned_digest(applied(kube, namespace))
    assert owned_digest(applied(kube, namespace)) == first

    def change(patch: dict[str, Any]) -> str:
        item = kube.merge_patch("apps/v1", "Deployment", "web", patch, namespace, field_manager="someone")
        return owned_digest(item)

    assert change({"metadata": {"labels": {"theirs": "yes"}}, "spec": {"paused": False}}) == first, "not ours"
    assert change({"spec": {"replicas": 3}}) != first, "a value"
    assert owned_digest(applied(kube, namespace)) == first, "put right again"
    assert change({"metadata": {"labels": {"tier": None}}}) != first, "a removal"
    assert owned_digest(applied(kube, namespace)) == first
    containers = [{**container, "image": "evil"} for container in DEPLOYMENT["spec"]["template"]["spec"]["containers"]]  # type: ignore[index]
    assert change({"spec": {"template": {"spec": {"containers": containers}}}}) != first, "deep in a list"
