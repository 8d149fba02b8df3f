"""A migration opened: what was found, as something that steps can work on."""

from __future__ import annotations

import secrets

from portable.errors import ClusterGone, PortableError
from portable.events import Emit
from portable.migrate import journal
from portable.migrate.find import Found
from portable.migrate.inventory import is_stateless
from portable.migrate.journal import Header, Journal, Record
from portable.migrate.lease import Lease, operator, shown
from portable.migrate.move import Move, Options, end_of
from portable.plan import open_engine
from portable.target import Request


def open_move(request: Request, found: Found, emit: Emit, options: Options) -> Move:
    """Goes on with the journal that was found, unless it is over: then with a new one, which is not written yet.

    Raises ClusterGone without a source.
    """
    if found.source_kube is None:
        raise ClusterGone(
            f"the source {end_of(found.source)} is not there",
            detail=found.why,
            fix="check that it runs, and that this machine has a way to it",
        )
    known = found.journal
    return Move(
        request=request,
        source=found.source,
        target=found.target,
        source_kube=found.source_kube,
        target_kube=found.target_kube,
        journal=_new_journal(found) if known is None or known.record.over else known,
        engine=open_engine(request, emit),
        emit=emit,
        options=options,
    )


def require_unfinished(found: Found, what: str) -> Journal:
    """Raises PortableError where no migration is known, or nothing is left to `what` ("go on with")."""
    known = require_journal(found)
    if known.record.over:
        raise PortableError(f"there is nothing to {what}: the migration is {known.record.phase}")
    return known


def require_journal(found: Found) -> Journal:
    """Raises PortableError where no migration is known."""
    if found.journal is None:
        raise PortableError(
            f"no migration of {found.source.home.app} from {end_of(found.source)} to {end_of(found.target)} is known",
            detail=found.why,
            fix=f"begin one with `portable migrate {end_of(found.source)} {end_of(found.target)}`",
        )
    return found.journal


def lease_of(move: Move) -> Lease:
    """Where the journal stands that counts."""
    committed = move.record.phase in ("committed", "finalized")
    return Lease(move.target_side.kube if committed else move.source_kube, move.namespace)


def _new_journal(found: Found) -> Journal:
    """Not written yet: a plan changes nothing."""
    assert found.source_kube is not None, "a migration begins at its source"
    header = Header(
        migration=secrets.token_hex(4),
        app=found.source.app.name,
        environment=found.source.app.environment,
        source=end_of(found.source),
        target=end_of(found.target),
        stateless=is_stateless(found.source),
        started=journal.now(),
        by=shown(operator()),
        reverses=found.reverses,
    )
    return Journal(found.source_kube, found.source.app.namespace, Record(header, ()), "")
