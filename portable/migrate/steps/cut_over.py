"""Traffic moves, is watched, and then the target is the app's home."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from portable.errors import ClusterError, PortableError, UsageError
from portable.migrate import home_record, journal
from portable.migrate.lease import Lease
from portable.migrate.move import Move, end_of
from portable.migrate.steps.start import has_routes
from portable.migrate.steps.step import Facts, MigrationStep
from portable.polling import elapsed
from portable.provider import Record
from portable.steps import Progress

if TYPE_CHECKING:
    from portable.migrate.cutover import Cut

# One failed look is no news, so many in a row are.
_FAILURES = 3
_LOOK_SECONDS = 2.0


def _lower_ttl(move: Move, progress: Progress) -> Facts:
    from portable.migrate.cutover import lower_ttl

    lowered = lower_ttl(move.sides, move.emit)
    return {"until": time.time() + lowered.wait, "ttl": lowered.ttl, "by_hand": list(lowered.by_hand)}


def _wait_out(move: Move, progress: Progress) -> Facts:
    """Until no resolver has the long TTL any more: the source goes on serving meanwhile."""
    until = float(move.record.facts("ttl").get("until", 0))
    while (left := until - time.time()) > 0:
        progress.note(f"{elapsed(left)} until every resolver has the short TTL")
        move.require_lease()
        time.sleep(min(left, 5.0))
    return {}


def _run_forwarder(move: Move, progress: Progress) -> Facts:
    from portable.migrate.cutover import Forwarding

    Forwarding(move.sides, move.emit).prepare()
    return {}


def _remove_forwarder(move: Move, progress: Progress) -> None:
    from portable.migrate.cutover import Forwarding

    if move.target_kube is not None:
        Forwarding(move.sides, move.emit).remove()


def _share(move: Move, progress: Progress) -> Facts:
    """Both sides serve. Of those who ask DNS from now on a part comes to the target."""
    from portable.migrate.cutover import switch

    cut = switch(move.sides, move.emit, share=move.options.share)
    if not cut.written:
        raise UsageError(
            "no share of the traffic can go over first: the routes' DNS has no weighted records",
            fix="let all of it go over with `portable migrate resume`, or go back with `portable migrate rollback`",
        )
    return {"percent": cut.share}


def _take_share_back(move: Move, progress: Progress) -> None:
    """The target goes on serving until no resolver leads there any more."""
    from portable.migrate.cutover import back

    _wait_expired(move, back(move.sides, move.emit), "target", progress)


def _cut_over(move: Move, progress: Progress) -> Facts:
    """The source's own address leads to the target first: whoever still has the old DNS answer is served by it too."""
    from portable.migrate.cutover import Forwarding, switch

    progress.note("the source's routes lead to the target")
    Forwarding(move.sides, move.emit).start()
    if "serving_at" not in move.record.facts(journal.CUT_OVER):
        move.note(journal.CUT_OVER, serving_at=time.time())
    progress.note("DNS")
    cut = switch(move.sides, move.emit)
    return {"dns": _told(cut)}


def _told(cut: Cut) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(cut)))


def cut_of(record: journal.Record) -> Cut | None:
    """What the cut-over did to DNS; None where it has not come to that."""
    from portable.migrate.cutover import Cut

    told = record.facts(journal.CUT_OVER).get("dns")
    if told is None:
        return None
    lists = {key: tuple(_record(each) for each in told[key]) for key in ("written", "by_hand")}
    return Cut(**{**told, **lists})


def _record(told: Mapping[str, Any]) -> Record:
    return Record(**{**told, "values": tuple(told["values"]), "weights": tuple(told["weights"])})


def wait_for_dns(move: Move, progress: Progress) -> None:
    """Until no resolver leads to the source any more. Raises PortableError where a record that a person has to write is missing."""
    if cut := cut_of(move.record):
        _wait_expired(move, cut, "source", progress)


def _wait_expired(move: Move, cut: Cut, old: str, progress: Progress) -> None:
    from portable.migrate.cutover import expired

    while (left := expired(cut)) > 0:
        if left == float("inf"):
            raise PortableError(
                f"DNS still leads to the {old}",
                detail="\n".join(str(record) for record in cut.by_hand),
                fix="create these records, then run the command again",
            )
        progress.note(f"{elapsed(left)} until no resolver leads to the {old} any more")
        move.require_lease()
        time.sleep(min(left, 5.0))


def _cut_back(move: Move, progress: Progress) -> None:
    """A source that stood still takes its routes back only once it is ready again: see `freeze`."""
    from portable.migrate.cutover import Forwarding, back

    back(move.sides, move.emit)
    if not move.moves_data:  # it has never stopped
        Forwarding(move.sides, move.emit).undo()


def _watch(move: Move, progress: Progress) -> Facts:
    from portable.migrate.cutover import smoke

    failures, looks, deadline = 0, 0, time.monotonic() + move.options.watch
    while time.monotonic() < deadline:
        problems = smoke(move.target_side, timeout=_LOOK_SECONDS * 2)
        looks, failures = looks + 1, failures + 1 if problems else 0
        if failures >= _FAILURES:
            raise ClusterError(
                f"under traffic the app does not answer on {move.target_side} as it should",
                detail="\n".join(problems),
                fix="correct it there and `portable migrate resume`, or go back with `portable migrate rollback`",
            )
        progress.note(f"{looks} looks, well" if not failures else f"{failures} failed: {problems[0]}")
        time.sleep(_LOOK_SECONDS)
    return {"looks": looks}


def _commit(move: Move, progress: Progress) -> Facts:
    """The journal moves to the target, and with it the authority: from here on the target is the app's home."""
    side = move.target_side
    move.hold(Lease(side.kube, side.namespace))
    move.note(journal.COMMIT, moving=str(end_of(move.target)))
    move.journal = move.journal.copy_to(side.kube, side.namespace)
    return {"home": asdict(end_of(move.target))}


def record_home(move: Move) -> None:
    """Where both sides, and the state here, find the app from now on. After the commit; may be repeated."""
    home = end_of(move.target)
    home_record.write(move.target_side.kube, move.namespace, "home", move.migration, home)
    home_record.write(move.source_kube, move.namespace, "left", move.migration, home)
    home_record.remember_move(move.request.state, move.source.home, move.migration, home)


TTL = MigrationStep("ttl", "a short TTL for the routes' DNS records", _lower_ttl, when=has_routes)
WAIT_TTL = MigrationStep("ttl-wait", "the old TTL waited out", _wait_out, when=has_routes)
FORWARDER = MigrationStep(
    "forwarder",
    "a forwarder at the source, before it is needed",
    _run_forwarder,
    undo=_remove_forwarder,
    when=has_routes,
)
SHARE = MigrationStep(
    "share",
    "a share of the DNS answers leads to the target",
    _share,
    undo=_take_share_back,
    when=lambda move: move.options.share > 0,
    repeats=True,
)
CUT_OVER = MigrationStep(journal.CUT_OVER, "traffic moves to the target", _cut_over, undo=_cut_back, when=has_routes)
WATCH = MigrationStep("watch", "the target watched under traffic", _watch, when=has_routes)
COMMIT = MigrationStep(journal.COMMIT, "the target becomes the app's home", _commit)
