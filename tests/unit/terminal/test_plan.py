from __future__ import annotations

from typing import Any

import pytest

from portable.engine.changes import Change, FieldChange
from portable.terminal.plan import print_plan
from tests.unit.terminal.screens import Screen

pytestmark = pytest.mark.unit

DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def shown(*app: Change, width: int | None = None, **more: Any) -> list[str]:
    screen = Screen(width)
    print_plan(screen.console, title="shop on kind", cluster=(), app=app, **more)
    return screen.lines


def test_a_plan_reads_like_a_diff() -> None:
    lines = shown(
        Change("app", "create", "kubernetes:core/v1:ConfigMap", "ConfigMap/web-1"),
        Change("app", "update", DEPLOYMENT, "Deployment/api", (FieldChange("spec.replicas", 2, 3),)),
        Change("app", "replace", "kubernetes:batch/v1:Job", "Job/migrate", (FieldChange("spec.a", "x", None),)),
        Change("app", "delete", "kubernetes:core/v1:Service", "Service/old"),
        Change("app", "same", DEPLOYMENT, "Deployment/web"),
        notes=("api: Recreate",),
        missing=("api-token",),
    )
    assert lines == [
        "shop on kind",
        "",
        "App",
        "   + ConfigMap/web-1",
        "   ~ Deployment/api",
        "       spec.replicas  2  => 3",
        " -/+ Job/migrate",
        '       spec.a  "x"  => (removed)',
        "   - Service/old",
        "",
        "Notes",
        "  • api: Recreate",
        "",
        "Secrets without a value (`portable secret set NAME`)",
        "  • api-token",
        "",
        "1 to create, 1 to update, 1 to replace, 1 to delete, 1 unchanged",
    ]


DIGEST = FieldChange("spec.template.metadata.annotations[portable.dev/digest]", "a1", "b2")
GREETING = FieldChange("spec.template.spec.containers[main].env[GREETING].value", "Hello", "Good morning")


def updated(*fields: FieldChange, **how: Any) -> list[str]:
    return shown(Change("app", "update", DEPLOYMENT, "Deployment/web", fields), **how)[4:-2]


def test_a_digest_is_told_where_it_alone_changes() -> None:
    assert [line.split()[0] for line in updated(DIGEST, GREETING)] == [GREETING.path]
    assert [line.split()[0] for line in updated(DIGEST)] == [DIGEST.path]
    assert [line.split()[0] for line in updated(DIGEST, GREETING, whole=True)] == [DIGEST.path, GREETING.path]


def test_what_does_not_fit_goes_on_below_its_beginning() -> None:
    assert updated(GREETING, width=70) == [
        "       spec.template.spec.containers[main].env[GREETING].value",
        '       "Hello"  => "Good morning"',
    ]
    (first, second) = [line for line in shown(notes=["of a note " * 8], width=60) if "of a note" in line]
    assert (first[:4], second[:4]) == ("  • ", "    ")
    assert max(len(first), len(second)) <= 60


def test_objects_that_are_no_kubernetes_objects_are_named_with_their_kind() -> None:
    screen = Screen()
    print_plan(
        screen.console, title="t", cluster=[Change("cluster", "create", "portable:kind:Cluster", "portable")], app=()
    )
    assert "   + Cluster portable" in screen.lines


def test_texts_of_several_lines_are_diffed_line_by_line() -> None:
    before, after = "a\nb\nc\nd\ne\n", "a\nb\nC\nd\ne\n"
    lines = shown(Change("app", "update", DEPLOYMENT, "ConfigMap/x", (FieldChange("data.conf", before, after),)))
    start = lines.index("       data.conf")
    assert [line.strip() for line in lines[start + 1 : start + 7]] == ["…", "a", "b", "-c", "+C", "d"]


def test_long_values_are_cut_unless_asked_for_whole() -> None:
    change = Change("app", "update", DEPLOYMENT, "X/x", (FieldChange("a", "1", "v" * 5000),))
    assert "v" * 400 not in "\n".join(shown(change))
    assert "(5,002 characters)" in "\n".join(shown(change))
    assert "v" * 5000 in "\n".join(shown(change, whole=True))


def test_nothing_to_change_is_said() -> None:
    assert shown(Change("app", "same", DEPLOYMENT, "Deployment/web"))[-1] == "nothing to change, 1 unchanged"


def test_offline_is_said() -> None:
    assert any("offline" in line for line in shown(offline=True))


def test_forty_columns_lose_nothing() -> None:
    field = FieldChange(
        "spec.template.spec.containers[api].image", "example.com/" + "a" * 50, "example.com/" + "b" * 50
    )
    lines = shown(Change("app", "update", DEPLOYMENT, "Deployment/" + "n" * 60, (field,)), width=40)
    assert max(map(len, lines)) <= 40
    joined = "".join(line.strip() for line in lines)
    assert "n" * 60 in joined
    assert "b" * 50 in joined
