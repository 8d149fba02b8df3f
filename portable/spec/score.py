"""(in work) Score files."""

from __future__ import annotations

from portable.errors import Problem
from portable.spec.document import Document


def with_score(document: Document) -> tuple[Document, list[Problem]]:
    return document, []
