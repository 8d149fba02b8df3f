"""The whole app as a revision had it, but for data and jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from portable.compile.app import pod_template
from portable.compile.names import DIGEST_ANNOTATION, IMAGE_ANNOTATION, SECRET_ANNOTATION
from portable.compile.objects import CompiledWorkload, Item, Objects, logical_name
from portable.errors import UsageError
from portable.history import changes, entries
from portable.rollback import choose
from portable.rollout.restore import Needed, needs, pinned_images, restore
from portable.rollout.revisions import Revision, of_objects
from tests.unit.rollout.kubelet import controller, workload

pytestmark = pytest.mark.unit

LOADED, PULLED = "sha256:" + "a" * 64, "docker.io/shop/web@sha256:" + "b" * 64


def app(version: str, *, jobs: tuple[str, ...] = (), **more: Any) -> Objects:
    """web, which reads a secret and waits for jobs; a database with a claim."""
    web = controller("web", "shop", version)
    template = web["spec"]["template"]
    template["metadata"]["annotations"] |= {
        SECRET_ANNOTATION + "token": "old",
        IMAGE_ANNOTATION + "main": f"i-{version}",
    }
    (main,) = template["spec"]["containers"]
    main["image"] = "shop/web:1"
    main["env"] = [
        {"name": "VERSION", "value": version},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "value"}}},
    ]
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "namespace": "shop"}}
    claim["spec"] = {"size": version}
    items = [
        Item({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        Item(controller("db", "shop", version, kind="StatefulSet"), "db"),
        Item(claim, "db", kept=True),
        *(Item(controller(f"{job}-{version}", "shop", version, kind="Job"), job) for job in jobs),
        Item(web, "web", depends_on=tuple(f"Job/{job}-{version}" for job in jobs)),
    ]
    workloads: dict[str, CompiledWorkload] = {
        "db": replace(workload("db", version, kind="StatefulSet"), section="resources"),
        **{job: replace(workload(job, version, kind="Job"), after={"db": "ready"}) for job in jobs},
        "web": replace(workload("web", version), after={"db": "ready", **dict.fromkeys(jobs, "complete")}),
    }
    return replace(Objects("shop", None, "test", "shop", tuple(items), workloads, digest=version), **more)


def revision(objects: Objects, number: int, **changed: Any) -> Revision:
    made = of_objects(
        objects,
        spec="{}",
        spec_digest=objects.digest,
        cluster_uid="u",
        portable_version="0",
        by="ann",
        at="2026-11-23T08:00:00Z",
    )
    return replace(made, **{"number": number, "status": "good", **changed})


def manifests(objects: Objects) -> dict[str, Any]:
    return {logical_name(item.manifest): item.manifest for item in objects.items}


def test_the_app_goes_back_and_data_stays() -> None:
    old, new = app("v1"), app("v2")
    back = restore(new, revision(old, 1), revision(new, 2), jobs=(), secrets={"token": "old"}, pins={})
    assert manifests(back)["Deployment/web"] == manifests(old)["Deployment/web"]
    assert manifests(back)["StatefulSet/db"] == manifests(new)["StatefulSet/db"]
    assert manifests(back)["PersistentVolumeClaim/data"]["spec"] == {"size": "v2"}, "a volume cannot shrink"
    assert (back.workloads["web"].digest, back.workloads["db"].digest) == ("v1", "v2")
    assert next(iter(manifests(back))) == "Namespace/shop"
    assert back.digest not in ("v1", "v2"), "a mixture"
    again = restore(old, revision(old, 1), revision(old, 2), jobs=(), secrets={"token": "old"}, pins={})
    assert again.digest == "v1", "the very same objects"


def test_a_job_that_ran_stays_and_no_older_one_runs() -> None:
    old, new = app("v1", jobs=("migrate",)), app("v2", jobs=("migrate",))
    ran = restore(new, revision(old, 1), revision(new, 2), jobs={"migrate"}, secrets={}, pins={})
    assert "Job/migrate-v2" in manifests(ran)
    assert "Job/migrate-v1" not in manifests(ran)
    assert ran.workloads["web"].after == {"db": "ready", "migrate": "complete"}
    failed = restore(new, revision(old, 1), revision(new, 2), jobs=(), secrets={}, pins={})
    assert "migrate" not in failed.workloads
    assert failed.workloads["web"].after == {"db": "ready"}, "nothing waits for what does not run"
    web = next(item for item in failed.items if item.workload == "web")
    assert web.depends_on == ()


def test_secrets_of_today_and_pinned_images_make_a_digest_of_their_own() -> None:
    old, new = app("v1"), app("v2")
    pins = {"web": {"main": "shop/web@sha256:1"}}
    back = restore(new, revision(old, 1), revision(new, 2), jobs=(), secrets={"token": "today"}, pins=pins)
    template = pod_template(manifests(back)["Deployment/web"])
    assert template is not None
    assert template["metadata"]["annotations"][SECRET_ANNOTATION + "token"] == "today"
    assert template["spec"]["containers"][0]["image"] == "shop/web@sha256:1"
    assert template["metadata"]["annotations"][DIGEST_ANNOTATION] == back.workloads["web"].digest != "v1"
    assert back.workloads["web"].images == ("shop/web@sha256:1",)
    before = pod_template(manifests(old)["Deployment/web"])
    assert before is not None
    assert before["spec"]["containers"][0]["image"] == "shop/web:1", "the revision itself is not edited"


@pytest.mark.parametrize(
    ("image", "ran", "known", "now", "pin"),
    [
        ("shop/web:1", PULLED, None, None, "shop/web@sha256:" + "b" * 64),
        ("host:5000/web", "host:5000/web@sha256:c", None, None, "host:5000/web@sha256:c"),
        ("shop/web:1", "elsewhere/copy@sha256:c", None, None, None),
        ("shop/web@sha256:d", PULLED, None, None, None),
        ("shop/web:1", PULLED, LOADED, LOADED, None),
        ("shop/web:1", PULLED, LOADED, "sha256:e", LOADED),
        ("shop/web:1", PULLED, LOADED, None, LOADED),
        ("shop/web:1", "", None, None, None),
    ],
    ids=[
        "pulled",
        "no tag",
        "known by another name",
        "by digest already",
        "local",
        "built anew",
        "not here any more",
        "never ran",
    ],
)
def test_images_go_by_the_digest_that_ran(
    image: str, ran: str, known: str | None, now: str | None, pin: str | None
) -> None:
    old = app("v1")
    template = pod_template(manifests(old)["Deployment/web"])
    assert template is not None
    template["spec"]["containers"][0]["image"] = image
    if known is None:
        del template["metadata"]["annotations"][IMAGE_ANNOTATION + "main"]
    else:
        template["metadata"]["annotations"][IMAGE_ANNOTATION + "main"] = known
    local = {} if now is None else {image: now}
    wanted = revision(old, 1, images={"web": {"main": ran}})
    assert pinned_images(wanted, local).get("web", {}).get("main") == pin


def test_what_the_pods_need_and_the_objects_do_not_bring() -> None:
    assert list(needs(app("v1"))) == [Needed("Secret", "token", "value")]


def test_the_revision_to_go_back_to() -> None:
    kept = [revision(app(f"v{number}"), number) for number in (1, 2, 3)]
    assert choose(kept, None).number == 2
    assert choose(kept, 1).number == 1
    failed = [*kept[:2], replace(kept[2], status="failed", outcome="web: CrashLoop")]
    assert choose(failed, None).number == 2
    again = [*kept, replace(kept[2], number=4)]
    assert choose(again, None).number == 2, "the same objects once more are no earlier version"
    broken_off = [*kept, replace(kept[0], number=4, status="applied", action="rollback to 1")]
    assert choose(broken_off, None).number == 1, "the same command again carries on"
    assert choose([*kept, replace(kept[2], number=4, status="applied")], None).number == 2
    for wrong, words in (
        ((kept, 7), "revision 7 is not kept"),
        ((failed, 3), "was never ready: web: CrashLoop"),
        ((kept[:1], None), "no earlier good revision"),
        (([replace(kept[0], complete=False), kept[1]], 1), "too large"),
    ):
        with pytest.raises(UsageError, match=words):
            choose(*wrong)


def test_what_changed_in_words() -> None:
    old, new = app("v1"), app("v2", jobs=("migrate",))
    web = manifests(new)["Deployment/web"]
    web["spec"]["replicas"] = 3
    web["spec"]["template"]["metadata"]["annotations"][SECRET_ANNOTATION + "token"] = "new"
    web["spec"]["template"]["spec"]["containers"][0]["image"] = "shop/web:2"
    words = list(changes(revision(old, 1), revision(new, 2)))
    assert words == [
        "migrate added",
        "db: pod settings",
        "web: replicas 1 => 3",
        "web: image shop/web:1 => shop/web:2",
        "web: variable VERSION",
        "web: new value of token",
        "PersistentVolumeClaim/data changed",
    ]
    assert not any("v1" in each for each in words), "values stay out of it"


def test_what_runs_is_the_last_good_one() -> None:
    kept = [revision(app("v1"), 1), revision(app("v2"), 2, status="failed", outcome="web: CrashLoop")]
    first, second = entries(kept)
    assert (first.running, second.running) == (True, False)
    assert first.changes == ("the first that is kept",)
    assert (second.status, second.outcome) == ("failed", "web: CrashLoop")
    assert entries([]) == []
