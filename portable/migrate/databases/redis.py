"""Redis: the target becomes a replica, then takes over.

What it was told stands in its memory only (its configuration file is not its own to write), so that a pod that was started
again follows nobody: `lag` says so, and `start` lets it follow anew. A file on its volume says that the data there came from
this migration. https://redis.io/docs/latest/operate/oss_and_stack/management/replication/
"""

from __future__ import annotations

from collections.abc import Mapping

from portable.errors import ClusterError, UsageError
from portable.events import Emit, Notice
from portable.migrate.databases import pods
from portable.migrate.databases.both import at_both, wait_for
from portable.migrate.databases.model import Lag
from portable.migrate.sides import Side, Sides
from portable.polling import Pending, poll

MARKER = "/data/.portable-migration"
SYNC_SECONDS = 3600.0
# More replicas than there can be: every write is refused, reads are not.
_FENCE = 1_000_000


class Redis:
    """See `Replication`."""

    def __init__(self, sides: Sides, name: str, emit: Emit) -> None:
        self.name = name
        self._sides, self._emit = sides, emit
        self._source, self._target = sides.source, sides.target

    # -- follow ----------------------------------------------------------------------------------------------------

    def start(self, primary: tuple[str, int], *, replace: bool = False) -> None:
        pods.ensure(self._target, self.name)
        pods.start(self._target, self.name, self._emit)
        self._refuse_foreign(replace)
        self._shell(f"printf %s {self._sides.migration} > {MARKER}")
        host, port = primary
        live = self._info(self._target, "replication")
        if (live.get("master_host"), live.get("master_port")) != (host, str(port)):
            password = pods.credentials(self._source, self.name)["password"]
            self._ask(self._target, f'CONFIG SET masterauth "{password}"\nREPLICAOF {host} {port}')
        poll(
            self._synced, what=f"copy of {self.name}", timeout=SYNC_SECONDS, emit=self._emit, step=self.name, interval=1
        )

    def _refuse_foreign(self, replace: bool) -> None:
        if replace or self._is_ours() or self._info(self._target, "replication")["role"] == "slave":
            return
        if self._info(self._target, "keyspace"):
            raise UsageError(
                f"the redis {self.name} on {self._target} holds data of its own",
                fix="it would be lost: end it first, or let it be replaced",
            )

    def _is_ours(self) -> bool:
        return self._shell(f"cat {MARKER} 2>/dev/null || true") == self._sides.migration

    def _synced(self) -> bool | Pending:
        live = self._info(self._target, "replication")
        if live.get("master_link_status") == "up":
            return True
        if live.get("master_sync_in_progress") == "1":
            done, total = (int(live.get(f"master_sync_{part}_bytes", 0)) for part in ("read", "total"))
            return Pending(f"{done / 2**20:.0f} of {max(total, done) / 2**20:.0f} MiB")
        return Pending("connecting")

    def lag(self) -> Lag:
        if not pods.is_running(self._target, self.name):
            return Lag(streaming=False, detail="its pod does not run")
        there = self._info(self._target, "replication")
        if there["role"] != "slave":
            return Lag(streaming=False, detail="it follows nobody: it was started again, or promoted")
        if there["master_link_status"] != "up":
            return Lag(streaming=False, detail="the connection to the source is down")
        return Lag(streaming=True)

    # -- switch ----------------------------------------------------------------------------------------------------

    def fence_source(self) -> str:
        self._ask(self._source, f"CONFIG SET min-replicas-to-write {_FENCE}\nCONFIG SET min-replicas-max-lag 10")
        return self._info(self._source, "replication")["master_repl_offset"]

    def _replid(self) -> str:
        return self._info(self._source, "replication")["master_replid"]

    def _fenced(self) -> bool:
        return self._ask(self._source, "CONFIG GET min-replicas-to-write").split()[-1] == str(_FENCE)

    def caught_up(self, position: str, timeout: float) -> None:
        wait_for(lambda: self._behind(position), self.name, timeout)

    def _behind(self, position: str) -> str:
        live = self._info(self._target, "replication")
        at = live.get("slave_repl_offset", "-1")
        # a replica that starts anew takes over the offset before it has the data
        if live.get("master_link_status") == "up" and int(at) >= int(position):
            return ""
        return f"it is at {at} of {position}, the connection to the source is {live.get('master_link_status', 'none')}"

    def promote(self, *, rehearsal: bool = False) -> None:
        there = self._info(self._target, "replication")
        following = there["role"] == "slave"
        if not following and not self._is_ours():
            return
        if not rehearsal and following and not self._fenced():
            raise ClusterError(
                f"the redis {self.name} on the source takes writes: it was started again after it was fenced",
                fix="go on with `portable migrate resume`, which fences it again",
            )
        # Of the primary that it left it keeps the name, unless it was started again: then the last second may be lost.
        if not rehearsal and not following and there["master_replid2"] != self._replid():
            raise ClusterError(
                f"the redis {self.name} on the target was started again before it took over: it may lack the last writes",
                fix="go back with `portable migrate abort`, which loses nothing, and begin again",
            )
        self._ask(self._target, 'REPLICAOF NO ONE\nCONFIG SET masterauth ""')
        if not rehearsal:
            self._shell(f"rm -f {MARKER}")

    # -- proof -----------------------------------------------------------------------------------------------------

    def size(self) -> int:
        return int(self._info(self._source, "memory")["used_memory"])

    def digest(self, side: Side) -> str:
        return self._digest(side, self._now())

    def digests(self) -> tuple[str, str]:
        at = self._now() + 600_000
        return at_both(self._sides, lambda side: self._digest(side, at))

    def _now(self) -> int:
        """Milliseconds since the epoch, by the source's clock."""
        seconds, micro = self._ask(self._source, "TIME").split()
        return int(seconds) * 1000 + int(micro) // 1000

    def _digest(self, side: Side, at: int) -> str:
        from portable.migrate.databases.redis_digest import SCRIPT

        return self._shell(SCRIPT, side=side, given=f"{at}\n", timeout=SYNC_SECONDS)

    # -- back ------------------------------------------------------------------------------------------------------

    def unfence_source(self) -> None:
        self._ask(self._source, "CONFIG SET min-replicas-to-write 0")

    def stop(self) -> None:
        """Data that was not promoted is taken away: its claim then is as empty as it was before."""
        if not pods.is_running(self._target, self.name) or not self._is_ours():
            return
        self._ask(self._target, 'REPLICAOF NO ONE\nCONFIG SET masterauth ""\nFLUSHALL SYNC')
        self._shell(f"rm -f {MARKER}")
        self._emit(Notice(f"the copy of {self.name} on {self._target} was deleted"))
        pods.stop(self._target, self.name, self._emit)

    # -- wire ------------------------------------------------------------------------------------------------------

    def _ask(self, side: Side, commands: str) -> str:
        """`commands` go by standard input: arguments are readable in the process list. `-e`: an error reply is a failure."""
        return pods.run(side, self.name, ["redis-cli", "-e"], given=commands + "\n").strip()

    def _info(self, side: Side, section: str) -> Mapping[str, str]:
        lines = self._ask(side, f"INFO {section}").splitlines()
        return dict(line.strip().split(":", 1) for line in lines if ":" in line)

    def _shell(self, script: str, *, side: Side | None = None, given: str = "", timeout: float = 60.0) -> str:
        at = side or self._target
        return pods.run(at, self.name, ["bash", "-c", script], given=given, timeout=timeout).strip()
