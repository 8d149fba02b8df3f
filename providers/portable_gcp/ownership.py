"""Whose a thing is, and what about a live cluster cannot be moved."""

from __future__ import annotations

from typing import Any

from portable.errors import ProviderError
from portable.provider import Inputs, Outputs
from portable_gcp import naming


def marked(live: dict[str, Any], inputs: Inputs) -> bool:
    """Whether something that has a description was made for this cluster."""
    return live.get("description", "") == naming.description(inputs["cluster"], inputs["region"])


def foreign(kind: str, name: str, live: dict[str, Any]) -> ProviderError:
    described = str(live.get("description", ""))
    if described.startswith(f"{naming.LABEL}="):
        return ProviderError(
            f"the {kind} {name} belongs to another cluster of portable",
            detail=described,
            fix="choose another cluster.name",
        )
    return ProviderError(
        f"a {kind} {name} exists and was not made by portable", fix="choose another cluster.name, or remove it"
    )


def stays(outputs: Outputs, new: Inputs) -> None:
    """Raises ProviderError for a change of project or region: that would be another cluster, with nothing of this one on it."""
    for key in ("project", "region"):
        if outputs.get(key) and new.get(key) and outputs[key] != new[key]:
            raise immovable(new.get("cluster") or new["name"], key, outputs[key], new[key])


def immovable(cluster: str, what: str, old: Any, new: Any) -> ProviderError:
    return ProviderError(
        f"the {what} of the live cluster {cluster} cannot change: it is {old}, the spec says {new}",
        fix="make another cluster under another cluster.name and move the app there: `portable migrate`",
    )
