"""The ways back, and the end: abort, rollback, finalize."""

from __future__ import annotations

from collections.abc import Callable

from portable.errors import PortableError
from portable.events import Emit
from portable.migrate import home_record, journal, preflight
from portable.migrate.find import Found, find
from portable.migrate.flow import Confirm, MigrateResult, go, result_of, tidy
from portable.migrate.journal import End
from portable.migrate.lease import Lease
from portable.migrate.move import Move, Options, end_of
from portable.migrate.opening import lease_of, open_move, require_unfinished
from portable.migrate.run import move_steps, run, thaw, undo
from portable.migrate.steps import cut_over
from portable.plan import Plan
from portable.steps import step
from portable.target import Request


def abort(request: Request, ends: tuple[End, End] | None, *, emit: Emit) -> MigrateResult:
    """Gives it up: the source is as it was, and what was made on the target is gone."""
    found = find(request, ends)
    require_unfinished(found, "abort")
    with open_move(request, found, emit, Options()) as move:
        if move.record.phase != "under way":
            raise PortableError(
                f"it is too late to abort: the migration is {move.record.phase}",
                fix="go back with `portable migrate rollback`",
            )
        move.hold(lease_of(move))
        undo(move, move_steps(move))
        move.write(journal.ROLLED_BACK, "done")
        return result_of(move)


def rollback(
    request: Request,
    ends: tuple[End, End] | None,
    *,
    emit: Emit,
    confirm: Confirm | None = None,
    discard: bool = False,
    agree: Callable[[str], bool] | None = None,
    options: Options | None = None,
) -> MigrateResult:
    """Before traffic has moved: the source serves again as it was, what is staged stays. After it: migrates back, with what was
    written meanwhile; or with `discard` without that, if `agree` (told what would be lost) says so."""
    found = find(request, ends)
    require_unfinished(found, "go back from")
    with open_move(request, found, emit, options or Options()) as move:
        if move.record.phase == "under way":
            move.hold(lease_of(move))
            thaw(move)
            return result_of(move)
        if discard:
            return _discard(move, agree)
        if move.record.phase == "cut over":  # the way back begins at a home
            move.hold(lease_of(move))
            run(move, [cut_over.COMMIT])
        cut_over.record_home(move)
        tidy(move)
        reverses = move.migration
    swapped = Found(found.target, found.source, move.target_side.kube, move.source_kube, None, reverses=reverses)
    with open_move(request, swapped, emit, options or Options()) as move:
        plan = preflight.look(move)
        if confirm is not None and not confirm(plan):
            raise PortableError("nothing was moved back: you said no")
        return go(move, "full")


def finalize(
    request: Request,
    ends: tuple[End, End] | None,
    *,
    emit: Emit,
    confirm: Callable[[Plan], bool] | None = None,
    keep_cluster: bool = False,
) -> MigrateResult:
    """Destroys the source, data included. Never before the commit."""
    from portable.destroy import destroy

    found = find(request, ends)
    require_unfinished(found, "finalize")
    with open_move(request, found, emit, Options()) as move:
        if move.record.phase != "committed":
            raise PortableError(
                f"the source cannot be destroyed: the migration is {move.record.phase}",
                fix="end it first with `portable migrate resume`",
            )
        move.hold(lease_of(move))
        cut_over.record_home(move)
        with step(emit, "dns", "DNS of the routes") as progress:
            cut_over.wait_for_dns(move, progress)
        confirmed = move.source.app.environment if move.source.app.protected else None
        destroy(
            move.request_for(move.source),
            emit=emit,
            confirm=confirm,
            confirmed=confirmed if confirm is None else None,
            destroy_data=True,
            keep_cluster=keep_cluster,
        )
        move.write(journal.FINALIZED, "done")
        return result_of(move)


def _discard(move: Move, agree: Callable[[str], bool] | None) -> MigrateResult:
    """Back to the moment of the freeze. The journal goes back first: from then on this side is the one that is asked."""
    since = move.record.last("start")
    words = f"what was written on {move.record.header.target} since {since.at[:19] if since else '?'} UTC would be lost"
    if agree is None or not agree(words):
        raise PortableError(
            f"nothing was changed: {words}", fix="`portable migrate rollback` without --discard takes it back with you"
        )
    move.hold(lease_of(move))
    if move.record.phase == "committed":
        move.write(journal.COMMIT, "undone")
        move.journal = move.journal.copy_to(move.source_kube, move.namespace)
        move.hold(Lease(move.source_kube, move.namespace))
        move.release(move.target_side.kube)
    journal.remove(move.target_side.kube, move.namespace)
    home = end_of(move.source)
    home_record.write(move.source_kube, move.namespace, "frozen", move.migration, home)
    home_record.write(move.target_side.kube, move.namespace, "arriving", move.migration, home)
    home_record.forget_move(move.request.state, move.source.home)
    steps = move_steps(move)
    undo(move, steps)
    move.write(journal.ROLLED_BACK, "done")
    return result_of(move)
