"""Google's long-running operations: waited for, carried on with after an interruption, and taken turns with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from portable.errors import ProviderError
from portable.events import Emit
from portable.polling import Pending, poll
from portable_gcp.place import Place
from portable_gcp.session import Google, Refused, word

HOUR = 3600.0
# How often a refusal without an operation to wait for is believed to pass by itself (a new account that not every server knows).
_UNEXPLAINED = 6
_BUSY = ("FAILED_PRECONDITION", "failedPrecondition", "ABORTED", "RESOURCE_EXHAUSTED", "rateLimitExceeded")

# https://cloud.google.com/kubernetes-engine/docs/troubleshooting
_HINTS = {
    "GCE_STOCKOUT": "the zone has no such machines left: try another region, or another size of node",
    "GCE_QUOTA_EXCEEDED": "ask for more quota (https://console.cloud.google.com/iam-admin/quotas), or use fewer or smaller nodes",
    "NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS": "the nodes' account lacks roles/container.defaultNodeServiceAccount: run `portable up` again, which puts it back",
    "GKE_SERVICE_ACCOUNT_DELETED": "GKE's own service agent is gone: `gcloud services enable container.googleapis.com` makes it anew",
}


def change(
    google: Google, place: Place, cluster: str, start: Callable[[], Any], *, what: str, emit: Emit, usual: str = ""
) -> None:
    """Starts an operation on a cluster, after those that are already under way there, and waits until it is done.

    Raises ProviderError with GKE's own reason where it fails.
    """
    unexplained = 0

    def begin() -> Any:
        nonlocal unexplained
        try:
            return start()
        except Refused as refusal:
            if refusal.status not in (400, 409, 429) or refusal.reason not in _BUSY:
                raise
            running = under_way(google, place, cluster)
            unexplained += 0 if running else 1
            if unexplained > _UNEXPLAINED:
                raise
            return Pending(f"waiting for {word(running[0].operation_type) if running else 'its turn'}")

    operation = poll(begin, what=what, timeout=HOUR, emit=emit, interval=google.pace.poll, sleep=google.pace.sleep)
    finish(google, place, operation, what=what, emit=emit, usual=usual)


def finish(google: Google, place: Place, operation: Any, *, what: str, emit: Emit, usual: str = "") -> None:
    """Waits for an operation of GKE. Raises ProviderError with its reason where it failed."""

    def look() -> Any:
        found = google.container(
            "container.projects.locations.operations.get", name=f"{place.parent}/operations/{operation.name}"
        )
        return found if word(found.status) == "DONE" else Pending(_progress(found))

    done = poll(
        look, what=what, timeout=2 * HOUR, emit=emit, usual=usual, interval=google.pace.poll, sleep=google.pace.sleep
    )
    if done.error.code:
        raise failed(what, done.error.message, [*done.cluster_conditions, *done.nodepool_conditions])


def rest_done(
    google: Google,
    service: str,
    operation: Mapping[str, Any],
    at: Mapping[str, str],
    *,
    what: str,
    emit: Emit,
    timeout: float,
    usual: str = "",
    step: str = "cluster",
) -> None:
    """As `finish`, for a service that is spoken to by REST ("file", "artifactregistry"). `at`: project and location."""
    call, name = f"{service}.projects.locations.operations.get", str(operation["name"]).rpartition("/")[2]
    found = operation

    def look() -> Mapping[str, Any] | Pending:
        nonlocal found
        if not found.get("done"):
            found = google.rest(call, operation=name, **at)
        return found if found.get("done") else Pending("Google is at it")

    pace = google.pace
    done = poll(
        look, what=what, timeout=timeout, emit=emit, usual=usual, step=step, interval=pace.poll, sleep=pace.sleep
    )
    if error := done.get("error"):
        raise ProviderError(
            f"{what} failed",
            detail=f"Google says: {error.get('message') or error.get('code') or 'nothing'}",
            fix="look at it in Google's console, then run the same command again",
        )


def settle(google: Google, place: Place, cluster: str, *, what: str, emit: Emit, usual: str = "") -> None:
    """Waits until nothing is under way on a cluster; how that ends is for whoever started it to say."""

    def look() -> bool | Pending:
        running = under_way(google, place, cluster)
        return Pending(_progress(running[0])) if running else True

    poll(look, what=what, timeout=2 * HOUR, emit=emit, usual=usual, interval=google.pace.poll, sleep=google.pace.sleep)


def under_way(google: Google, place: Place, cluster: str) -> list[Any]:
    """Operations on a cluster and its node pools that have not ended."""
    found = google.container("container.projects.locations.operations.list", parent=place.parent)
    return [
        operation
        for operation in found.operations
        if word(operation.status) != "DONE" and f"/clusters/{cluster}/" in f"{operation.target_link}/"
    ]


def failed(what: str, reason: str, conditions: list[Any]) -> ProviderError:
    """`conditions`: GKE's StatusConditions, which say more than the reason."""
    codes = [word(condition.code) for condition in conditions]
    words = "; ".join(dict.fromkeys(filter(None, [reason, *(condition.message for condition in conditions)])))
    hint = next((hint for code, hint in _HINTS.items() if code in codes or code in words), "")
    if not hint and "quota" in words.lower():
        hint = _HINTS["GCE_QUOTA_EXCEEDED"]
    return ProviderError(
        f"{what} failed", detail=f"GKE says: {words or 'nothing'}", fix=hint or "then run the same command again"
    )


def _progress(operation: Any) -> str:
    """ "deploying 8 of 12" of the steps that GKE counts, else the operation's state."""
    counted = {metric.name: metric.int_value for metric in operation.progress.metrics}
    for name, done in counted.items():
        total = counted.get(f"{name}_TOTAL", 0)
        if not name.endswith("_TOTAL") and done < total:
            return f"{name.lower().removeprefix('cluster_')} {done} of {total}"
    return operation.detail or word(operation.status).lower()
