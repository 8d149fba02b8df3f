"""Placeholders, cron, quantities, images, patches, profile limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from portable.errors import SpecError
from portable.provider import IngressProfile, Profile, StorageProfile
from portable.spec.cron import cron_fault
from portable.spec.images import image_fault, is_pinned
from portable.spec.model import Database, Secret, Volume
from portable.spec.outputs import is_confidential, outputs
from portable.spec.patches import apply_patch, merge_patch, missing_target
from portable.spec.placeholders import Placeholder, parse, replace
from portable.spec.profile import check_profile
from portable.spec.quantities import parse_duration, parse_quantity
from tests.unit.spec.specs import FULL, load

pytestmark = pytest.mark.unit

HOST = Placeholder(("resources", "db", "host"))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain $x $", ("plain $x $",)),
        ("${resources.db.host}", (HOST,)),
        ("a${resources.db.host}b", ("a", HOST, "b")),
        ("$${resources.db.host}", ("${resources.db.host}",)),
        ("$$$${resources.db.host}", ("$${resources.db.host}",)),
        ("$$${resources.db.host}", ("$", HOST)),
        ("5$$", ("5$",)),
        ("${open", ("${open",)),
        ("${a${resources.db.host}", ("${a", HOST)),
        ("${resources.c.app\\.conf}", (Placeholder(("resources", "c", "app.conf")),)),
        ("${}", (Placeholder(("",)),)),
    ],
)
def test_placeholders(text: str, parts: tuple[str | Placeholder, ...]) -> None:
    assert parse(text) == parts


def test_braces_that_are_never_closed_take_no_time_by_the_square() -> None:
    text = "${" * 300_000
    assert parse(text) == (text,)


def test_a_placeholder_reads_as_it_was_written() -> None:
    assert str(Placeholder(("resources", "c", "app.conf"))) == "${resources.c.app\\.conf}"
    placeholder = Placeholder(("resources", "tls", "tls", "crt"))
    assert (placeholder.root, placeholder.name, placeholder.output) == ("resources", "tls", "tls.crt")


def test_replace_leaves_the_rest_as_written() -> None:
    text = "$${a} ${metadata.name} ${resources.x}"
    assert replace(text, lambda found: "$1" if found.root == "metadata" else None) == "$${a} $$1 ${resources.x}"


def test_outputs() -> None:
    assert outputs(Database("db", "postgres")) == ("host", "port", "name", "database", "username", "password", "url")
    assert outputs(Volume("v", "1Gi")) == ()
    assert is_confidential(Secret("s"), "value")
    assert is_confidential(Database("db", "redis"), "url")
    assert not is_confidential(Database("db", "redis"), "host")


@pytest.mark.parametrize(
    "schedule",
    [
        "* * * * *",
        "*/5 0-3,5 1 JAN-mar sun",
        "0 3 * * 1-5",
        "1/2 ? ? * ?",
        "@daily",
        "@hourly",
        "59 23 31 12 6",
        " 0 0 * * * ",
    ],
)
def test_cron_that_kubernetes_takes(schedule: str) -> None:
    assert cron_fault(schedule) is None


@pytest.mark.parametrize(
    ("schedule", "fault"),
    [
        ("* * * *", "4 fields"),
        ("* * * * * *", "6 fields"),
        ("60 * * * *", "outside 0-59"),
        ("* 24 * * *", "outside 0-23"),
        ("* * 0 * *", "outside 1-31"),
        ("* * * 13 *", "outside 1-12"),
        ("* * * * 7", "outside 0-6"),
        ("5-1 * * * *", "backwards"),
        ("*/0 * * * *", "no step"),
        ("*/x * * * *", "no step"),
        ("1,,2 * * * *", "is no number"),
        ("1-2-3 * * * *", "is no number"),
        ("L * * * *", "is no number"),
        ("-1 * * * *", "is no number"),
        ("* * * foo *", "is no number"),
        ("@reboot", "is not one of"),
        ("CRON_TZ=UTC 0 0 * * *", "time zone"),
        ("", "0 fields"),
        ("² * * * *", "is no number"),
    ],
)
def test_cron_that_kubernetes_refuses(schedule: str, fault: str) -> None:
    assert fault in (cron_fault(schedule) or "")


def test_durations_and_quantities() -> None:
    assert [parse_duration(text) for text in ("90s", "10m", "1h30m", "1h2m3s")] == [90, 600, 5400, 3723]
    assert parse_quantity("500m") * 2 == parse_quantity("1") == parse_quantity("1.0")
    assert parse_quantity("1Gi") == 1024 * parse_quantity("1Mi") > parse_quantity("1G")
    for wrong in ("", "10", "1d", "m", "1m1h"):
        with pytest.raises(ValueError, match="no duration"):
            parse_duration(wrong)
    with pytest.raises(ValueError, match="no quantity"):
        parse_quantity("1 Gi")


@pytest.mark.parametrize(
    ("image", "pinned"),
    [
        ("nginx", False),
        ("nginx:latest", False),
        ("nginx:1", True),
        ("localhost:5000/a/b", False),
        ("localhost:5000/a/b:v1", True),
        ("ghcr.io/acme/api@sha256:" + "a" * 64, True),
        ("a:latest@sha256:" + "a" * 64, True),
        ("docker.io/library/a_b__c.d-e:1.0-rc", True),
    ],
)
def test_images(image: str, pinned: bool) -> None:
    assert (image_fault(image), is_pinned(image)) == (None, pinned)


@pytest.mark.parametrize(
    "image", ["", " a", "a b", "http://a", "A", "a:", "a@sha256:1", "a:b:c", "a//b", "a/", "x" * 501, "a:ü"]
)
def test_no_images(image: str) -> None:
    assert image_fault(image)


# RFC 7386, appendix A
MERGES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), MERGES)
def test_merge_patch(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2}}


def _patched(tmp_path: Path, body: str) -> dict[str, Any]:
    spec = FULL.replace(
        "target: Service/web, merge: {metadata: {labels: {team: shop}}}", f"target: Deployment/web, {body}"
    )
    app = load(tmp_path, spec).app
    return apply_patch(app, app.patches["team"], DEPLOYMENT)


def test_patches_apply_merge_then_json(tmp_path: Path) -> None:
    body = "merge: {spec: {replicas: null, paused: true}}, json: [{op: test, path: /spec/paused, value: true}, {op: add, path: /spec/x, value: {a: [1]}}]"
    result = _patched(tmp_path, body)
    assert result["spec"] == {"paused": True, "x": {"a": [1]}}
    assert DEPLOYMENT["spec"] == {"replicas": 2}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("json: [{op: remove, path: /spec/nope}]", "does not apply to Deployment/web"),
        ("json: [{op: test, path: /spec/replicas, value: 3}]", "does not apply"),
        ("json: [{op: replace, path: /spec/replicas/x, value: 3}]", "does not apply"),
        ("json: [{op: replace, path: '', value: 3}]", "another kind of object"),
        ("merge: {kind: Job}", "another kind of object"),
        ("merge: {metadata: {name: other}}", "renames"),
        ("merge: {metadata: null}", "renames"),
    ],
)
def test_patches_that_do_not_apply(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        _patched(tmp_path, body)
    (problem,) = caught.value.problems
    assert message in problem.message
    assert problem.source_line.strip().startswith("team:")


def test_a_patch_for_nothing(tmp_path: Path) -> None:
    app = load(tmp_path, FULL).app
    (problem,) = missing_target(app, app.patches["team"], ["Service/wep", "Deployment/web"]).problems
    assert 'did you mean "Service/wep"?' in problem.hint


def _profile(**unsupported: str) -> Profile:
    storage, ingress = StorageProfile("block", None, True), IngressProfile("web")
    return Profile(
        "test", "Testland", 2, storage, ingress, unsupported={k.replace("__", "."): v for k, v in unsupported.items()}
    )


def test_what_a_cloud_cannot_honour_is_an_error_at_its_place(tmp_path: Path) -> None:
    limits = {
        "workloads.*.identity": "it has no identities",
        "resources.*.access=shared": "it has no shared volumes",
        "workloads.*.kind=job": "no jobs",
        "workloads.*.security.egress.*": "no egress",
    }
    profile = _profile(**limits)
    with pytest.raises(SpecError) as caught:
        load(tmp_path, FULL, profile_check=lambda app: check_profile(app, profile))
    found = {problem.path: problem for problem in caught.value.problems}
    assert set(found) == {
        "workloads.web.identity",
        "workloads.setup.kind",
        *(f"workloads.web.security.egress.{n}" for n in range(3)),
    }
    problem = found["workloads.web.identity"]
    assert problem.message == "Testland cannot honour workloads.web.identity: it has no identities"
    assert (problem.source_line.strip(), problem.column) == ("identity: reader", 5)
    overlay = problem.hint.partition("`")[2].rstrip("`")
    assert overlay == "environments: {NAME: {cloud: test, workloads: {web: {identity: null}}}}"
    assert found["workloads.web.security.egress.0"].hint == ""  # an overlay takes no item out of a list


def test_a_cloud_that_can_do_all_of_it(tmp_path: Path) -> None:
    profile = _profile(**{"resources.*.access=shared": "no"})
    assert load(tmp_path, FULL, profile_check=lambda app: check_profile(app, profile)).warnings == ()
