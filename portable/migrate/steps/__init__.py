"""A migration's steps, in their order.

prepare    the target's cluster; the app in it with no pod         secrets   values from API server to API server
images     where the target's nodes find them                      seed      a path, volumes copied, databases that follow
freeze     the source stands still                                 final     the last of the data, compared; databases promoted
start      the app on the target, its routes; rehearsed before     cut_over  traffic, watching, the commit
"""

from portable.migrate.steps import cut_over, final, freeze, images, prepare, secrets, seed, start
from portable.migrate.steps.step import MigrationStep

# While the source serves; may be repeated for days.
STAGE: tuple[MigrationStep, ...] = (
    prepare.CLUSTER,
    secrets.SECRETS,
    prepare.ASLEEP,
    images.IMAGES,
    cut_over.TTL,
    seed.PATH,
    seed.REPLICATE,
    seed.SEED,
)
# The source stands still from the first of them on.
STOPPED: tuple[MigrationStep, ...] = (
    freeze.FREEZE,
    final.FINAL,
    final.VERIFY,
    final.PROMOTE,
    start.START,
    start.SMOKE,
)
STATEFUL: tuple[MigrationStep, ...] = (
    *STAGE,
    cut_over.WAIT_TTL,
    cut_over.FORWARDER,
    *STOPPED,
    cut_over.CUT_OVER,
    cut_over.WATCH,
    cut_over.COMMIT,
)
# Nothing is kept, so both sides may serve at once: the source stops only when its routes lead to the target.
STATELESS: tuple[MigrationStep, ...] = (
    prepare.CLUSTER,
    secrets.SECRETS,
    images.IMAGES,
    cut_over.TTL,
    cut_over.WAIT_TTL,
    start.START,
    cut_over.FORWARDER,
    start.SMOKE,
    cut_over.SHARE,
    cut_over.CUT_OVER,
    freeze.FREEZE,
    cut_over.WATCH,
    cut_over.COMMIT,
)
REHEARSE = start.REHEARSE

__all__ = ["REHEARSE", "STAGE", "STATEFUL", "STATELESS", "STOPPED", "MigrationStep"]
