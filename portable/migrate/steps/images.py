"""Images: what the target's nodes will pull must be there before the source stops."""

from __future__ import annotations

from portable.migrate.move import Move
from portable.migrate.steps.step import Facts, MigrationStep
from portable.provider import LocalImages
from portable.situation import app_images
from portable.steps import Progress


def _bring(move: Move, progress: Progress) -> Facts:
    provider, images = move.target.provider, app_images(move.target_side.objects)
    if isinstance(provider, LocalImages):
        found = provider.load_images(move.target.app.cluster, images, move.emit)
        return {"loaded": sorted(found)}
    return {}


IMAGES = MigrationStep("images", "images where the target finds them", _bring)
