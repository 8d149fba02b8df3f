"""Long operations: begun when nothing else is under way, waited for with progress, gone on with after a broken connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from portable.events import Emit
from portable.polling import Pending, poll
from portable_azure.session import Session

if TYPE_CHECKING:
    from azure.core.polling import LROPoller

# An operation that takes longer has failed in a way that Azure does not see.
TIMEOUT = 3600.0
_RESUMED = 3
_ENDED = ("succeeded", "failed", "canceled")


def in_progress(state: str) -> bool:
    """Azure adds states: what is no known end is under way."""
    return state.lower() not in _ENDED


def finish(session: Session, begin: Callable[..., LROPoller[Any]], *, what: str, emit: Emit, usual: str = "") -> Any:
    """Begins an operation and returns its result. `begin` takes the SDK's `continuation_token`.

    Another operation on the same cluster is waited for first. Raises the SDK's errors and, when it takes too long, ProviderError.
    """
    from azure.core.exceptions import ServiceRequestError, ServiceResponseError

    poller = _begun(session, begin, what, emit)
    for attempt in range(_RESUMED + 1):
        _wait(session, poller, what, usual, emit)
        try:
            return poller.result()
        except (ServiceRequestError, ServiceResponseError) as error:
            if attempt == _RESUMED or not error.continuation_token:
                raise
            poller = begin(continuation_token=error.continuation_token)
    raise AssertionError("the last attempt returns or raises")


def _begun(session: Session, begin: Callable[..., LROPoller[Any]], what: str, emit: Emit) -> LROPoller[Any]:
    from azure.core.exceptions import HttpResponseError

    def attempt() -> LROPoller[Any] | Pending:
        try:
            return begin()
        except HttpResponseError as error:
            # One operation at a time: "Operation is not allowed: Another operation (Updating) is in progress"
            if error.status_code == 409 and "progress" in (error.message or "").lower():
                return Pending("waiting for another operation to end")
            raise

    return poll(attempt, what=what, timeout=TIMEOUT, emit=emit, interval=session.interval, sleep=session.sleep)


def _wait(session: Session, poller: LROPoller[Any], what: str, usual: str, emit: Emit) -> None:
    poll(
        lambda: poller if poller.done() else Pending(poller.status()),
        what=what,
        timeout=TIMEOUT,
        emit=emit,
        usual=usual,
        interval=session.interval,
        sleep=session.sleep,
    )


def settled(
    session: Session,
    look: Callable[[], dict[str, Any] | None],
    *,
    what: str,
    emit: Emit,
    usual: str = "",
) -> dict[str, Any] | None:
    """The object once no operation on it is under way, whoever began it; None when it is gone."""

    def check() -> tuple[dict[str, Any] | None] | Pending:
        found = look()
        state = str((found or {}).get("properties", {}).get("provisioningState") or "Succeeded")
        return Pending(state) if in_progress(state) else (found,)

    return poll(
        check, what=what, timeout=TIMEOUT, emit=emit, usual=usual, interval=session.interval, sleep=session.sleep
    )[0]
