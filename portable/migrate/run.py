"""Steps carried out, and taken back, each written to the journal before and after."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from portable.errors import ClusterError, PortableError
from portable.migrate.lease import Lost
from portable.migrate.move import Move
from portable.migrate.steps import STATEFUL, STATELESS, STOPPED, MigrationStep
from portable.migrate.steps.cut_over import SHARE
from portable.migrate.steps.seed import REPLICATE
from portable.steps import Progress, step

_GO_ON = "`portable migrate resume` goes on with the migration"


def run(move: Move, steps: Sequence[MigrationStep]) -> None:
    """Does what is not done yet. What is done is checked, and done again where it does not hold any more, or `repeats`.

    Raises what a step raised, after the journal says so; its `fix` says how to go on.
    """
    try:
        for each in steps:
            if each.when(move) and (each.repeats or not move.record.done(each.name) or each.check(move)):
                _do(move, each)
    except PortableError as error:
        error.detail = "\n".join(filter(None, (move.whose_server(error.message), error.detail)))
        if "portable migrate" not in error.fix:
            error.fix = "\n".join(filter(None, (error.fix, _GO_ON)))
        raise


def undo(move: Move, steps: Sequence[MigrationStep]) -> None:
    """Takes back, last first, what has begun of `steps`."""
    for each in reversed(steps):
        if move.record.begun(each.name):
            _undo(move, each)


def thaw(move: Move) -> None:
    """The source serves again as it was. A database that was promoted follows nobody, so following begins anew too."""
    following = (REPLICATE,) if move.record.begun("promote") else ()
    undo(move, (*following, *STOPPED, SHARE))


def move_steps(move: Move) -> tuple[MigrationStep, ...]:
    return STATEFUL if move.moves_data else STATELESS


def _do(move: Move, each: MigrationStep) -> None:
    started = time.monotonic()
    move.write(each.name, "begun")
    try:
        with step(move.emit, each.name, each.title) as progress:
            facts = each.do(move, progress)
            if missing := each.check(move):
                raise ClusterError(f"{each.title}: {missing}", fix=_GO_ON)
    except Lost:
        raise
    except PortableError as error:
        with suppress(PortableError):  # what went wrong matters more than that it could not be written down
            move.write(each.name, "failed", {"error": error.message})
        raise
    move.write(each.name, "done", facts, round(time.monotonic() - started, 2))


def _undo(move: Move, each: MigrationStep) -> None:
    started = time.monotonic()
    if each.undo is not None:
        with step(move.emit, f"{each.name}-back", f"taken back: {each.title}") as progress:
            each.undo(move, Progress(move.emit, progress.name))
    move.write(each.name, "undone", seconds=round(time.monotonic() - started, 2))
