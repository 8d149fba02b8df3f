"""A Score file as a draft: what `portable` makes of it, written out."""

from __future__ import annotations

from pathlib import Path

from portable.importing.draft import Draft
from portable.spec.load import read_document
from portable.spec.score import with_score


def from_score(file: Path) -> Draft:
    """Raises SpecError where it is no Score file, or not a valid one."""
    document, warnings = with_score(read_document(file))
    value = document.root.plain()
    draft = Draft(value["metadata"]["name"], value["workloads"], value.get("resources", {}))
    draft.findings += warnings
    return draft
