"""PostgreSQL: a physical standby on the target, which then takes over.

What is made on the source, and taken away by `stop`: a role that may replicate, a line for it in pg_hba.conf, a replication slot,
and a bound to what the slot may keep, so that a standby that is away never fills the source's disk.
https://www.postgresql.org/docs/current/warm-standby.html
"""

from __future__ import annotations

import secrets

from portable.compile.outputs import username
from portable.errors import ClusterError
from portable.events import Emit, Notice
from portable.migrate.databases import pods, sql
from portable.migrate.databases.both import at_both, wait_for
from portable.migrate.databases.fence import FENCE, FENCED, UNFENCE, WITHOUT_REPLICATION, with_replication
from portable.migrate.databases.model import Lag
from portable.migrate.databases.seed import MARKER, PASSWORD_FILE, clear, secret_name, seed
from portable.migrate.sides import FIELD_MANAGER, Side, Sides
from portable.polling import Pending, poll

STREAM_SECONDS = 600.0
_DIGEST_SECONDS = 24 * 3600.0
_LAG = """\
SELECT coalesce(slot.wal_status, 'none'), coalesce(sender.state, '')
FROM (SELECT) AS one
LEFT JOIN pg_replication_slots AS slot ON slot.slot_name = '{slot}'
LEFT JOIN pg_stat_replication AS sender ON sender.pid = slot.active_pid AND sender.application_name = '{slot}';
"""
# Text that was sorted by other rules than the target's library has: found by the versions that the server keeps for that.
_COLLATIONS = """\
SELECT string_agg(DISTINCT name, ', ') FROM (
  SELECT datname AS name FROM pg_database WHERE datcollversion <> pg_database_collation_actual_version(oid)
  UNION SELECT collname FROM pg_collation WHERE collversion <> pg_collation_actual_version(oid)) AS changed;
"""
# Rows in their physical order, which a physical standby has too. Left out are the lines with a token of their own for each dump, and
# where sequences stand: a standby's are ahead by what the primary has logged in advance, which is right.
_DUMP = r"""set -euo pipefail
LEFT_OUT='/^\\\(un\)\{0,1\}restrict /d; /^SELECT pg_catalog\.setval(/d'
pg_dump --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" | sed "$LEFT_OUT" | sha256sum | cut -d' ' -f1
"""


class Postgres:
    """See `Replication`."""

    def __init__(self, sides: Sides, name: str, emit: Emit) -> None:
        self.name = name
        self._sides, self._emit = sides, emit
        self._source, self._target = sides.source, sides.target
        self._slot = f"portable_{sides.migration}"

    # -- follow ----------------------------------------------------------------------------------------------------

    def start(self, primary: tuple[str, int], *, replace: bool = False) -> None:
        pods.ensure(self._target, self.name)
        self._prepare_source()
        if not self._follows(primary):
            pods.stop(self._target, self.name, self._emit)
            fresh = self._slot_status() in ("none", "lost")
            if fresh:
                self._new_slot()
            seed(self._sides, self.name, primary, self._slot, self._emit, fresh=fresh, replace=replace)
        pods.start(self._target, self.name, self._emit)
        poll(
            self._streams, what=f"standby of {self.name}", timeout=STREAM_SECONDS, emit=self._emit, step=self.name,
            interval=0.5,
        )  # fmt: skip

    def _prepare_source(self) -> None:
        """Role, way in and bound."""
        password = sql.verifier(self._password())
        exists = sql.ask(self._source, self.name, f"SELECT count(*) FROM pg_roles WHERE rolname = '{self._slot}';")
        verb = "ALTER" if exists == "1" else "CREATE"
        sql.ask(self._source, self.name, f"{verb} ROLE {self._slot} WITH LOGIN REPLICATION PASSWORD '{password}';")
        self._shell(self._source, with_replication(self._slot))
        self._bound()
        sql.ask(self._source, self.name, "SELECT pg_reload_conf();")

    def _password(self) -> str:
        """Of the replication role; it stands in a Secret of the target's namespace until `promote` or `stop`."""
        kube, namespace = self._target.kube, self._target.namespace
        name = secret_name(self.name)
        if kube.get("v1", "Secret", name, namespace) is None:
            kube.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": name, "namespace": namespace, "labels": pods.labels(self._sides, self.name)},
                    "stringData": {"password": secrets.token_urlsafe(24)},
                },
                field_manager=FIELD_MANAGER,
            )
        return pods.credentials(self._target, name)["password"]

    def _bound(self) -> None:
        """Half of what is free, where the user has set no bound. The role's comment says that it is ours."""
        if sql.ask(self._source, self.name, "SHOW max_slot_wal_keep_size;") != "-1":
            return
        free = int(self._shell(self._source, 'df --output=avail -B1M "$PGDATA" | tail -n 1'))
        sql.ask(
            self._source,
            self.name,
            f"COMMENT ON ROLE {self._slot} IS 'bound';\n"
            f"ALTER SYSTEM SET max_slot_wal_keep_size = '{max(64, free // 2)}MB';",
        )

    def _new_slot(self) -> None:
        """A seed starts from a slot of its own: an older one may have lost what is needed."""
        self._drop_slot()
        statement = f"SELECT pg_create_physical_replication_slot('{self._slot}', true);"
        sql.ask(self._source, self.name, statement)

    def _drop_slot(self) -> None:
        named = f"FROM pg_replication_slots WHERE slot_name = '{self._slot}'"

        def dropped() -> bool | Pending:
            sql.ask(self._source, self.name, f"SELECT pg_terminate_backend(active_pid) {named} AND active;")
            sql.ask(self._source, self.name, f"SELECT pg_drop_replication_slot(slot_name) {named} AND NOT active;")
            return sql.ask(self._source, self.name, f"SELECT count(*) {named};") == "0" or Pending("still in use")

        poll(dropped, what=f"slot of {self.name}", timeout=60, emit=self._emit, step=self.name, interval=0.5)

    def _follows(self, primary: tuple[str, int]) -> bool:
        """Whether the target is this migration's standby, of that address, and can still catch up."""
        if self._slot_status() in ("none", "lost") or self._shell_if_running("test -e $PGDATA/standby.signal") is None:
            return False
        host, port = primary
        told = sql.ask(self._target, self.name, "SHOW primary_conninfo;")
        return f"host={host} port={port} " in told and f"user={self._slot} " in told

    def _slot_status(self) -> str:
        found = sql.row(self._source, self.name, _LAG.format(slot=self._slot))
        return found[0]

    def _streams(self) -> bool | Pending:
        now = self.lag()
        if now.lost:
            raise ClusterError(f"the standby of {self.name} cannot catch up: {now.detail}", fix="stage again")
        return now.streaming or Pending(now.detail)

    def lag(self) -> Lag:
        status, state = sql.row(self._source, self.name, _LAG.format(slot=self._slot))
        if status in ("none", "lost"):
            why = (
                "the source has dropped the log that it needs" if status == "lost" else "the source has no slot for it"
            )
            return Lag(streaming=False, lost=True, detail=why)
        if state != "streaming":
            return Lag(streaming=False, detail=state or "not connected")
        return Lag(streaming=True)

    # -- switch ----------------------------------------------------------------------------------------------------

    def fence_source(self) -> str:
        """Nobody but the standby gets in any more, across restarts too; who is in is put out. Then one more commit, so that
        all that was acknowledged before is flushed and sent."""
        self._shell(self._source, FENCE)
        return self._shell(self._source, FENCED, timeout=120)

    def caught_up(self, position: str, timeout: float) -> None:
        wait_for(lambda: self._behind(position), self.name, timeout)

    def _behind(self, position: str) -> str:
        asked = f"SELECT at >= '{position}'::pg_lsn, at FROM pg_last_wal_replay_lsn() AS at;"
        done, at = sql.row(self._target, self.name, asked)
        return "" if done == "t" else f"it is at {at} of {position}"

    def promote(self, *, rehearsal: bool = False) -> None:
        if sql.ask(self._target, self.name, "SELECT pg_is_in_recovery();") == "t":
            if not rehearsal and pods.is_running(self._source, self.name) and not self._fenced():
                raise ClusterError(f"the postgres {self.name} on the source takes writes", fix="fence it first")
            sql.ask(self._target, self.name, "SELECT pg_promote(true, 120);", timeout=150)
        elif self._shell(self._target, f"cat {MARKER} 2>/dev/null || true") != self._sides.migration:
            return
        self._settle(rehearsal)

    def _fenced(self) -> bool:
        return self._shell(self._source, 'test ! -e "$PGDATA/pg_hba.conf.portable" || echo yes') == "yes"

    def _settle(self, rehearsal: bool) -> None:
        """The new primary's own password, and nothing left of having been a standby."""
        self._shell(self._target, UNFENCE)
        self._shell(self._target, WITHOUT_REPLICATION)
        user = username(pods.database(self._target, self.name))
        password = sql.verifier(pods.credentials(self._target, self.name)["password"])
        bound = "ALTER SYSTEM RESET max_slot_wal_keep_size;" if self._is_bound(self._target) else ""
        sql.ask(
            self._target,
            self.name,
            f"ALTER ROLE \"{user}\" PASSWORD '{password}';\n"
            "ALTER SYSTEM RESET primary_conninfo;\nALTER SYSTEM RESET primary_slot_name;\n"
            f"{bound}\nDROP ROLE IF EXISTS {self._slot};\nSELECT pg_reload_conf();",
        )
        self._warn_of_collations(user)
        if not rehearsal:
            self._shell(self._target, f"rm -f {PASSWORD_FILE} {MARKER}")
            self._target.kube.delete("v1", "Secret", secret_name(self.name), self._target.namespace)

    def _warn_of_collations(self, database: str) -> None:
        if changed := sql.ask(self._target, self.name, _COLLATIONS):
            words = f"the postgres {self.name} on the target sorts text by other rules ({changed})"
            fix = (
                f"`portable exec {self.name} -- psql -c 'REINDEX DATABASE {database}'`, then REFRESH COLLATION VERSION"
            )
            self._emit(Notice(f"{words}: renew its indexes, {fix}", "warning"))

    def _is_bound(self, side: Side) -> bool:
        asked = f"SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = '{self._slot}';"
        return sql.ask(side, self.name, asked) == "bound"

    # -- proof -----------------------------------------------------------------------------------------------------

    def size(self) -> int:
        return int(sql.ask(self._source, self.name, "SELECT pg_database_size(current_database());"))

    def digest(self, side: Side) -> str:
        return self._shell(side, _DUMP, timeout=_DIGEST_SECONDS)

    def digests(self) -> tuple[str, str]:
        return at_both(self._sides, self.digest)

    # -- back ------------------------------------------------------------------------------------------------------

    def unfence_source(self) -> None:
        self._shell(self._source, UNFENCE)
        sql.ask(self._source, self.name, "SELECT pg_reload_conf();")

    def stop(self) -> None:
        """A source that does not run keeps what was made on it: it is bounded, and goes with the next call once it runs."""
        self._stop_standby()
        if not pods.is_running(self._source, self.name):
            return
        self._drop_slot()
        bound = "ALTER SYSTEM RESET max_slot_wal_keep_size;" if self._is_bound(self._source) else ""
        self._shell(self._source, WITHOUT_REPLICATION)
        sql.ask(self._source, self.name, f"{bound}\nDROP ROLE IF EXISTS {self._slot};\nSELECT pg_reload_conf();")

    def _stop_standby(self) -> None:
        """Of a target that was promoted nothing is taken away: it no longer carries this migration's mark."""
        place = ("v1", "Secret", secret_name(self.name), self._target.namespace)
        if self._target.kube.get(*place) is None:
            return
        if pods.is_running(self._target, self.name) and self._shell_if_running(f"test -e {MARKER}") is None:
            self._target.kube.delete(*place)
            return
        pods.stop(self._target, self.name, self._emit)
        clear(self._sides, self.name, self._emit)
        self._target.kube.delete(*place)
        self._emit(Notice(f"the copy of {self.name} on {self._target} was deleted"))

    # -- wire ------------------------------------------------------------------------------------------------------

    def _shell(self, side: Side, script: str, *, timeout: float = 60.0) -> str:
        return pods.run(side, self.name, ["bash", "-c", script], timeout=timeout).strip()

    def _shell_if_running(self, script: str) -> str | None:
        """The output on the target; None where it does not run, or where the script fails."""
        if not pods.is_running(self._target, self.name):
            return None
        try:
            return self._shell(self._target, script)
        except ClusterError:
            return None
