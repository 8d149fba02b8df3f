"""What a transfer moves, and what it says of it. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

PathName: TypeAlias = Literal["direct", "reverse", "relayed"]
PATHS: tuple[PathName, ...] = ("direct", "reverse", "relayed")


@dataclass(frozen=True)
class VolumeCopy:
    """A volume claim of the app, of the same name on both sides.

    `uid` and `gid` (the pod's fsGroup) are those of the workload `used_by`; None: the image's own user, no group.
    """

    claim: str
    uid: int | None
    gid: int | None
    used_by: str


@dataclass(frozen=True)
class Path:
    """How the bytes go. "direct": the source dials the target; "reverse": the other way round; "relayed": through this process.

    `bytes_per_second`: measured through the encrypted connection, of random bytes. `detail`: the address, and why not the
    paths before it.
    """

    name: PathName
    bytes_per_second: float
    detail: str


@dataclass(frozen=True)
class Copied:
    """What one copy did. `files` and `bytes` (apparent sizes) count the whole volume, `changed_files` those that were sent or
    changed or deleted, `sent_bytes` what went over the connection before TLS."""

    claim: str
    files: int
    bytes: int
    sent_bytes: int
    seconds: float
    changed_files: int


@dataclass(frozen=True)
class Verified:
    """`digest`: SHA-256 over a canonical listing of everything in the volume, content included. `differences`: in words, at
    most a hundred; empty: equal."""

    claim: str
    files: int
    bytes: int
    digest: str
    differences: tuple[str, ...]

    @property
    def equal(self) -> bool:
        return not self.differences
