"""A migration under way, as its steps see it: both ends, the journal, and who does the work."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, cast

from portable.errors import PortableError
from portable.events import Emit
from portable.kube import Kube
from portable.migrate.inventory import volumes
from portable.migrate.journal import End, Entry, Journal, Record, now
from portable.migrate.lease import Lease, operator, shown
from portable.migrate.sides import Side, Sides
from portable.target import Request, compile_target, open_target

if TYPE_CHECKING:
    from portable.compile.objects import Objects
    from portable.engine import Engine
    from portable.engine.app_stack import Wait
    from portable.migrate.databases import Replication, Way
    from portable.migrate.transfer import Transfer, VolumeCopy
    from portable.target import Target


@dataclass(frozen=True)
class Options:
    """`max_downtime`: seconds; where more is predicted once all is staged, nothing is frozen. `watch`: seconds that the target is
    watched under traffic before the commit. `wait_for_jobs`: seconds that the freeze gives to jobs that run. `share`: the percentage
    of DNS answers that is to lead to the target at first, as long as nobody goes on; 0: traffic moves as a whole. `compare`: seconds
    that comparing the content of one replicated database may take while the app stands still."""

    max_downtime: float | None = None
    watch: float = 15.0
    wait_for_jobs: float = 600.0
    share: int = 0
    compare: float = 60.0


@dataclass
class Move:
    """`source`, `target`: what a command would work on at either end. The target's cluster may still have to be made."""

    request: Request
    source: Target
    target: Target
    source_kube: Kube
    target_kube: Kube | None
    journal: Journal
    engine: Engine
    emit: Emit
    options: Options = field(default_factory=Options)
    leases: list[Lease] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close_transfer()
        while self.leases:
            self.leases.pop().__exit__(*exception)

    def hold(self, lease: Lease) -> None:
        """Until this move is closed. Raises PortableError naming the one who holds it."""
        if all(each.place != lease.place for each in self.leases):
            self.leases.append(lease.__enter__())

    def release(self, kube: Kube) -> None:
        """What is held there: it is to go with its namespace."""
        for lease in [each for each in self.leases if each.place == (kube.server, self.namespace)]:
            self.leases.remove(lease)
            lease.__exit__()

    def require_lease(self) -> None:
        """Raises Lost where this process is the operator no more."""
        for lease in self.leases:
            lease.require()

    @property
    def record(self) -> Record:
        return self.journal.record

    @property
    def migration(self) -> str:
        return self.record.header.migration

    @property
    def namespace(self) -> str:
        return self.source.app.namespace

    @cached_property
    def source_side(self) -> Side:
        return Side("source", self.source, self.source_kube, compile_target(self.source))

    @cached_property
    def target_side(self) -> Side:
        return Side("target", self.target, self.require_target(), compile_target(self.target))

    def require_target(self) -> Kube:
        """Raises PortableError where its cluster is not there."""
        if self.target_kube is None:
            raise PortableError(
                f"the target {end_of(self.target)} is not there, or cannot be reached",
                fix="once it answers `portable migrate resume` goes on; before traffic has moved `portable migrate rollback` has the"
                " source serve again without it",
            )
        return self.target_kube

    @cached_property
    def sides(self) -> Sides:
        """Of a target whose cluster is not there, or not any more, only the compiled objects may be looked at."""
        if self.target_kube is not None:
            return Sides(self.migration, self.source_side, self.target_side)
        unmade = Side("target", self.target, cast("Kube", None), compile_target(self.target))
        return Sides(self.migration, self.source_side, unmade)

    @cached_property
    def ways(self) -> tuple[Way, ...]:
        """As they were found while everything ran: a stopped database cannot be asked."""
        from portable.migrate.databases import Way, ways

        known = self.record.facts("plan").get("ways")
        if known is not None:
            return tuple(Way(**way) for way in known)
        return ways(self.sides, self.emit)

    @property
    def replicated(self) -> tuple[str, ...]:
        """The databases that move by replication."""
        return tuple(way.name for way in self.ways if way.how == "replication")

    @cached_property
    def replications(self) -> Mapping[str, Replication]:
        from portable.migrate.databases import replication

        return {name: replication(self.sides, name, self.emit) for name in self.replicated}

    @cached_property
    def volumes(self) -> tuple[VolumeCopy, ...]:
        """Those that are copied: all but the replicated databases'."""
        return volumes(self.source_side, skip=self.replicated)

    @cached_property
    def transfer(self) -> Transfer:
        from portable.migrate.transfer import Transfer

        return Transfer(self.sides, self.volumes, self.emit)

    def open_target(self, kube: Kube) -> None:
        """The target's cluster is there now."""
        self._close_transfer()
        self.target_kube = kube
        for name in ("target_side", "sides", "ways", "replications", "volumes", "transfer"):
            self.__dict__.pop(name, None)

    def _close_transfer(self) -> None:
        """What this process carries between the clusters ends with it."""
        if "transfer" in self.__dict__:
            self.transfer.close()

    @property
    def moves_data(self) -> bool:
        return not self.record.header.stateless

    @property
    def source_may_change(self) -> bool:
        """It is neither fenced nor left: `up` works there."""
        return self.record.phase == "under way" and not self.record.begun("freeze")

    def apply_to_target(self, objects: Objects, wait: Wait = lambda _workload, _condition: None) -> None:
        """What is there and not among `objects` stays. `wait` is as in `portable.engine`."""
        side = self.target_side
        self.engine.app.up(self.target.home, objects, side.kube, side.kube.kubeconfig, wait, superseded="keep")

    def whose_server(self, words: str) -> str:
        """Which end it is whose API server is named in `words`; empty: neither's is."""
        for role, end, kube in (("source", self.source, self.source_kube), ("target", self.target, self.target_kube)):
            if kube is not None and kube.server in words:
                return f"it is the {role}'s: {end_of(end)}"
        return ""

    def request_for(self, target: Target) -> Request:
        """What makes `up` and `destroy` work on that end, past this migration's own fence."""
        home = target.home
        return replace(self.request, cloud=home.cloud, cluster=home.cluster, migration=self.migration)

    def write(self, step: str, what: Any, facts: Mapping[str, Any] | None = None, seconds: float | None = None) -> None:
        """Raises Lost where this process is the operator no more."""
        self.require_lease()
        self.journal.append(Entry(step, what, now(), shown(operator()), seconds, facts or {}))

    def plan_ways(self) -> None:
        if "ways" not in self.record.facts("plan"):
            self.note("plan", ways=[asdict(way) for way in self.ways])

    def note(self, step: str, **facts: Any) -> None:
        self.write(step, "note", facts)


def end_of(target: Target) -> End:
    return End(target.home.cloud, target.home.cluster)


def open_end(request: Request, end: End) -> Target:
    """Raises SpecError where the app cannot be on that cloud, in the spec's words."""
    return open_target(replace(request, cloud=end.cloud, cluster=end.cluster))


def reach(target: Target) -> Kube | None:
    """The end's cluster; None where there is none that is well."""
    found = target.provider.find(target.app.cluster)
    if found is None or not found.healthy:
        return None
    return Kube.reach(target.provider.credentials(target.app.cluster))


def wait_until(check: Any, *, timeout: float, interval: float = 0.5) -> bool:
    """Whether `check()` became true within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)
    return True


__all__: Sequence[str] = ["Move", "Options", "end_of", "open_end", "reach", "wait_until"]
