"""From a valid spec to the model: values, defaults, derived kinds, digests, places."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from portable.errors import SpecError, UsageError
from portable.spec.model import (
    Availability,
    Cluster,
    Config,
    Database,
    File,
    HttpGet,
    Mount,
    Nodes,
    Patch,
    Port,
    Probe,
    Registry,
    Rollout,
    Route,
    Scale,
    Secret,
    Security,
    Volume,
)
from tests.unit.spec.specs import FULL, HEAD, load, with_workload

pytestmark = pytest.mark.unit
MAIN = "containers: {main: {image: 'a:1'}}"


def test_every_key_arrives_in_the_model(tmp_path: Path) -> None:
    loaded = load(tmp_path, FULL)
    app = loaded.app
    assert loaded.warnings == ()
    assert loaded.environments == {"prod": "gcp", "dev": None}
    assert (app.name, app.environment, app.cloud, app.namespace) == ("shop", None, None, "shop")
    web = app.workloads["web"]
    assert (web.kind, web.identity, web.schedule) == ("service", "reader", None)
    assert web.scale == Scale(2, 5, 70, None)
    assert web.rollout == Rollout("25%", 1, 3723, "stop")
    assert web.availability == Availability("hard", "none")
    assert web.security == Security(1000, ("/tmp",), "restricted", ("api", "db", "10.0.0.0/8"))
    assert web.ports == {"http": Port("http", 80, 8080), "stats": Port("stats", 9000, 9000, "UDP")}
    assert web.routes == {"public": Route("public", "shop.example.com", "/", "http", "certificate")}
    assert web.after == {"api": "ready", "setup": "complete"}
    assert web.annotations == {"example.com/team": "shop"}
    main = web.containers["main"]
    assert (main.command, main.args) == (("/app/web",), ("--port", "8080"))
    assert main.variables == {"API": "http://${workloads.api.host}:${workloads.api.port.http}", "PRICE": "5$$"}
    assert main.files["/etc/app.conf"] == File("/etc/app.conf", "name = shop", mode="0644")
    assert main.files["/etc/blob"] == File("/etc/blob", binary=b"\x00\x30\x60\xc2\x90", expand=False)
    assert main.volumes == {"/certs": Mount("/certs", "certificate", read_only=True)}
    assert (main.resources.requests, main.resources.limits) == ({"cpu": "0.1", "memory": "64Mi"}, {"memory": "128Mi"})
    assert main.liveness == Probe(http=HttpGet("/live", "http", headers={"X-A": "b"}), period=5)
    assert main.readiness == Probe(exec=("/ready",), success_threshold=2)
    assert main.startup == Probe(tcp=8080, failure_threshold=30)
    assert web.containers["migrate"].before == {"main": "complete"}
    assert app.workloads["api"].scale == Scale(3, 3)
    assert app.resources == {
        "db": Database("db", "postgres", "17", "10Gi"),
        "cache": Database("cache", "redis"),
        "data": Volume("data", "5Gi"),
        "certificate": Secret("certificate", ("tls.crt", "tls.key")),
        "token": Secret("token"),
        "settings": Config("settings", {"LOG_LEVEL": "info"}),
        "private": Registry("private", "registry.example.com"),
    }
    nodes = Nodes(1, 3, "4", "16Gi", True)
    assert app.cluster == Cluster("main", "1.33", nodes, {"default": nodes})
    merge = {"metadata": {"labels": {"team": "shop"}}}
    assert app.patches == {"team": Patch("team", "Service/web", "aws", merge)}


def test_kinds_that_are_left_out(tmp_path: Path) -> None:
    kinds = {name: workload.kind for name, workload in load(tmp_path, FULL).app.workloads.items()}
    expected = {
        "web": "service",
        "api": "service",
        "store": "stateful",
        "queue": "worker",
        "setup": "job",
        "nightly": "cron",
    }
    assert kinds == expected


def test_a_shared_volume_makes_nothing_stateful(tmp_path: Path) -> None:
    body = "containers: {main: {image: 'a:1', volumes: {/a: {source: '${resources.v.source}'}}}}"
    spec = with_workload(body, "resources: {v: {type: volume, size: 1Gi, access: shared}}\n")
    workload = load(tmp_path, spec).app.workloads["web"]
    assert (workload.kind, workload.containers["main"].volumes["/a"].source) == ("worker", "v")


def test_an_environment_is_merged_and_keeps_its_places(tmp_path: Path) -> None:
    app = load(tmp_path, FULL, "prod").app
    assert (app.environment, app.cloud, app.namespace) == ("prod", "gcp", "shop-prod")
    assert app.workloads["web"].scale == Scale(3, 5, 70)
    assert app.workloads["web"].identity is None
    assert app.workloads["web"].ports["http"].port == 80
    assert app.cluster.nodes == Nodes(3, 3, "4", "16Gi", True)
    line = 1 + next(n for n, text in enumerate(FULL.splitlines()) if "prod:" in text)
    assert app.positions["workloads.web.scale.min"].line == line
    assert app.positions["workloads.web.scale.max"].line < line
    assert "workloads.web.identity" not in app.positions


def test_problems_of_an_overlay_stand_in_the_overlay(tmp_path: Path) -> None:
    spec = with_workload(f"{MAIN}\nscale: {{min: 2}}", "environments:\n  prod: {workloads: {web: {scale: {max: 1}}}}\n")
    assert load(tmp_path, spec).warnings == ()
    with pytest.raises(SpecError) as caught:
        load(tmp_path, spec, "prod")
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(7, 18)]


def test_an_unknown_environment_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, FULL, "prd")
    assert (caught.value.detail, caught.value.fix) == ("it has: prod, dev", 'did you mean "prod"?')


def test_an_environment_may_add_and_remove_whole_workloads(tmp_path: Path) -> None:
    spec = with_workload(MAIN, f"environments: {{dev: {{workloads: {{web: null, other: {{{MAIN}}}}}}}}}\n")
    assert list(load(tmp_path, spec, "dev").app.workloads) == ["other"]


def test_places_of_names_with_dots(tmp_path: Path) -> None:
    positions = load(tmp_path, FULL).app.positions
    words = "workloads.web.containers.main.files./etc/app.conf.mode"
    assert FULL.splitlines()[positions[words].line - 1].strip().startswith("/etc/app.conf")
    assert words in set(positions)
    assert len(positions) == len(set(positions)) > 150
    assert "workloads.web.nope" not in positions
    assert positions["workloads.web.containers.main.args.1"].line == 1 + FULL.splitlines().index(
        '        args: [--port, "8080"]'
    )


def test_the_digest_is_of_the_meaning(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("one")
    spec = with_workload("containers: {main: {image: 'a:1', files: {/a: {source: page.html}}}}")
    first = load(tmp_path, spec).digest
    assert load(tmp_path, spec.replace("{main: ", "  # a comment\n      {main:   ")).digest == first
    assert load(tmp_path, spec.replace("a:1", "a:2")).digest != first
    (tmp_path / "page.html").write_text("two")
    assert load(tmp_path, spec).digest != first


def test_an_environment_has_a_digest_of_its_own(tmp_path: Path) -> None:
    assert load(tmp_path, FULL, "dev").digest != load(tmp_path, FULL).digest


def test_sources_are_read_as_text_or_bytes(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "text").write_text("I am ${metadata.name} $${x}")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    files = "{/t: {source: sub/text}, /r: {source: sub/text, noExpand: true}, /b: {source: ./sub/../bytes}}"
    spec = with_workload(f"containers: {{main: {{image: 'a:1', files: {files}}}}}")
    found = load(tmp_path, spec).app.workloads["web"].containers["main"].files
    assert found["/t"].content == "I am shop $${x}"
    assert found["/r"] == File("/r", "I am ${metadata.name} $${x}", expand=False)
    assert found["/b"] == File("/b", binary=b"\xff\xfe\x00", expand=False)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("big", "larger than 1 MiB"),
        ("folder", "is a folder"),
        ("outside", "outside the spec's folder"),
        ("loop", "loop"),
    ],
)
def test_sources_that_cannot_be_used(tmp_path: Path, source: str, message: str) -> None:
    folder = tmp_path / "spec"
    folder.mkdir()
    (folder / "big").write_bytes(b"x" * (1024 * 1024 + 1))
    (folder / "folder").mkdir()
    (tmp_path / "secret").write_text("x")
    (folder / "outside").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to("loop")
    with pytest.raises(SpecError) as caught:
        load(folder, with_workload(f"containers: {{main: {{image: 'a:1', files: {{/t: {{source: {source}}}}}}}}}"))
    assert message in caught.value.problems[0].message


def test_metadata_is_filled_in_and_dollars_survive(tmp_path: Path) -> None:
    head = HEAD.replace("{name: shop}", '{name: shop, annotations: {a.b/c: "5$ ${x}"}}')
    body = (
        "workloads: {web: {containers: {main: {image: 'a:1', variables: {V: '${metadata.annotations.a\\.b/c} $$'}}}}}"
    )
    app = load(tmp_path, head + body).app
    assert app.workloads["web"].containers["main"].variables["V"] == "5$$ $${x} $$"
    assert app.annotations == {"a.b/c": "5$ ${x}"}


def test_integers_written_as_floats(tmp_path: Path) -> None:
    workload = load(tmp_path, with_workload(f"{MAIN}\nscale: {{min: 2.0}}")).app.workloads["web"]
    assert json.dumps(workload.scale.min) == "2"
