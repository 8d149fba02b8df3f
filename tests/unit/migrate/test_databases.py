"""How a database moves, and what is made for it: no cluster is asked."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from portable.compile import compile_app
from portable.compile.names import WORKLOAD_LABEL
from portable.home import Home
from portable.migrate.databases import Way, choice, pods, seed, sql, ways
from portable.migrate.databases.choice import major
from portable.migrate.sides import Side, Sides
from portable.provider import Profile
from portable.spec.model import Database
from portable.target import Target
from tests.unit.compile.apps import PROFILE, app, workload

pytestmark = pytest.mark.unit

DB, CACHE = Database("db", "postgres"), Database("cache", "redis")


class _Silent:
    """A cluster in which nothing runs."""

    def get(self, *_: Any) -> None:
        return None


class _Named:
    name = "test"
    title = "Testland"


def side(role: Any, profile: Profile = PROFILE) -> Side:
    shop = app(workload(), resources=(DB, CACHE))
    named: Any = _Named()
    silent: Any = _Silent()
    from pathlib import Path

    opened = Target(Path("portable.yaml"), shop, named, profile, Home("shop", None, "test", role), (), {})
    return Side(role, opened, silent, compile_app(shop, profile))


def sides(source: Profile = PROFILE, target: Profile = PROFILE) -> Sides:
    return Sides("m1", side("source", source), side("target", target))


def _images(postgres: str, redis: str) -> Profile:
    return replace(PROFILE, images={**PROFILE.images, "postgres": postgres, "redis": redis})


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("postgres:17.11@sha256:aa11", 17),
        ("registry.example:5000/library/postgres:16", 16),
        ("portable/postgres:15-bookworm", 15),
        ("registry.example:5000/postgres", None),
        ("postgres@sha256:11aa", None),
        ("postgres:latest", None),
    ],
)
def test_the_major_version_is_read_from_the_tag(image: str, found: int | None) -> None:
    assert major(image) == found


def test_what_no_server_can_follow_is_refused_with_what_to_change() -> None:
    found = ways(
        sides(_images("postgres:15.2", "redis:8.2"), _images("postgres:17.1", "redis:7.4")), lambda _event: None
    )
    assert [(way.name, way.how) for way in found] == [("db", "refused"), ("cache", "refused")]
    assert "PostgreSQL 15 cannot be followed" in found[0].why
    assert "give resources.db.version" in found[0].why


def test_a_newer_redis_follows_an_older_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "is_running", lambda _side, _name: True)
    monkeypatch.setattr(pods, "run", lambda *_arguments, **_given: "used_memory:2048\r\n")
    monkeypatch.setattr(sql, "ask", lambda _side, _name, _statement: "0")
    found = ways(sides(_images("postgres:17", "redis:7.4"), _images("postgres:17.2", "redis:8.0")), lambda _event: None)
    assert [(way.how, way.size) for way in found] == [("replication", 0), ("replication", 2048)]


def test_what_does_not_run_moves_by_its_files() -> None:
    found = ways(sides(), lambda _event: None)
    assert {way.how for way in found} == {"files"}
    assert isinstance(found[0], Way)


def test_what_replication_leaves_out_moves_by_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "is_running", lambda _side, _name: True)
    monkeypatch.setattr(pods, "run", lambda *_arguments, **_given: "used_memory:2048\r\n")
    monkeypatch.setattr(sql, "ask", lambda _side, _name, asked: "1" if asked == choice._UNLOGGED else "0")
    found = {way.name: way for way in ways(sides(), lambda _event: None)}
    assert found["db"].how == "files"
    assert "unlogged tables" in found["db"].why
    assert found["cache"].how == "replication"


def test_a_verifier_is_salted_and_holds_no_password() -> None:
    first, second = sql.verifier("secret-password"), sql.verifier("secret-password")
    assert first != second
    assert "secret-password" not in first
    scheme, rounds, keys = first.split("$")
    assert (scheme, rounds.partition(":")[0], len(keys.split(":"))) == ("SCRAM-SHA-256", "4096", 2)


def test_the_seeding_job_is_the_databases_own_pod_without_its_labels_and_passwords() -> None:
    job = seed._job(sides(), "db", "seed", "true", {"SLOT": "portable_m1"})
    template = job["spec"]["template"]
    assert WORKLOAD_LABEL not in template["metadata"]["labels"], "no Service may lead to it"
    compiled = pods.stateful_set(side("target"), "db")["spec"]["template"]["spec"]
    container = template["spec"]["containers"][0]
    assert container["image"] == compiled["containers"][0]["image"]
    assert template["spec"]["securityContext"] == compiled["securityContext"]
    assert "POSTGRES_PASSWORD" not in json.dumps(container)
    assert {"name": "PGDATA", "value": "/data/pgdata"} in container["env"]
    assert compiled["containers"][0].get("readinessProbe"), "the compiled one is not changed"
