"""A Score file as a draft: what `portable` makes of it, written out."""

from __future__ import annotations

from pathlib import Path

from portable.errors import SpecError
from portable.importing.draft import Draft
from portable.spec.load import read_document
from portable.spec.score import API_GROUP, with_score


def from_score(file: Path) -> Draft:
    """Raises SpecError where it is no Score file, or not a valid one."""
    read = read_document(file)
    version = read.root.child("apiVersion")
    if version is None or not str(version.content).startswith(API_GROUP):
        found = read.problem(("apiVersion",), "this is not a Score file", expected=f"apiVersion: {API_GROUP}v1b1")
        raise SpecError([found], file=str(file))
    document, warnings = with_score(read)
    value = document.root.plain()
    draft = Draft(value["metadata"]["name"], value["workloads"], value.get("resources", {}))
    draft.findings += warnings
    return draft
