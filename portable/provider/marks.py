"""Optional: how `lint` recognises what would tie a spec to one cloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable


@dataclass(frozen=True)
class ForeignMark:
    """A way to tell that a text in a spec belongs to one cloud. `pattern` is searched for, as a regular expression.

    `where`: "key" (of an annotation, say) or "value" (any text). `what` it is ("an ARN"), `instead` what to write. `place`
    names the key that may have it in an environment of that cloud ("image", "identity", "region"); "" none may.
    """

    pattern: str
    what: str
    instead: str
    where: Literal["key", "value"] = "value"
    place: str = ""


@runtime_checkable
class ForeignMarks(Protocol):
    """Optional: how `lint` recognises what would tie a spec to this cloud."""

    foreign_marks: tuple[ForeignMark, ...]
