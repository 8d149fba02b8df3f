"""Azure's errors in words for a person: what was being done, the service's own reason, what to do next.

https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/common-deployment-errors
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from portable.errors import ProviderError

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError, HttpResponseError

CHAIN = "environment variables (AZURE_CLIENT_ID, ...), workload identity, managed identity, VS Code, az login, Azure PowerShell, azd"
LOG_IN = "`az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"

# The error codes of Resource Manager, Compute and AKS that have a cure which their own message does not name.
_CURES = {
    "QuotaExceeded": "ask for more quota (portal: Subscriptions, Usage + quotas), or choose smaller node pools",
    "SkuNotAvailable": "choose another cpu and memory for the node pool, or another region",
    "AllocationFailed": "Azure has no such machines free there now: try again later, another size or another region",
    "OverconstrainedAllocationRequest": "choose another cpu and memory for the node pool, or leave out `spot`",
    "MissingSubscriptionRegistration": "`az provider register --namespace Microsoft.ContainerService --wait`",
    "RequestDisallowedByPolicy": "a policy of the subscription forbids it: ask whoever keeps its policies",
    "SubscriptionNotFound": "check AZURE_SUBSCRIPTION_ID, or `az account set --subscription NAME`",
    "LocationNotAvailableForResourceType": "choose another cluster.region: `az account list-locations`",
    "ScopeLocked": "a lock keeps it from being changed: `az lock list` shows it",
    "TooManyRequests": "Azure's limit of requests is reached: wait some minutes and run the same command again",
}
_DENIED = re.compile(r"perform action '(?P<action>[^']+)'(?:.*?over scope '(?P<scope>[^']+)')?", re.DOTALL)
# A line of DefaultAzureCredential's on one link of its chain, and what it says of those that nobody set up.
_LINK = re.compile(r"\w+Credential: ")
_NOT_SET_UP = re.compile(r"unavailable|not installed|not found|not be found|No accounts|requires the")
_AGAIN = "run the same command again: it goes on where this one stopped"


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Raises ProviderError for every error of the SDK inside. `doing`: "creating cluster shop"."""
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as error:
        raise explained(error, doing) from error


def explained(error: AzureError, doing: str) -> ProviderError:
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError

    if isinstance(error, HttpResponseError) and error.status_code is not None:
        return _refused(error, doing)
    if isinstance(error, ClientAuthenticationError):
        return ProviderError(
            f"{doing}: no Azure credentials were found that work",
            detail="\n".join((f"tried, in this order: {CHAIN}", *_broken(error))),
            fix=LOG_IN,
        )
    if isinstance(error, HttpResponseError):
        return _failed(error, doing)
    return ProviderError(f"{doing}: Azure did not answer", detail=_first_line(error), fix=_AGAIN)


def code(error: HttpResponseError) -> str:
    """The service's own word for it ("QuotaExceeded"), also from AKS' flat bodies; "" without one."""
    details = getattr(error, "error", None)
    found = getattr(details, "code", None)
    if not found and isinstance(error.model, dict):
        found = error.model.get("code")
    return str(found or getattr(error.model, "code", None) or "")


def _refused(error: HttpResponseError, doing: str) -> ProviderError:
    status = error.status_code
    if status == 401:
        return ProviderError(
            f"{doing}: Azure does not accept the credentials (any more)",
            detail=_first_line(error),
            fix=f"{LOG_IN}; then {_AGAIN}",
        )
    if status == 403 and (denied := _DENIED.search(error.message or "")):
        scope = denied["scope"] or "the subscription"
        return ProviderError(
            f"{doing}: the permission {denied['action']} is missing",
            detail=f"at {scope}",
            fix="have a role with it assigned there: `portable providers show azure` prints the least one that is needed",
        )
    return _failed(error, doing)


def _failed(error: HttpResponseError, doing: str) -> ProviderError:
    word = code(error)
    cure = _CURES.get(word) or _CURES.get(word[:1].upper() + word[1:])
    if not cure and "quota" in (error.message or "").lower():
        cure = _CURES["QuotaExceeded"]
    reason = _first_line(error)
    return ProviderError(
        f"{doing}: Azure says {word}" if word else f"{doing}: Azure refused it (HTTP {error.status_code})",
        detail=reason,
        fix=cure
        or (_AGAIN if (error.status_code or 0) >= 500 else "mend what it says, then run the same command again"),
    )


def _broken(error: AzureError) -> list[str]:
    """Of the chain, those credentials that are there and do not work: one that is not set up says nothing of what is wrong."""
    lines = (line.strip() for line in str(getattr(error, "message", None) or error).splitlines())
    return [line[:400] for line in lines if _LINK.match(line) and not _NOT_SET_UP.search(line)]


def _first_line(error: AzureError) -> str:
    """The message without what the SDK puts around it ("(Code) Message\\nCode: Code\\nMessage: Message")."""
    text = str(getattr(error, "message", None) or error)
    return text.split("\nCode:")[0].strip()[:1000]
