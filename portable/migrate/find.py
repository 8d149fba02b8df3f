"""A migration found: by its two ends, or by asking the cluster where the spec has the app."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import TypeAlias

from portable.errors import ClusterError, PortableError, ProviderError
from portable.kube import Kube
from portable.migrate import home_record, journal
from portable.migrate.journal import End, Journal
from portable.migrate.move import open_end, reach
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


@dataclass(frozen=True)
class _Place:
    """One end as it was looked at. `kube` None: its cluster is not there, or cannot be reached, and `why` says which."""

    target: Target
    kube: Kube | None
    why: str

    def journal(self) -> Journal | None:
        return journal.read(self.kube, self.target.app.namespace) if self.kube is not None else None


_Look: TypeAlias = Callable[[End], _Place]


def find(request: Request, ends: tuple[End, End] | None) -> Found:
    """`ends` None: they are found out. Raises PortableError where nothing leads to a migration."""
    look = cache(partial(_look, request))  # each cluster is asked once
    if ends is not None:
        return _between(look, ends)
    known = _known_ends(request, look)
    counts = counting([found for end in known if (found := look(end).journal())])
    # since then it may have gone back, or on
    return _between(look, _ends_of(counts.standing) if counts is not None else known)


def _between(look: _Look, ends: tuple[End, End]) -> Found:
    source, target = map(look, ends)
    counts = counting([found for place in (source, target) if (found := place.journal())])
    counts = counts.standing if counts is not None else None
    reverses = ""
    if counts is not None and _ends_of(counts) != ends:
        known = counts.record.header
        if counts.record.phase == "committed" and _ends_of(counts) == (ends[1], ends[0]):
            reverses = known.migration
        elif not counts.record.over:
            raise PortableError(
                f"another migration of {known.app} is under way: from {known.source} to {known.target}, since {known.started[:19]}",
                fix="end it first: `portable migrate resume`, `portable migrate abort` or `portable migrate finalize`",
            )
        counts = None
    why = "" if reverses else "; ".join(filter(None, (source.why, target.why)))
    return Found(source.target, target.target, source.kube, target.kube, counts, why, reverses)


def _ends_of(found: Journal) -> tuple[End, End]:
    return found.record.header.source, found.record.header.target


def counting(found: list[Journal]) -> Journal | None:
    """Of two copies the one that counts. Both begin alike, and only one is appended to: the longer one. Of two migrations the
    later one."""
    return max(found, key=lambda each: (each.record.header.started, len(each.record.entries)), default=None)


def _known_ends(request: Request, look: _Look) -> tuple[End, End]:
    """From the cluster where the spec has the app; where it has left that, from the one that it has gone to."""
    home = open_target(request).home
    here = look(End(home.cloud, home.cluster))
    found = here.journal()
    if found is None and here.kube is not None:
        record = home_record.read(here.kube, here.target.app.namespace)
        found = look(record.home).journal() if record is not None else None
    if found is None and (left := home_record.moved(request.state).get(home.app_stack)) is not None:
        found = look(End(**left["home"])).journal()
    if found is None:
        raise PortableError(
            f"no migration of {home.app} is known on {home.cloud}/{home.cluster}",
            detail=here.why,
            fix="name its ends: `portable migrate status FROM TO`",
        )
    return _ends_of(found)


def _look(request: Request, end: End) -> _Place:
    target = open_end(request, end)
    try:
        kube = reach(target)
        if kube is None:
            return _Place(target, None, f"there is no cluster {end} that is well")
        kube.version()
    except ProviderError as error:
        return _Place(target, None, f"{end}: {error.message}")
    except ClusterError:
        return _Place(target, None, f"the cluster {end} cannot be reached")
    return _Place(target, kube, "")
