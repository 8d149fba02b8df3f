"""Microsoft's ARM schema, made strict: what it does not name is refused. Data: ../shared/contracts (see its SOURCES.md)."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

CONTRACTS = Path(os.environ.get("PORTABLE_CONTRACTS", Path(__file__).parents[3].parent / "shared" / "contracts"))
FILE = CONTRACTS / "aks" / "arm-2026-05-01.Microsoft.ContainerService.Aks.json"
_VERSION = "2026-05-01"


def faults(resource: str, name: str, body: dict[str, Any]) -> list[str]:
    """What is wrong with the body of a PUT. `resource`: "managedClusters" or "managedClusters_agentPools"."""
    whole = {
        **body,
        "name": name,
        "apiVersion": _VERSION,
        "type": "Microsoft.ContainerService/" + resource.replace("_", "/"),
    }
    errors = _validator(resource).iter_errors(whole)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in errors]


@cache
def _validator(resource: str) -> Any:
    from jsonschema import Draft4Validator

    document = _strict(json.loads(FILE.read_text()))
    return Draft4Validator({**document["resourceDefinitions"][resource], "definitions": document["definitions"]})


def _strict(value: Any) -> Any:
    """Without template expressions, which only deployments may send, and closed to unknown properties."""
    if isinstance(value, list):
        return [_strict(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    choices = value.get("oneOf")
    if isinstance(choices, list):
        real = [each for each in choices if "expression" not in str(each.get("$ref", ""))]
        if len(real) == 1:
            return _strict({**{key: entry for key, entry in value.items() if key != "oneOf"}, **real[0]})
    closed = {key: _strict(entry) for key, entry in value.items()}
    if value.get("type") == "object" and isinstance(value.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed
