"""Revisions as Secrets on a real API server, and what to apply to go back."""

from __future__ import annotations

import json
import secrets
from base64 import b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from portable.compile.objects import CompiledWorkload, Item, Objects, logical_name
from portable.errors import ClusterError
from portable.kube import Kube
from portable.provider import KubeObject
from portable.rollout import revisions
from portable.rollout.revisions import Revision, last_good, mark, names_needed, of_objects, prune, record
from portable.rollout.rollback import left_as_it_is, roll_back
from tests.unit.rollout.kubelet import controller, workload

pytestmark = pytest.mark.unit


def config(name: str) -> KubeObject:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop"},
        "data": {"a": name},
    }


def using(manifest: KubeObject, config_map: str) -> KubeObject:
    volume = {"name": "config", "configMap": {"name": config_map}}
    manifest["spec"]["template"]["spec"]["volumes"] = [volume]
    return manifest


def objects(digest: str, names: Sequence[str] = ("api", "web"), **changes: Any) -> Objects:
    """web waits for api; each has its own object and uses one shared ConfigMap that is named by digest."""
    after = {"web": {"api": "ready"}}
    shared = config(f"shop-{digest}")
    items = [
        Item({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        Item(shared, depends_on=("Namespace/shop",)),
    ]
    items += [
        Item(
            using(controller(name, "shop", digest), f"shop-{digest}"),
            workload=name,
            depends_on=(f"ConfigMap/shop-{digest}", *(f"Deployment/{other}" for other in after.get(name, ()))),
        )
        for name in names
    ]
    workloads = {name: workload(name, digest, after=after.get(name, {}), images=("x",)) for name in names}
    return replace(Objects("shop", None, "test", "shop", tuple(items), workloads), **changes)


def revision(digest: str = "v1", **changes: Any) -> Revision:
    facts = {"cluster_uid": "u", "portable_version": "0.1.0", "by": "ann@desk", "at": "2026-11-23T08:00:00Z"}
    made = of_objects(
        objects(digest), spec='{"name":"shop"}', spec_digest=digest, secret_versions={"token": "7"}, **facts
    )
    return replace(made, **changes)


def test_a_revision_comes_back_as_it_was(kube: Kube, namespace: str) -> None:
    kept = revision()
    assert record(kube, namespace, kept) == 1
    assert record(kube, namespace, revision("v2")) == 2
    one, two = revisions.revisions(kube, namespace)
    assert one == replace(kept, number=1)
    assert (two.number, two.spec_digest, two.status) == (2, "v2", "applied")
    live = kube.get("v1", "Secret", "portable-revision-1", namespace)
    assert live is not None
    assert live["type"] == "portable.dev/revision"


def test_two_at_once_get_a_number_each(kube: Kube, namespace: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda digest: record(kube, namespace, revision(digest)), map(str, range(8))))
    assert sorted(numbers) == list(range(1, 9))
    assert {found.spec_digest for found in revisions.revisions(kube, namespace)} == set(map(str, range(8)))


def test_the_last_good_one(kube: Kube, namespace: str) -> None:
    assert last_good(kube, namespace) is None
    for digest in ("v1", "v2", "v3"):
        record(kube, namespace, revision(digest))
    mark(kube, namespace, 1, "good", images={"api": {"main": "sha256:abc"}})
    mark(kube, namespace, 2, "failed")
    good = last_good(kube, namespace)
    assert good is not None
    assert (good.number, good.images) == (1, {"api": {"main": "sha256:abc"}})
    mark(kube, namespace, 3, "good")
    assert [found.status for found in revisions.revisions(kube, namespace)] == ["good", "failed", "good"]
    assert last_good(kube, namespace, before=3) == good
    mark(kube, namespace, 99, "good")  # pruned meanwhile: nothing to say


def test_pruning_keeps_the_newest_and_the_last_good(kube: Kube, namespace: str) -> None:
    for number in range(1, 7):
        record(kube, namespace, revision(str(number)))
    mark(kube, namespace, 1, "good")
    mark(kube, namespace, 2, "good")
    assert prune(kube, namespace, keep=2) == [1, 3, 4]
    assert [found.number for found in revisions.revisions(kube, namespace)] == [2, 5, 6]
    assert record(kube, namespace, revision("next")) == 7, "numbers are not used twice"


def test_a_withdrawn_revision_is_gone(kube: Kube, namespace: str) -> None:
    for digest in ("v1", "v2"):
        record(kube, namespace, revision(digest))
    revisions.withdraw(kube, namespace, 2)
    assert [found.spec_digest for found in revisions.revisions(kube, namespace)] == ["v1"]


def test_config_of_kept_revisions_is_needed() -> None:
    assert names_needed([revision("v1"), revision("v2")]) == ("ConfigMap/shop-v1", "ConfigMap/shop-v2")


def test_no_secret_value_is_kept(kube: Kube, namespace: str) -> None:
    value = b64encode(b"hunter2").decode()
    patched = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "data": {"k": value},
        "stringData": {"l": "hunter2"},
    }
    record(kube, namespace, revision(items=(Item(patched),)))
    (found,) = revisions.revisions(kube, namespace)
    assert found.items[0].manifest == {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}


def test_what_is_too_large_is_kept_as_its_spec_alone(kube: Kube, namespace: str) -> None:
    large = config("large") | {"data": {"random": secrets.token_hex(1_200_000)}}  # hex halves at best
    record(kube, namespace, revision(items=(Item(large),)))
    (found,) = revisions.revisions(kube, namespace)
    assert (found.complete, found.items, found.spec) == (False, (), '{"name":"shop"}')
    with pytest.raises(ClusterError, match="cannot be kept"):
        record(kube, namespace, revision(spec=json.dumps(secrets.token_hex(1_200_000))))


def test_what_cannot_be_read_says_so(kube: Kube, namespace: str) -> None:
    record(kube, namespace, revision())
    patch = {"data": {"revision": b64encode(b"from the future").decode()}}
    kube.merge_patch("v1", "Secret", "portable-revision-1", patch, namespace)
    with pytest.raises(ClusterError, match="portable-revision-1"):
        revisions.revisions(kube, namespace)


# -- roll back -------------------------------------------------------------------------------------------------------


def names(found: Objects) -> dict[str, str]:
    """Logical name -> digest of those that have one."""
    digests = {}
    for item in found.items:
        template = item.manifest.get("spec", {}).get("template", {})
        annotations = template.get("metadata", {}).get("annotations", {})
        digests[logical_name(item.manifest)] = annotations.get("portable.dev/digest", "")
    return digests


def test_the_failed_one_goes_back_and_what_waited_for_it_stays_back() -> None:
    back = roll_back(objects("v2"), ["api"], revision("v1", number=4))
    assert back is not None
    assert (back.revision, back.restored, back.left) == (4, ("api", "web"), ())
    assert names(back.objects) == {
        "Namespace/shop": "",
        "ConfigMap/shop-v1": "",
        "ConfigMap/shop-v2": "",
        "Deployment/api": "v1",
        "Deployment/web": "v1",
    }
    assert {name: back.objects.workloads[name].digest for name in back.restored} == {"api": "v1", "web": "v1"}


def test_what_did_not_fail_stays_new() -> None:
    back = roll_back(objects("v2"), ["web"], revision("v1", number=4))
    assert back is not None
    assert back.restored == ("web",)
    assert names(back.objects) | {"ConfigMap/shop-v1": ""} == names(back.objects), "the config that the old web needs"
    assert {name: found.digest for name, found in back.objects.workloads.items()} == {"api": "v2", "web": "v1"}


def test_edges_lead_only_to_what_is_applied() -> None:
    back = roll_back(objects("v2"), ["api", "web"], revision("v1"))
    assert back is not None
    known = names(back.objects)
    assert all(name in known for item in back.objects.items for name in item.depends_on)
    order = [logical_name(item.manifest) for item in back.objects.items]
    assert all(
        order.index(edge) < order.index(logical_name(i.manifest)) for i in back.objects.items for edge in i.depends_on
    )


def test_a_new_workload_is_left_to_be_looked_at() -> None:
    fresh = objects("v2", ("api", "web", "new"))
    fresh.workloads["new"]
    back = roll_back(fresh, ["new", "web"], revision("v1", number=4))
    assert back is not None
    assert (back.restored, back.left) == (("web",), ("new",))
    assert "Deployment/new" not in names(back.objects)
    assert (
        back.message
        == "web back at revision 4; no earlier version of new was ever ready: left as it is, to be looked at"
    )


def test_a_dependency_that_is_left_is_not_waited_for() -> None:
    old = revision("v1")
    del old.workloads["api"]  # type: ignore[attr-defined]
    back = roll_back(objects("v2"), ["api"], old)
    assert back is not None
    assert (back.restored, back.left) == (("web",), ("api",))
    assert back.objects.workloads["web"].after == {}


@pytest.mark.parametrize("previous", [None, revision("v1", complete=False, items=())])
def test_nothing_to_go_back_to(previous: Revision | None) -> None:
    assert roll_back(objects("v2"), ["api"], previous) is None


def test_stop_means_stop() -> None:
    stopping: dict[str, CompiledWorkload] = {
        name: replace(found, on_failure="stop") for name, found in objects("v2").workloads.items()
    }
    stopped = objects("v2", workloads=stopping)
    assert roll_back(stopped, ["api"], revision("v1")) is None
    assert "onFailure: stop" in left_as_it_is(stopped, ["api"], revision("v1"))
    assert "no earlier version of api" in left_as_it_is(stopped, ["api"], None)
