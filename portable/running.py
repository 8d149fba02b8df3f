"""The app as it runs: what the commands of day two work on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from portable.deploy import who
from portable.errors import ClusterError, ClusterGone, UsageError
from portable.events import Emit
from portable.kube import Kube
from portable.migrate.home_record import require_home
from portable.rollout import revisions
from portable.rollout.revisions import Operation, Revision
from portable.situation import Situation, look
from portable.steps import step
from portable.target import Request, Target, open_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portable.compile.objects import CompiledWorkload


@dataclass(frozen=True)
class Running:
    """`last` is the last revision that was applied, whatever became of it."""

    target: Target
    now: Situation
    kube: Kube
    last: Revision

    @property
    def namespace(self) -> str:
        return self.now.objects.namespace

    def workload(self, name: str) -> CompiledWorkload:
        """As it was last applied. Raises UsageError for one that the app does not have."""
        found = self.last.workloads.get(name)
        if found is None:
            from portable.spec.document import did_you_mean

            near = did_you_mean(name, self.last.workloads)
            raise UsageError(
                f"no workload that runs is called {name!r}" + (f": {near}" if near else ""),
                detail=f"workloads: {', '.join(self.last.workloads)}",
            )
        return found

    def note(self, words: str, *, live: Mapping[str, str] | None = None) -> None:
        """Adds to the history what is done to the app without a new version of it."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        revisions.note(self.kube, self.namespace, self.last.number, Operation(at, who(), words), live=live)


@contextmanager
def open_running(request: Request, emit: Emit) -> Iterator[Running]:
    """To change what runs. Raises PortableError where a migration holds the app or has moved it, ClusterGone without a cluster, ClusterError where it does not answer, UsageError where the app is not on it."""
    target = open_target(request)
    with step(emit, "look", "looking at what is there"):
        now = look(target)
    require_home(request, target, now.kube, now.objects.namespace)
    if now.cluster is None:
        raise ClusterGone(
            f"there is no cluster {target.home.cluster!r} on {target.provider.title}",
            fix=f"make it with `portable up --cloud {target.provider.name}`",
        )
    if now.kube is None:
        raise ClusterError(
            f"the cluster {target.home.cluster} is not well: {now.cluster.detail or 'its provider does not say why'}",
            fix="`portable up` mends what it can",
        )
    with now.kube as kube:
        if now.last is None:
            raise UsageError(
                f"{target.home.app} is not deployed to {target.home.cluster}",
                fix=f"deploy it with `portable up --cloud {target.provider.name}`",
            )
        yield Running(target, now, kube, now.last)
