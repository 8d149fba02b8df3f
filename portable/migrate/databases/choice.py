"""Replication, files or neither: what a database's versions and content allow."""

from __future__ import annotations

import re

from portable.events import Emit
from portable.migrate.databases import pods, sql
from portable.migrate.databases.model import Replication, Way
from portable.migrate.databases.postgres import Postgres
from portable.migrate.databases.redis import Redis
from portable.migrate.sides import Sides
from portable.spec.model import Database

_UNLOGGED = "SELECT count(*) FROM pg_class WHERE relpersistence = 'u' AND relkind IN ('r', 'S');"
_TABLESPACES = "SELECT count(*) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global');"


def replication(sides: Sides, name: str, emit: Emit) -> Replication:
    """Raises UsageError where the app has no such database."""
    kind = pods.database(sides.source, name).type
    return Postgres(sides, name, emit) if kind == "postgres" else Redis(sides, name, emit)


def ways(sides: Sides, emit: Emit) -> tuple[Way, ...]:
    """For each database of the app, in the spec's order. Asks those that run; changes nothing."""
    databases = [each for each in sides.source.app.app.resources.values() if isinstance(each, Database)]
    return tuple(_way(sides, each, emit) for each in databases)


def _way(sides: Sides, database: Database, emit: Emit) -> Way:
    name, kind = database.name, database.type
    images = [str(pods.container(side, name)["image"]) for side in (sides.source, sides.target)]
    judge = {"postgres": _postgres_versions, "redis": _redis_versions}[kind]
    refused = "" if images[0] == images[1] else judge(*map(major, images))
    if refused:
        fix = f"give resources.{name}.version the source's in the target's environment"
        return Way(name, kind, "refused", f"{refused}: {fix}")
    if not pods.is_running(sides.source, name):
        return Way(name, kind, "files", "it does not run on the source, so that it cannot be followed")
    if kind == "postgres" and (why := _not_replicated(sides, name)):
        return Way(name, kind, "files", why)
    size = replication(sides, name, emit).size()
    return Way(name, kind, "replication", "followed while the source serves, then switched within seconds", size)


def major(image: str) -> int | None:
    """The major version in an image's tag: "postgres:17.11@sha256:..." -> 17; None: it has none."""
    found = re.search(r":(\d+)[^/]*$", image.partition("@")[0])
    return int(found[1]) if found else None


def _postgres_versions(source: int | None, target: int | None) -> str:
    if source == target:
        return ""
    return f"PostgreSQL {source} cannot be followed, nor its files be read, by {target}"


def _redis_versions(source: int | None, target: int | None) -> str:
    if source is None or target is None or source <= target:
        return ""
    return f"Redis {source} cannot be followed, nor its files be read, by the older {target}"


def _not_replicated(sides: Sides, name: str) -> str:
    """What a postgres holds that a physical standby would not get; empty: nothing."""
    if sql.ask(sides.source, name, _UNLOGGED) != "0":
        return "it has unlogged tables, whose rows replication leaves out"
    if sql.ask(sides.source, name, _TABLESPACES) != "0":
        return "it has tablespaces of its own, which a standby would look for at other places"
    return ""
