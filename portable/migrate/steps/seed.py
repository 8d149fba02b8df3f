"""Seed: data is copied, and databases begin to follow, while the source serves."""

from __future__ import annotations

from portable.compile.databases import PORTS
from portable.migrate.move import Move
from portable.migrate.steps.step import Facts, MigrationStep
from portable.steps import Progress

# A delta that takes no longer than this is small enough to stop for; and after so many rounds it will not become smaller.
_SMALL_SECONDS = 3.0
_ROUNDS = 3
# Bytes that the proof reads in some ten seconds.
_WORTH_READING_AHEAD = 1e9


def has_data(move: Move) -> bool:
    return bool(move.volumes or move.replicated)


def _find_path(move: Move, progress: Progress) -> Facts:
    path = move.transfer.prepare()
    progress.note(f"{path.name}, {path.bytes_per_second / 1e6:.0f} MB/s")
    return {"path": path.name, "bytes_per_second": path.bytes_per_second, "detail": path.detail}


def _remove_movers(move: Move, progress: Progress) -> None:
    if move.target_kube is not None:
        move.transfer.remove()


def primary_of(move: Move, name: str) -> tuple[str, int]:
    """Where the target's standby finds the source's database."""
    way = next(way for way in move.ways if way.name == name)
    return move.transfer.forward(f"portable-{name}-primary", name, PORTS[way.type])


def _follow(move: Move, progress: Progress) -> Facts:
    # What an earlier try, or an earlier migration, left on the target is a copy of the source's: nothing of its own is lost.
    again = bool(move.record.header.reverses) or any(entry.step == "replicate" for entry in move.record.entries[:-1])
    for name, replication in move.replications.items():
        progress.note(name)
        replication.start(primary_of(move, name), replace=again)
    return {"databases": sorted(move.replications)}


def _not_following(move: Move) -> str:
    behind = {name: replication.lag() for name, replication in move.replications.items()}
    return "; ".join(f"{name} does not follow: {lag.detail}" for name, lag in behind.items() if not lag.streaming)


def _unfollow(move: Move, progress: Progress) -> None:
    for replication in move.replications.values() if move.target_kube is not None else ():
        replication.stop()


def _seed(move: Move, progress: Progress) -> Facts:
    """As often as the delta gets smaller by it: what is left is what the app will stand still for."""
    copies = {}
    for volume in move.volumes:
        last = None
        for _ in range(_ROUNDS):
            copied = move.transfer.seed(volume.claim)
            shrinking = last is None or copied.seconds < 0.8 * last.seconds
            last = copied
            if copied.seconds <= _SMALL_SECONDS or not shrinking:
                break
        assert last is not None, "there is a first round"
        known = move.transfer.read_ahead(volume.claim) if last.bytes >= _WORTH_READING_AHEAD else 0
        copies[volume.claim] = {
            "known": known,
            "files": last.files,
            "bytes": last.bytes,
            "sent": last.sent_bytes,
            "seconds": round(last.seconds, 2),
            "changed": last.changed_files,
        }
    return {"volumes": copies}


PATH = MigrationStep("path", "a way for the data", _find_path, undo=_remove_movers, when=has_data, repeats=True)
REPLICATE = MigrationStep(
    "replicate",
    "databases follow the source's",
    _follow,
    check=_not_following,
    undo=_unfollow,
    when=lambda move: bool(move.replicated),
)
SEED = MigrationStep(
    "seed", "volumes copied while the source serves", _seed, when=lambda move: bool(move.volumes), repeats=True
)
