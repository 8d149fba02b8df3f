"""What a repeated `up` does: puts drift back, leaves what is not ours, removes what is superseded only when it can be missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, TypeVar

import pytest

from portable.deploy import KEPT_REVISIONS
from portable.rollout.revisions import record, revisions
from tests.e2e.conftest import HELLO, AppUnderTest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
SOMEONE = "kubectl-edit"
SETTINGS = "/etc/web/settings.conf"
CLUSTERS = {"ConfigMap/kube-root-ca.crt"}  # in every namespace
T = TypeVar("T")


def web(**more: Any) -> dict[str, Any]:
    return {**HELLO, "containers": {"main": {**HELLO["containers"]["main"], **more}}}


@contextmanager
def sampling(look: Callable[[], T]) -> Iterator[list[T]]:
    """Looks again and again while the block runs; gives what was seen, one after the other without repetitions."""
    seen, stop = [look()], Event()

    def sample() -> None:
        while not stop.wait(0.05):
            if (found := look()) != seen[-1]:
                seen.append(found)

    thread = Thread(target=sample)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
        seen.append(look())


def test_a_field_changed_by_hand_is_put_back_and_others_stay(module_app: AppUnderTest) -> None:
    module_app.write({"web": web(), "other": web()})
    first = module_app.run("up", "--yes", "--output", "json").events()
    skipped = {event["name"] for event in first if event["event"] == "step" and event["status"] == "skipped"}
    assert "cluster" in skipped, "it is as another app has made it"
    kube, space = module_app.cluster.kube, module_app.namespace

    def patch(kind: str, version: str, patch: Mapping[str, Any]) -> None:
        kube.merge_patch(version, kind, "web", patch, space, field_manager=SOMEONE)

    patch("Service", "v1", {"metadata": {"labels": {"team": "blue"}, "annotations": {"note": "not ours"}}})
    patch("Deployment", "apps/v1", {"spec": {"revisionHistoryLimit": 9, "minReadySeconds": 1}})
    assert "~ Deployment/web" in " ".join(module_app.run("plan").out.split())
    assert module_app.up()["changed"] is True
    deployment = module_app.get("apps/v1", "Deployment", "web")["spec"]
    assert deployment["revisionHistoryLimit"] == 3, "ours is put back"
    assert deployment["minReadySeconds"] == 1, "what we say nothing about is left alone"
    metadata = module_app.get("v1", "Service", "web")["metadata"]
    assert (metadata["labels"]["team"], metadata["annotations"]["note"]) == ("blue", "not ours")
    assert module_app.up()["changed"] is False


def test_what_is_not_ours_is_no_reason_to_do_anything(module_app: AppUnderTest) -> None:
    patch = {"metadata": {"annotations": {"note": "still not ours"}}}
    module_app.cluster.kube.merge_patch("v1", "Service", "other", patch, module_app.namespace, field_manager=SOMEONE)
    assert module_app.up()["changed"] is False


def test_an_object_deleted_by_hand_is_made_again(module_app: AppUnderTest) -> None:
    pods = module_app.pod_uids()
    assert module_app.cluster.kube.delete("v1", "Service", "web", module_app.namespace)
    assert module_app.up()["changed"] is True
    assert module_app.get("v1", "Service", "web")["spec"]["ports"][0]["port"] == 80
    assert module_app.pod_uids() == pods


def test_superseded_config_stays_as_long_as_it_can_be_needed(module_app: AppUnderTest) -> None:
    kube, space = module_app.cluster.kube, module_app.namespace

    def look() -> tuple[frozenset[str], bool]:
        maps = (each["metadata"]["name"] for each in kube.list("v1", "ConfigMap", space))
        status = module_app.get("apps/v1", "Deployment", "web")
        ready = status["status"].get("observedGeneration") == status["metadata"]["generation"]
        ready = ready and status["status"].get("updatedReplicas") == status["status"].get("replicas") == 1
        return frozenset(name for name in maps if name.startswith("web-")), ready

    module_app.write({"web": web(files={SETTINGS: {"content": "color = red"}}), "other": web()})
    module_app.up()
    (first,) = look()[0]
    module_app.write({"web": web(files={SETTINGS: {"content": "color = blue"}}), "other": web()})
    with sampling(look) as seen:
        module_app.up()
    assert all(first in maps for maps, _ready in seen), seen
    (second,) = seen[-1][0] - {first}
    template = module_app.get("apps/v1", "Deployment", "web")["spec"]["template"]["spec"]
    assert [volume["configMap"]["name"] for volume in template["volumes"] if "configMap" in volume] == [second]
    assert kube.get("v1", "ConfigMap", first, space), "a kept revision still needs it"


def test_old_revisions_go_with_the_config_that_only_they_need(module_app: AppUnderTest) -> None:
    kube, space = module_app.cluster.kube, module_app.namespace

    def config() -> set[str]:
        return {f"ConfigMap/{each['metadata']['name']}" for each in kube.list("v1", "ConfigMap", space)} - CLUSTERS

    *_, last = revisions(kube, space)
    needed = {name for name in last.names if name.startswith("ConfigMap/")}
    assert config() > needed, "older revisions have config of their own"
    for _ in range(KEPT_REVISIONS):
        record(kube, space, last)  # as if it had been changed and changed back
    module_app.write({"web": web(files={SETTINGS: {"content": "color = blue"}}), "other": web(variables={"A": "b"})})
    result = module_app.up()
    kept = [revision.number for revision in revisions(kube, space)]
    assert kept == list(range(result["revision"] - KEPT_REVISIONS + 1, result["revision"] + 1))
    assert config() == needed
    assert module_app.up()["changed"] is False


def test_a_renamed_workload_goes_when_its_successor_is_ready(module_app: AppUnderTest) -> None:
    kube, space = module_app.cluster.kube, module_app.namespace
    before = module_app.pod_uids("web")
    slow = {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 3}
    module_app.write({"web": web(files={SETTINGS: {"content": "color = blue"}}), "another": web(readinessProbe=slow)})

    def look() -> tuple[bool, bool, bool]:
        new = kube.get("apps/v1", "Deployment", "another", space) or {}
        old = kube.get("apps/v1", "Deployment", "other", space)
        return (
            old is not None,
            kube.get("v1", "Service", "other", space) is not None,
            new.get("status", {}).get("readyReplicas") == 1,
        )

    with sampling(look) as seen:
        module_app.up()
    assert seen[0] == (True, True, False)
    assert (True, True, True) in seen, f"both were there for a while: {seen}"
    assert not [each for each in seen if each[2] is False and not (each[0] and each[1])], seen
    assert seen[-1] == (False, False, True)
    left = [kind for version, kind in LEFT if named(module_app, version, kind, "other")]
    assert left == []
    assert module_app.pods("other") == []
    assert module_app.pod_uids("web") == before
    assert module_app.up()["changed"] is False


LEFT = (
    ("apps/v1", "Deployment"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
)


def named(under: AppUnderTest, version: str, kind: str, workload: str) -> list[dict[str, Any]]:
    return under.cluster.kube.list(version, kind, under.namespace, label_selector=f"portable.dev/workload={workload}")


def test_destroy_leaves_nothing_and_may_be_repeated(module_app: AppUnderTest) -> None:
    module_app.destroy()
    assert module_app.cluster.kube.get("v1", "Namespace", module_app.namespace) is None
    module_app.destroy()
    assert {each["state"] for each in module_app.run("status", "--output", "json").json()["workloads"]} == {"absent"}
