"""An app at zero, derived from its compiled objects alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from portable.compile.objects import Objects, logical_name
from portable.migrate.asleep import asleep, rehearsing
from portable.target import Request, compile_target, open_target

pytestmark = pytest.mark.unit

SHOP = Path(__file__).resolve().parents[3] / "examples" / "shop" / "portable.yaml"


@pytest.fixture(scope="module")
def shop() -> Objects:
    return compile_target(open_target(Request(file=SHOP, environment="dev")))


def named(objects: Objects) -> dict[str, dict[str, object]]:
    return {logical_name(item.manifest): item.manifest.get("spec", {}) for item in objects.items}


def test_nothing_of_it_runs(shop: Objects) -> None:
    found = named(asleep(shop))
    for name, spec in found.items():
        if name.startswith(("Deployment/", "StatefulSet/")):
            assert spec["replicas"] == 0, name
    assert found["CronJob/report"]["suspend"] is True
    assert not [name for name in found if name.startswith(("Job/", "HorizontalPodAutoscaler/"))]


def test_all_that_does_not_run_is_there(shop: Objects) -> None:
    left_out = set(named(shop)) - set(named(asleep(shop)))
    assert {name.partition("/")[0] for name in left_out} == {"Job", "HorizontalPodAutoscaler"}
    assert asleep(shop).generated == shop.generated


def test_nothing_waits_for_what_is_not_there(shop: Objects) -> None:
    sleeping = asleep(shop)
    names = set(named(sleeping)) | {logical_name(secret.manifest) for secret in sleeping.generated}
    assert {name for item in sleeping.items for name in item.depends_on} <= names
    assert [name for name, workload in sleeping.workloads.items() if workload.after] == []


def test_the_compiled_objects_stay_as_they_are(shop: Objects) -> None:
    before = shop.items
    asleep(shop)
    assert compile_target(open_target(Request(file=SHOP, environment="dev"))).items == before


def test_a_rehearsal_does_nothing_by_the_clock(shop: Objects) -> None:
    found, whole = named(rehearsing(shop)), named(shop)
    assert found["CronJob/report"]["suspend"] is True
    assert {name: spec for name, spec in found.items() if name != "CronJob/report"} == {
        name: spec for name, spec in whole.items() if name != "CronJob/report"
    }
