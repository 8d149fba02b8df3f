"""The last of the data, the proof that both sides are equal, and the databases' change of sides."""

from __future__ import annotations

from portable.errors import ClusterError
from portable.events import Notice
from portable.migrate import replicas
from portable.migrate.move import Move
from portable.migrate.plan import compared_databases
from portable.migrate.steps.freeze import wait_for_pods_gone
from portable.migrate.steps.seed import has_data, primary_of
from portable.migrate.steps.step import Facts, MigrationStep
from portable.steps import Progress

# How long a standby that streams may take for the last of what it was sent.
_CATCH_UP = 120.0
_TOLD = 5


def _final(move: Move, progress: Progress) -> Facts:
    positions = move.record.facts("freeze").get("positions", {})
    for name, replication in move.replications.items():
        progress.note(f"{name}: the last writes")
        primary_of(move, name)  # where the stream goes through this process, it has to run again after a crash
        replication.caught_up(positions[name], _CATCH_UP)
    copies = {}
    for volume in move.volumes:
        copied = move.transfer.final(volume.claim)
        copies[volume.claim] = {
            "files": copied.files,
            "bytes": copied.bytes,
            "sent": copied.sent_bytes,
            "seconds": round(copied.seconds, 2),
        }
    return {"volumes": copies}


def _verify(move: Move, progress: Progress) -> Facts:
    proofs, differing = {}, []
    for volume in move.volumes:
        progress.note(volume.claim)
        found = move.transfer.verify(volume.claim)
        proofs[volume.claim] = {"files": found.files, "bytes": found.bytes, "sha256": found.digest}
        differing += [f"{volume.claim}: {words}" for words in found.differences]
    positions, compared = move.record.facts("freeze").get("positions", {}), compared_databases(move)
    for name, replication in move.replications.items():
        if name not in compared:
            proofs[name] = {"position": positions[name]}
            words = f"{name} has all of the source's log, up to {positions[name]}; its content was not compared: see --compare"
            move.emit(Notice(words))
            continue
        progress.note(name)
        source, target = replication.digests()
        proofs[name] = {"sha256": source}
        if source != target:
            differing.append(f"{name}: the databases' contents differ ({source[:12]}, {target[:12]})")
    if differing:
        more = f"\nand {len(differing) - _TOLD} more" if len(differing) > _TOLD else ""
        raise ClusterError(
            f"source and target differ in {len(differing)} places",
            detail="\n".join(differing[:_TOLD]) + more,
            fix="`portable migrate resume` copies and compares again",
        )
    return {"proofs": proofs}


def _promote(move: Move, progress: Progress) -> Facts:
    """The source's databases stop only once the target's have taken over."""
    for name, replication in move.replications.items():
        progress.note(f"{name} takes writes on the target")
        replication.promote()
        replication.stop()  # while the source's database still runs: its slot would keep its log for ever
    before = move.record.facts("freeze")["before"]
    databases = {name: count for name, count in before.items() if name.partition("/")[2] in move.replicated}
    replicas.scale_to_zero(move.source_kube, move.namespace, databases)
    wait_for_pods_gone(move.source_kube, move.namespace, databases, progress)
    return {}


def _demote(move: Move, progress: Progress) -> None:
    """What was promoted follows nobody: the databases begin anew with the next try."""
    for replication in move.replications.values() if move.target_kube is not None else ():
        replication.stop()


FINAL = MigrationStep("final", "the last of the data", _final, when=has_data)
VERIFY = MigrationStep("verify", "both sides compared", _verify, when=has_data)
PROMOTE = MigrationStep(
    "promote", "databases change sides", _promote, undo=_demote, when=lambda move: bool(move.replicated)
)
