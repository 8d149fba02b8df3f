"""What the checks of a spec look at: the app, where it stands, and every name that it declares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portable.errors import Problem
from portable.spec.document import Document, Path
from portable.spec.model import App


@dataclass(frozen=True)
class Facts:
    """`app` may lack the parts that do not fit the schema; `workloads` and `resources` are all names, theirs included."""

    app: App
    document: Document
    workloads: frozenset[str]
    resources: frozenset[str]

    def problem(self, path: Path, message: str, **rest: Any) -> Problem:
        return self.document.problem(path, message, **rest)

    def has(self, path: Path) -> bool:
        return self.document.find(path)[1] == len(path)
