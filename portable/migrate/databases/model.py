"""What there is to say of a database that moves. Plain data, and the promises that both kinds keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from portable.migrate.sides import Side

How: TypeAlias = Literal["replication", "files", "refused"]


@dataclass(frozen=True)
class Way:
    """How one database of the app moves, and why so.

    "files": its volume is copied while it is stopped. "refused": neither can be, and `why` says what to change.
    `size`: bytes that comparing its content reads, where it is replicated.
    """

    name: str
    type: Literal["postgres", "redis"]
    how: How
    why: str
    size: int = 0


@dataclass(frozen=True)
class Lag:
    """Whether the standby follows. `lost`: it can never catch up from where it is, `start` seeds it anew. `detail` is the reason, in the server's words."""

    streaming: bool
    lost: bool = False
    detail: str = ""


class Replication(Protocol):
    """One database on its way. Every call may be repeated, by another process too: what it knows stands in both clusters.

    Raises ClusterError, and UsageError where the target's database holds data of its own.
    """

    name: str

    def start(self, primary: tuple[str, int], *, replace: bool = False) -> None:
        """Seeds the standby on the target and starts it; returns when it streams. `primary`: (host, port) that lead to the
        source's database as seen in the target's namespace. The target needs the namespace and the database's Secret;
        claim, Service and StatefulSet are made as compiled where they are missing. `replace`: other data there is deleted.
        """
        ...

    def lag(self) -> Lag: ...

    def fence_source(self) -> str:
        """From its return on the source acknowledges no write. Returns the position of the last one."""
        ...

    def caught_up(self, position: str, timeout: float) -> None:
        """Returns when the target has everything up to `position`; raises ClusterError after `timeout` seconds."""
        ...

    def promote(self, *, rehearsal: bool = False) -> None:
        """The target takes writes, with the password of its own Secret, and follows nobody. Refused while the source is not
        fenced. `rehearsal`: allowed beside a source that serves; a later `start` seeds anew."""
        ...

    def size(self) -> int:
        """Bytes of the source's content."""
        ...

    def digest(self, side: Side) -> str:
        """SHA-256 (hex) of all content there, equal on both sides if and only if that is."""
        ...

    def digests(self) -> tuple[str, str]:
        """(source, target), of one moment as far as keys that expire go."""
        ...

    def unfence_source(self) -> None:
        """The source takes writes again, as before."""
        ...

    def stop(self) -> None:
        """Ends the replication and takes away what was made for it, on both sides; of a target that was not promoted its data
        too. A fence stays."""
        ...
