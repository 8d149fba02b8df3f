"""`migrate` and its ways on and back: stage, rehearse, resume, abort, rollback, finalize, status."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from portable.errors import PortableError, UsageError
from portable.events import Emit, Notice
from portable.migrate import home_record, journal, preflight
from portable.migrate.find import find
from portable.migrate.journal import End, Phase, Record
from portable.migrate.lease import Lost, holder
from portable.migrate.move import Move, Options, end_of
from portable.migrate.opening import lease_of, open_move, require_journal, require_unfinished
from portable.migrate.plan import Kept, MigrationPlan, Promise, kept, note_sizes, promise
from portable.migrate.run import move_steps, run, thaw, undo
from portable.migrate.steps import REHEARSE, STAGE, cut_over, seed, start
from portable.target import Request

Mode: TypeAlias = Literal["full", "stage", "rehearse"]
Confirm: TypeAlias = Callable[[MigrationPlan], bool]


@dataclass(frozen=True)
class MigrateResult:
    """`promise` is what was said before the source stopped, `kept` what it took. `change`: what to change in the spec now.
    `by_hand`: DNS records for a person to write. `share`: percentage of DNS answers that lead to the target, where it is left at that."""

    migration: str
    phase: Phase
    home: End
    promise: Promise | None
    kept: Kept
    change: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    share: int = 0


@dataclass(frozen=True)
class MigrationStatus:
    """`operator`: who works on it at present; empty: nobody. `unreachable`: which side was not asked, and why."""

    record: Record
    phase: Phase
    operator: str
    promise: Promise | None
    kept: Kept
    unreachable: str = ""


def make_plan(request: Request, ends: tuple[End, End], emit: Emit) -> MigrationPlan:
    """Touches nothing. Raises PortableError where there is nothing to move, or the target is not free."""
    found = find(request, ends)
    with open_move(request, found, emit, Options()) as move:
        return preflight.look(move)


def migrate(
    request: Request,
    ends: tuple[End, End],
    *,
    emit: Emit,
    mode: Mode = "full",
    confirm: Confirm | None = None,
    options: Options | None = None,
) -> MigrateResult:
    """Begins a migration, or goes on with the one between these ends. Raises what its steps raise; a source that was stopped
    serves again by then, unless traffic has moved already."""
    found = find(request, ends)
    with open_move(request, found, emit, options or Options()) as move:
        plan = preflight.look(move)
        if plan.inventory.refusals:
            raise UsageError(
                f"{plan.app} cannot move to {plan.target}",
                detail="\n".join(plan.inventory.refusals),
                fix=f"see all of it with `portable migrate {plan.source} {plan.target} --plan`",
            )
        if move.options.share:
            _require_shareable(move)
        if confirm is not None and not confirm(plan):
            raise PortableError("nothing was changed: you said no")
        return go(move, mode)


def resume(
    request: Request, ends: tuple[End, End] | None, *, emit: Emit, options: Options | None = None
) -> MigrateResult:
    """Goes on with what was begun, wherever it was broken off."""
    found = find(request, ends)
    require_unfinished(found, "go on with")
    with open_move(request, found, emit, options or Options()) as move:
        preflight.require_source(move)
        mode = move.record.facts("operator").get("mode", "full")
        return go(move, mode if move.record.phase == "under way" else "full")


def status(request: Request, ends: tuple[End, End] | None) -> MigrationStatus:
    found = find(request, ends)
    record = require_journal(found).record
    namespace = found.source.app.namespace
    kubes = [kube for kube in (found.source_kube, found.target_kube) if kube is not None]
    holders = [name for kube in kubes if (name := holder(kube, namespace))]
    return MigrationStatus(
        record, record.phase, holders[0] if holders else "", promised(record), kept(record), found.why
    )


def promised(record: Record) -> Promise | None:
    return preflight.promise_of(record.facts("promise"))


# -- on --------------------------------------------------------------------------------------------------------------


def go(move: Move, mode: Mode) -> MigrateResult:
    if not move.journal.written:
        move.journal = journal.begin(move.source_kube, move.namespace, move.record.header)
    move.hold(lease_of(move))
    if move.record.phase != "committed":
        move.plan_ways()
        move.note("operator", mode=mode)
        _carry_out(move, mode)
    if move.record.phase == "committed":
        cut_over.record_home(move)
        tidy(move)
    return result_of(move)


def _carry_out(move: Move, mode: Mode) -> None:
    steps, staging = move_steps(move), STAGE
    if move.record.begun(REHEARSE.name) and not move.record.done(REHEARSE.name):
        undo(move, [REHEARSE])  # one that was broken off has left the app running on the target
    if move.record.begun("freeze"):
        move.require_target()
    else:
        run(move, [each for each in steps if each in staging])
    if mode == "rehearse":
        _rehearse(move)
        run(move, [each for each in steps if each in staging])
    if mode != "full":
        return
    _state_promise(move)
    moving = [each for each in steps if each not in staging]
    if move.options.share:
        moving = moving[: moving.index(cut_over.SHARE) + 1]
    try:
        run(move, moving)
    except Lost:
        raise
    except PortableError as error:
        _serve_again(move, error)
        raise


def _require_shareable(move: Move) -> None:
    if move.moves_data or not start.has_routes(move):
        why = "it keeps data, which only one side may write" if move.moves_data else "it has no routes"
        raise UsageError(
            f"the traffic of {move.record.header.app} cannot be shared between both sides: {why}",
            fix="leave --share out",
        )


def _rehearse(move: Move) -> None:
    """Whatever comes of it, the app sleeps on the target afterwards."""
    try:
        run(move, [replace(REHEARSE, repeats=True)])
    except Lost:
        raise
    except PortableError:
        with suppress(PortableError):  # the next run tries again
            undo(move, [REHEARSE])
        raise


def _state_promise(move: Move) -> None:
    """From here on the clock runs against it. Raises PortableError where it is more than the user accepts."""
    if move.record.begun("freeze") or not move.moves_data:
        return
    note_sizes(move)
    found, most = promise(move), move.options.max_downtime
    move.note("promise", **preflight.promise_facts(found))
    if most is not None and found.downtime > most:
        raise PortableError(
            f"the app would stand still for {found.downtime:.0f} s, which is more than {most:.0f} s",
            detail="\n".join(f"{part.name}: {part.seconds:.0f} s ({part.why})" for part in found.parts),
            fix=f"`portable migrate {move.record.header.source} {move.record.header.target} --stage` makes the delta smaller; or accept more with --max-downtime",
        )


def _serve_again(move: Move, error: PortableError) -> None:
    """A failure while the source stands still: nobody should be down while somebody thinks about it."""
    if "serving_at" in move.record.facts(journal.CUT_OVER):
        error.detail = _and(error.detail, "the target serves meanwhile: the source's routes lead there")
    if not move.record.begun("freeze") or move.record.phase != "under way":
        return
    try:
        thaw(move)
        error.detail = _and(error.detail, "the source serves again, as before")
    except PortableError as second:
        error.detail = _and(error.detail, f"the source could not be started again: {second.message}", second.detail)
        error.fix = _and(error.fix, "`portable migrate rollback` tries again to start the source")


def _and(*lines: str) -> str:
    return "\n".join(filter(None, lines))


def tidy(move: Move) -> None:
    """What only the move itself needed. Should it fail, the app is at home all the same: `resume` tidies again."""
    try:
        if seed.has_data(move):
            for replication in move.replications.values():
                replication.stop()
            move.transfer.remove()
    except PortableError as error:
        words = (
            f"not everything of the migration could be removed: {error.message}; `portable migrate resume` tries again"
        )
        move.emit(Notice(words, "warning"))


def result_of(move: Move) -> MigrateResult:
    record = move.record
    cut = cut_over.cut_of(record)
    change: tuple[str, ...] = ()
    if record.phase in ("committed", "finalized"):
        change = home_record.lines_to_change(move.request, end_of(move.target))
    return MigrateResult(
        record.header.migration,
        record.phase,
        record.answers,
        promised(record),
        kept(record),
        change,
        tuple(str(each) for each in cut.by_hand) if cut else (),
        record.facts(cut_over.SHARE.name).get("percent", 0) if record.phase == "under way" else 0,
    )
