"""A migration found: by its two ends, or by asking the cluster where the spec has the app."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from portable.errors import ClusterError, PortableError, ProviderError
from portable.kube import Kube
from portable.migrate import home_record, journal
from portable.migrate.journal import End, Journal
from portable.migrate.move import end_of, open_end, reach
from portable.target import Request, Target, open_target


@dataclass(frozen=True)
class Found:
    """`journal`: the one that counts; None where no migration of the app is known. A cluster that is not there, or cannot be
    reached, is None, and `why` says which. `reverses`: the migration, ended by now, that one between these ends would take back."""

    source: Target
    target: Target
    source_kube: Kube | None
    target_kube: Kube | None
    journal: Journal | None
    why: str = ""
    reverses: str = ""


def find(request: Request, ends: tuple[End, End] | None) -> Found:
    """`ends` None: they are found out. Raises PortableError where nothing leads to a migration."""
    named, ends = ends is not None, ends or _known_ends(request)
    source, target = open_end(request, ends[0]), open_end(request, ends[1])
    source_kube, why_source = _try(source)
    target_kube, why_target = _try(target)
    kubes = [kube for kube in (source_kube, target_kube) if kube is not None]
    counts = counting([found for kube in kubes if (found := journal.read(kube, source.app.namespace))])
    if counts is not None and (counts.record.header.source, counts.record.header.target) != ends:
        if not named:  # since then it went back, or on
            return find(request, (counts.record.header.source, counts.record.header.target))
        if counts.record.phase == "committed" and ends == (counts.record.header.target, counts.record.header.source):
            return Found(source, target, source_kube, target_kube, None, reverses=counts.record.header.migration)
        if not counts.record.over:
            known = counts.record.header
            raise PortableError(
                f"another migration of {known.app} is under way: from {known.source} to {known.target}, since {known.started[:19]}",
                fix="end it first: `portable migrate resume`, `portable migrate abort` or `portable migrate finalize`",
            )
        counts = None
    return Found(source, target, source_kube, target_kube, counts, "; ".join(filter(None, (why_source, why_target))))


def counting(found: list[Journal]) -> Journal | None:
    """Of two copies the one that counts. Both begin alike, and only one is appended to: the longer one. Of two migrations the
    later one."""
    return max(found, key=lambda each: (each.record.header.started, len(each.record.entries)), default=None)


def _known_ends(request: Request) -> tuple[End, End]:
    """From the cluster where the spec has the app; where it has left that, from the one that it has gone to."""
    target = open_target(request)
    kube, why = _try(target)
    namespace = target.app.namespace
    if kube is not None:
        found = journal.read(kube, namespace)
        record = home_record.read(kube, namespace)
        if found is None and record is not None:
            found = _at(request, record.home, namespace)
        if found is not None:
            return found.record.header.source, found.record.header.target
    left = home_record.moved(request.state).get(target.home.app_stack)
    if left is not None and (found := _at(request, End(**left["home"]), namespace)):
        return found.record.header.source, found.record.header.target
    raise PortableError(
        f"no migration of {target.home.app} is known on {end_of(target)}",
        detail=why,
        fix="name its ends: `portable migrate status FROM TO`",
    )


def _at(request: Request, end: End, namespace: str) -> Journal | None:
    kube, _why = _try(open_end(request, end))
    return journal.read(kube, namespace) if kube is not None else None


def _try(target: Target) -> tuple[Kube | None, str]:
    """(the cluster, "") or (None, why not)."""
    with suppress(ClusterError):
        try:
            kube = reach(target)
        except ProviderError as error:
            return None, f"{end_of(target)}: {error.message}"
        if kube is None:
            return None, f"there is no cluster {end_of(target)} that is well"
        kube.version()
        return kube, ""
    return None, f"the cluster {end_of(target)} cannot be reached"
