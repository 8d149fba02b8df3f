"""postgres and redis change their cluster by their own replication: every acknowledged write arrives, within seconds."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator

import pytest

from portable.errors import ClusterError
from portable.events import nowhere
from portable.migrate.databases import pods, ways
from portable.migrate.sides import Side
from tests.e2e.conftest import AppUnderTest, Cluster, Portable, wait
from tests.e2e.databases_moving import Moving, both_ends, postgres_writer, redis_writer
from tests.soak import drawn

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

# How long the writers write before they are stopped.
_WRITING = 1.5
_CATCH_UP = 60.0
_TABLES = """
CREATE TABLE acknowledged (writer text, number bigint, PRIMARY KEY (writer, number));
CREATE TABLE items (id serial PRIMARY KEY, name text, data bytea);
INSERT INTO items (name, data) SELECT 'item ' || n, decode(md5(n::text), 'hex') FROM generate_series(1, 20000) AS n;
"""


@pytest.fixture(scope="module")
def moving(
    portable: Portable,
    cluster: Cluster,
    movers_image: None,
    leave: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Moving]:
    """The tests stand in order: follow, switch, and what is left."""
    file = tmp_path_factory.mktemp("moving") / "moving.yaml"
    app = AppUnderTest(f"moving-{secrets.token_hex(2)}", cluster, file, portable)
    with both_ends(app, ["db", "cache"], leave) as made:
        made.sql(made.source, _TABLES)
        made.redis(
            made.source, "SET plain value\nHSET hash a 1 b 2\nZADD scores 1.5 x 2 y\nSADD set m n o\nSETEX soon 3600 v"
        )
        made.redis(made.source, "\n".join(f"SET key:{n} {n * 'v'}" for n in range(300)))
        yield made


def users(moving: Moving, side: Side) -> str:
    return moving.sql(side, "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_';")


def settings(moving: Moving, side: Side) -> str:
    return moving.sql(
        side,
        "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_file_settings"
        " WHERE sourcefile LIKE '%auto.conf'; SELECT string_agg(line_number || type || array_to_string(database, ','), ' ')"
        " FROM pg_hba_file_rules; SELECT count(*) FROM pg_replication_slots;",
    )


def test_both_follow_while_the_source_serves(moving: Moving) -> None:
    assert [(way.name, way.how) for way in ways(moving.sides, nowhere)] == [
        ("db", "replication"),
        ("cache", "replication"),
    ]
    for name in ("db", "cache"):
        moving.replication(name).start(moving.primary(name))
        assert moving.replication(name).lag().streaming
    assert moving.sql(moving.target, "SELECT count(*), pg_is_in_recovery() FROM items;") == "20000|t"


@drawn(0, of=5)
def test_a_standby_that_was_killed_follows_again(moving: Moving) -> None:
    """`start` again is what `resume` does; what has been copied is not copied again."""
    before = moving.sql(moving.target, "SELECT system_identifier FROM pg_control_system();")
    for name in ("db", "cache"):
        restart(moving, name)
    for name in ("db", "cache"):
        moving.replication(name).start(moving.primary(name))
        assert moving.replication(name).lag().streaming
    assert moving.sql(moving.target, "SELECT system_identifier FROM pg_control_system();") == before


@drawn(1, of=5)
def test_a_redis_that_was_started_again_does_not_take_over_for_one_that_has_everything(moving: Moving) -> None:
    restart(moving, "cache")
    with pytest.raises(ClusterError, match="may lack the last writes"):
        moving.replication("cache").promote()
    moving.replication("cache").start(moving.primary("cache"))


def restart(moving: Moving, name: str) -> None:
    """The target's pod is deleted, and its next one runs."""
    kube, namespace = moving.target.kube, moving.target.namespace
    killed = kube.get("v1", "Pod", f"{name}-0", namespace)
    assert killed is not None
    kube.delete("v1", "Pod", f"{name}-0", namespace, propagation="Background")
    assert kube.wait_gone("v1", "Pod", f"{name}-0", namespace, uid=killed["metadata"]["uid"], timeout=150)
    wait(lambda: pods.is_running(moving.target, name), "the target runs", seconds=90)


@drawn(2, of=5)
def test_after_a_rehearsal_the_target_follows_anew(moving: Moving) -> None:
    for name in ("db", "cache"):
        moving.replication(name).promote(rehearsal=True)
    moving.sql(moving.target, "INSERT INTO items (name) VALUES ('rehearsed');", tcp=True)
    moving.redis(moving.target, "SET rehearsed 1")
    moving.sql(moving.source, "INSERT INTO items (name) VALUES ('meanwhile');", tcp=True)
    for name in ("db", "cache"):
        moving.replication(name).start(moving.primary(name))
    asked = "SELECT string_agg(name, ' ') FROM items WHERE name IN ('rehearsed', 'meanwhile');"
    wait(
        lambda: moving.sql(moving.target, asked) == "meanwhile",
        "what was written meanwhile is on the target",
        seconds=90,
    )
    assert moving.redis(moving.target, "EXISTS rehearsed") == "0"


@drawn(3, of=5)
def test_a_cut_network_is_named_and_afterwards_the_standby_goes_on_where_it_was(moving: Moving) -> None:
    for name in ("db", "cache"):
        moving.cut(name)
    wait(
        lambda: not any(moving.replication(name).lag().streaming for name in ("db", "cache")),
        "the standbys notice",
        seconds=90,
    )
    assert not moving.replication("db").lag().lost
    with pytest.raises(ClusterError, match="has not caught up within"):
        moving.replication("db").caught_up("FF/0", 0.5)
    moving.sql(moving.source, "INSERT INTO items (name) SELECT 'cut ' || n FROM generate_series(1, 1000) AS n;")
    began = moving.sql(moving.target, "SELECT pg_last_wal_replay_lsn();")
    for name in ("db", "cache"):
        moving.replication(name).start(moving.primary(name))
    assert moving.sql(moving.target, f"SELECT pg_last_wal_replay_lsn() >= '{began}';") == "t"
    wait(
        lambda: moving.sql(moving.target, "SELECT count(*) FROM items WHERE name LIKE 'cut %';") == "1000",
        "what was written while cut off is on the target",
        seconds=90,
    )


@drawn(4, of=5)
def test_a_standby_that_lost_what_it_needs_is_named_and_seeded_anew(moving: Moving) -> None:
    """The source keeps no more for it than its bound: its own disk comes first."""
    free, bound = moving.sql(
        moving.source, "SELECT setting, unit FROM pg_settings WHERE name = 'max_slot_wal_keep_size';"
    ).split("|")
    assert (int(free) > 0, bound) == (True, "MB"), "the slot is bounded"
    moving.cut("db")
    moving.sql(moving.source, "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'; SELECT pg_reload_conf();")
    for _ in range(4):
        moving.sql(moving.source, "SELECT pg_switch_wal(); CHECKPOINT; INSERT INTO items (name) VALUES ('lost');")
    wait(lambda: moving.replication("db").lag().lost, "the slot is lost", seconds=90)
    assert moving.replication("db").lag().detail == "the source has dropped the log that it needs"
    moving.sql(moving.source, f"ALTER SYSTEM SET max_slot_wal_keep_size = '{free}MB'; SELECT pg_reload_conf();")
    moving.replication("db").start(moving.primary("db"))
    assert moving.replication("db").lag().streaming
    wait(
        lambda: moving.sql(moving.target, "SELECT count(*) FROM items WHERE name = 'lost';") == "4",
        "what was written after the loss is on the target",
        seconds=90,
    )


def test_what_is_promoted_unasked_is_refused(moving: Moving) -> None:
    for name in ("db", "cache"):
        with pytest.raises(ClusterError, match="takes writes"):
            moving.replication(name).promote()


def test_every_acknowledged_postgres_write_arrives(moving: Moving, say: Callable[[str], None]) -> None:
    replication = moving.replication("db")
    assert 1e6 < replication.size() < 1e9
    with postgres_writer(moving.source, "fresh") as fresh, postgres_writer(moving.source, "kept") as kept:
        time.sleep(_WRITING)
        began = time.monotonic()
        position = replication.fence_source()
        moving.replication("db").caught_up(position, _CATCH_UP)
        caught_up = time.monotonic()
        source, target = replication.digests()
        compared = time.monotonic()
        moving.replication("db").promote()
        ended = time.monotonic()
    assert source == target
    parts = f"{caught_up - began:.2f} s, compared in {compared - caught_up:.2f} s, promoted in {ended - compared:.2f} s"
    say(f"postgres: fenced and caught up in {parts}")
    for writer in (fresh, kept):
        assert writer.acknowledged, "nothing was written: the test shows nothing"
        stored = moving.sql(moving.target, "SELECT number FROM acknowledged;").split()
        assert {*map(str, writer.acknowledged)} <= set(stored)
    say(f"postgres: {len(fresh.acknowledged) + len(kept.acknowledged)} acknowledged writes, all there")


def test_every_acknowledged_redis_write_arrives(moving: Moving, say: Callable[[str], None]) -> None:
    replication = moving.replication("cache")
    with redis_writer(moving.source) as writer:
        time.sleep(_WRITING)
        began = time.monotonic()
        position = replication.fence_source()
        moving.replication("cache").caught_up(position, _CATCH_UP)
        moving.replication("cache").promote()
        seconds = time.monotonic() - began
    say(f"redis: fenced to promoted in {seconds:.2f} s, {len(writer.acknowledged)} acknowledged writes")
    assert writer.acknowledged, "nothing was written: the test shows nothing"
    assert int(moving.redis(moving.target, "LLEN acknowledged")) >= max(writer.acknowledged)
    source, target = replication.digests()
    assert source == target


def test_the_target_takes_writes_with_its_own_password_and_follows_nobody(moving: Moving) -> None:
    assert moving.sql(moving.target, "INSERT INTO items (name) VALUES ('new') RETURNING name;", tcp=True) == "new"
    assert "master" in moving.redis(moving.target, "SET new value\nROLE")
    assert users(moving, moving.target) == "db"
    kube, namespace = moving.target.kube, moving.target.namespace
    assert not kube.list("v1", "Secret", namespace, label_selector="portable.dev/migration,portable.dev/database")
    assert not kube.list("batch/v1", "Job", namespace)


def test_a_digest_tells_a_difference(moving: Moving) -> None:
    for name in ("db", "cache"):
        source, target = moving.replication(name).digests()
        assert source != target


def test_afterwards_the_source_is_as_it_was(moving: Moving) -> None:
    for name in ("db", "cache"):
        replication = moving.replication(name)
        replication.unfence_source()
        replication.stop()
        replication.stop()
    assert users(moving, moving.source) == "db"
    assert settings(moving, moving.source) == settings(moving, moving.target)
    assert moving.sql(moving.source, "INSERT INTO items (name) VALUES ('back') RETURNING name;", tcp=True) == "back"
    assert moving.redis(moving.source, "SET back 1") == "OK"
    kept = int(moving.sql(moving.target, "SELECT count(*) FROM items;"))
    assert kept > 20000, "what was promoted is nobody's to delete"
