"""Images: what the target's nodes will pull must be there before the source stops."""

from __future__ import annotations

from portable.migrate.move import Move
from portable.migrate.steps.step import Facts, MigrationStep
from portable.provider import LocalImages
from portable.situation import app_images
from portable.steps import Progress


def _bring(move: Move, progress: Progress) -> Facts:
    from portable.images.delivery import deliver
    from portable.migrate.images import mirror

    # those that the spec has built: while the source serves, and not when the app starts
    deliver(move.target, move.emit)
    provider = move.target.provider
    if isinstance(provider, LocalImages):
        images = app_images(move.target_side.objects)
        return {"loaded": sorted(provider.load_images(move.target.app.cluster, images, move.emit))}
    return {"mirrored": mirror(move.source_side, move.target_side, move.emit, progress.note)}


IMAGES = MigrationStep("images", "images where the target finds them", _bring)
