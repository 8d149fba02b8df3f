"""One migration's data plane: movers at both ends, the path between them, copies and their proof."""

from __future__ import annotations

from collections.abc import Sequence

from portable.events import Emit
from portable.migrate.sides import Sides
from portable.migrate.transfer.model import PATHS, Copied, Path, PathName, Verified, VolumeCopy


class Transfer:
    """Stateless in this process: keys, movers and the chosen path are in both clusters, by the label portable/migration=ID,
    so that any machine can go on. Every method is idempotent and raises ClusterError, or UsageError where it is asked for
    what does not exist."""

    def __init__(self, sides: Sides, volumes: Sequence[VolumeCopy], emit: Emit) -> None:
        self._sides = sides
        self._volumes = {volume.claim: volume for volume in volumes}
        self._emit = emit

    def prepare(self, paths: Sequence[PathName] = PATHS) -> Path:
        """Keys, movers at both ends, and the first of `paths` that works, measured. Namespaces and claims must be there."""
        raise NotImplementedError

    def seed(self, claim: str) -> Copied:
        """Copies what differs while the source serves. Files that change or vanish meanwhile are no failure here."""
        raise NotImplementedError

    def final(self, claim: str) -> Copied:
        """As `seed`, with the source stopped: afterwards both ends are the same in all but content, which `verify` proves."""
        raise NotImplementedError

    def verify(self, claim: str) -> Verified:
        """Both ends list by themselves. What differs in content is marked, so that the next copy sends it again."""
        raise NotImplementedError

    def forward(self, name: str, host: str, port: int) -> tuple[str, int]:
        """(name, port) of a Service in the target's namespace whose connections come out at `host`:`port` as seen from the
        source's namespace. It works for as long as the movers do; where the path is relayed, as long as this process does."""
        raise NotImplementedError

    def remove(self) -> None:
        """Everything of this migration's transfer at both ends, keys included; the namespaces' levels are put back."""
        raise NotImplementedError
