"""What is carried through a document while the model is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portable.errors import Problem
from portable.spec import document as places
from portable.spec.document import Document
from portable.spec.placeholders import Placeholder, replace


@dataclass
class Reader:
    """What the parts of the model are made from, and what is found wrong on the way. `contents`: a digest of each file by
    its place in the spec."""

    document: Document
    folder: Path
    metadata: Mapping[str, Any]
    problems: list[Problem] = field(default_factory=list)
    contents: dict[str, str] = field(default_factory=dict)

    def error(self, path: places.Path, message: str, **rest: Any) -> None:
        self.problems.append(self.document.problem(path, message, **rest))


def expanded(reader: Reader, path: places.Path, text: str) -> str:
    """`text` with what is known by now filled in: the metadata of the file that it stands in."""
    if "${" not in text:
        return text
    document = reader.document
    metadata = document.metadata.get(document.find(path)[0].mark.file, reader.metadata)

    def value(placeholder: Placeholder) -> str | None:
        found: Any = metadata if placeholder.root == "metadata" else None
        for word in placeholder.path[1:]:
            found = found.get(word) if isinstance(found, Mapping) else None
        return found if isinstance(found, str) else None

    return replace(text, value)
