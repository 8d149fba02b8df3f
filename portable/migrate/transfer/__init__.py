"""The data plane of `migrate`: volumes are copied, and connections carried, from one cluster to another.

model        what is moved and what is said of it
transfer     `Transfer`: prepare, seed, final, verify, forward, remove
"""

from portable.migrate.transfer.model import PATHS, Copied, Path, PathName, Verified, VolumeCopy
from portable.migrate.transfer.transfer import Transfer

__all__ = ["PATHS", "Copied", "Path", "PathName", "Transfer", "Verified", "VolumeCopy"]
