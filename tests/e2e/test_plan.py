"""Plans: what they list, what they never show, and what `up --plan` refuses. The tests stand in order, on one app."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import leaks
from tests.e2e.conftest import HELLO, AppUnderTest, Portable, app

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
FIRST, SECOND = "first-value-4c1d9e0b7a", "second-value-86aa0f35de"
RESOURCES = {"token": {"type": "secret"}, "texts": {"type": "config", "data": {"welcome": "hello"}}}


def workloads(greeting: str = "Hello") -> dict[str, Any]:
    variables = {"GREETING": greeting, "TOKEN": "${resources.token.value}", "WELCOME": "${resources.texts.welcome}"}
    main = {**HELLO["containers"]["main"], "variables": variables}
    return {"web": {**HELLO, "containers": {"main": main}}, "other": dict(HELLO)}


def changes(plan: dict[str, Any]) -> dict[str, dict[str, tuple[Any, Any]]]:
    """object -> field -> (before, after), of all that would change."""
    return {
        f"{change['operation']} {change['name']}": {
            field["path"]: (field["before"], field["after"]) for field in change["fields"]
        }
        for change in (*plan["cluster"], *plan["app"])
        if change["operation"] != "same"
    }


def write(under: AppUnderTest, greeting: str = "Hello") -> None:
    under.write(workloads(greeting), resources=RESOURCES)


def test_without_a_cluster_the_plan_is_computed_offline(portable: Portable, images: None, tmp_path: Path) -> None:
    file = tmp_path / "portable.yaml"
    file.write_text(app("nowhere", "nowhere-at-all", workloads(), resources=RESOURCES))
    run = portable("plan", "--cloud", "kind", "--detailed-exitcode", "--output", "json", file, code=3)
    plan = run.json()
    assert plan["offline"] is True
    assert plan["missing"] == ["token"]
    assert {change["operation"] for change in (*plan["cluster"], *plan["app"])} == {"create"}
    assert [change["name"] for change in plan["cluster"]] == ["cluster", "addons"]
    assert {"Namespace/nowhere", "Deployment/web", "Deployment/other", "Service/web"} <= {
        c["name"] for c in plan["app"]
    }
    text = portable("plan", "--cloud", "kind", file).out
    assert "there is no cluster yet: the app's part is computed offline" in text
    portable("status", "--cloud", "kind", file, code=1)  # still no cluster


def test_a_new_app_is_planned_against_the_cluster_and_nothing_is_made(module_app: AppUnderTest) -> None:
    write(module_app)
    plan = module_app.run("plan", "--output", "json", "--detailed-exitcode", code=3).json()
    assert plan["offline"] is False
    assert Counter(change["operation"] for change in plan["app"]) == {"create": len(plan["app"])}
    assert {change["operation"] for change in plan["cluster"]} == {"same"}
    assert plan["missing"] == ["token"]
    assert module_app.cluster.kube.get("v1", "Namespace", module_app.namespace) is None


def test_what_was_planned_is_applied_and_then_there_is_nothing_to_plan(
    module_app: AppUnderTest, tmp_path: Path
) -> None:
    module_app.run("secret set", "token", stdin=FIRST)
    module_app.run("plan", "--out", tmp_path / "plan")
    assert module_app.up("--plan", tmp_path / "plan")["changed"] is True
    assert {name: len(uids) for name, uids in module_app.pod_uids().items()} == {"web": 1, "other": 1}
    assert "nothing to change" in module_app.run("plan", "--detailed-exitcode", code=0).out


def test_a_plan_lists_exactly_the_fields_that_change(module_app: AppUnderTest) -> None:
    write(module_app, greeting="Good morning")
    run = module_app.run("plan", "--output", "json", "--detailed-exitcode", code=3)
    found = changes(run.json())
    assert found.keys() == {"update Deployment/web"}
    fields = found["update Deployment/web"]
    assert fields.pop("spec.template.spec.containers[main].env[GREETING].value") == ("Hello", "Good morning")
    digest = fields.pop("spec.template.metadata.annotations[portable.dev/digest]")
    assert fields == {}
    assert digest[0] != digest[1]
    text = module_app.run("plan", "--verbose").out
    assert '"Hello"  => "Good morning"' in text
    assert "1 to update" in text


def test_a_changed_secret_shows_as_a_digest_and_never_as_a_value(module_app: AppUnderTest, tmp_path: Path) -> None:
    write(module_app)
    module_app.run("plan", "--out", tmp_path / "plan")
    module_app.run("secret set", "token", stdin=SECOND)
    run = module_app.run("plan", "--output", "json", "--detailed-exitcode", code=3)
    found = changes(run.json())
    assert found.keys() == {"update Deployment/web"}
    assert all("annotations" in path for path in found["update Deployment/web"])
    said = run.out + run.err + (tmp_path / "plan").read_text()
    assert not any(form.decode() in said for value in (FIRST, SECOND) for form in leaks.forms(value))
    refused = module_app.run("up", "--plan", tmp_path / "plan", code=1)
    assert "a secret, an image or a profile" in refused.err
    assert "plan again" in refused.err


def test_a_cluster_that_is_made_anew_loses_what_was_set_and_the_plan_says_so(module_app: AppUnderTest) -> None:
    before = module_app.file.read_text()
    spec = yaml.safe_load(before)
    module_app.file.write_text(yaml.safe_dump({**spec, "cluster": {**spec["cluster"], "nodes": {"min": 2}}}))
    said = module_app.run("plan").out
    module_app.file.write_text(before)
    assert "the cluster is made anew and what is set of token goes with it: give it to `up --secret`" in said
    assert "made anew" not in module_app.run("plan").out


def test_up_refuses_a_plan_of_another_spec_or_of_an_earlier_state(module_app: AppUnderTest, tmp_path: Path) -> None:
    write(module_app, greeting="planned")
    module_app.run("plan", "--out", tmp_path / "plan")
    write(module_app, greeting="sneaked in")
    refused = module_app.run("up", "--plan", tmp_path / "plan", code=1)
    assert "the plan no longer fits" in refused.err
    assert "the spec has changed" in refused.err
    assert "GREETING" not in json.dumps(json.loads((tmp_path / "plan").read_text())), "a plan file holds digests"
    assert "Hello" in json.dumps(module_app.get("apps/v1", "Deployment", "web")), "nothing was applied"
    write(module_app, greeting="planned")  # the plan fits again, until another `up` is faster
    module_app.up()
    refused = module_app.run("up", "--plan", tmp_path / "plan", code=1)
    assert "the app was changed by another operation" in refused.err
    assert "the spec has changed" not in refused.err


def test_what_is_no_plan_file_is_refused(module_app: AppUnderTest, tmp_path: Path) -> None:
    (tmp_path / "plan").write_text("apiVersion: portable/v1")
    assert "is no plan file" in module_app.run("up", "--plan", tmp_path / "plan", code=2).err
