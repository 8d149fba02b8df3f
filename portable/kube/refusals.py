"""What the API server's refusals mean, and what to do about them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from portable.errors import ClusterError

if TYPE_CHECKING:
    import httpx2

# What a refusal is about where the status does not say it: policies and admission answer 403 too, whatever the credentials may do.
_RULES = (
    (
        r"denied (the )?request|exceeded quota|violates PodSecurity",
        "the cluster's own rules refuse it: change the spec as the message asks, or ask who set them",
    ),
    (
        r"must support resize",
        "volumes of this storage keep their size: put the old `size` back, or mount a new volume and copy the data to it",
    ),
    (r"can not be less than status\.capacity", "a volume can grow but not shrink: put the old `size` back"),
)


def refusal(status: int, words: Mapping[str, Any], server: str) -> ClusterError:
    message = str(words.get("message") or f"the API server answered {status}")
    if status == 401:  # it says no more than "Unauthorized", and there may be several clusters
        message = f"the API server {server} does not accept the credentials"
    fix = {
        401: "get new ones, as its cloud or whoever gave them out does",
        403: "the credentials lack a permission: ask for the role that the message names",
    }.get(status, "")
    fix = next((said for pattern, said in _RULES if re.search(pattern, message)), fix)
    return ClusterError(message, status=status, reason=str(words.get("reason", "")), fix=fix)


def unreachable(server: str, error: Exception) -> ClusterError:
    return ClusterError(
        f"the cluster's API server {server} cannot be reached",
        detail=f"{type(error).__name__}: {error}",
        fix="check that the cluster runs and that this machine has a way to it",
    )


def answered(response: httpx2.Response) -> Mapping[str, Any]:
    """Of a refusal: a `Status`, or whatever else stands between here and the server said."""
    try:
        found = response.json()
    except ValueError:
        return {"message": response.text.strip()[:500]}
    return found if isinstance(found, dict) else {"message": str(found)[:500]}
