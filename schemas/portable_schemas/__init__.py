"""The JSON Schemas (2020-12) that define what a spec looks like: "app.v1" (ours) and "score.v1b1" (Score files).

They are the one source of the spec's shape: validation, editors and the reference docs all read them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

NAMES = ("app.v1", "score.v1b1")


def text(name: str) -> str:
    """The schema called `name`, one of `NAMES`, as JSON text. Raises KeyError for another name."""
    if name not in NAMES:
        raise KeyError(name)
    return (files(__name__) / f"{name}.schema.json").read_text(encoding="utf-8")


@cache
def load(name: str) -> dict[str, Any]:
    """The schema called `name`, parsed. Callers share the result and must not change it."""
    import json

    return json.loads(text(name))
