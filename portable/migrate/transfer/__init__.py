"""The data plane of `migrate`: volumes are copied, and connections carried, from one cluster to another.

    model              what is moved and what is said of it
    transfer           `Transfer`: prepare, seed, read_ahead, final, verify, forward, remove
    pairs, objects     which movers there are, and as what (pure)
    movers, levels     them in a cluster
    paths, relay       the way between both clusters
    keys, images       what movers are made of
    control, problems  what a mover is asked, and what it could not do

The movers' own program is providers/portable_kind/mover.
"""

from portable.migrate.transfer.images import mover_image
from portable.migrate.transfer.model import PATHS, Copied, Path, PathName, Verified, VolumeCopy
from portable.migrate.transfer.transfer import Transfer

__all__ = ["PATHS", "Copied", "Path", "PathName", "Transfer", "Verified", "VolumeCopy", "mover_image"]
