"""Workload Identity: a Kubernetes service account may act as a Google one.

https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity#kubernetes-sa-to-iam
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from portable.errors import Problem, ProviderError
from portable.events import Emit, nowhere
from portable.polling import Pending, poll
from portable_gcp.session import Google, Refused
from portable_gcp.settings import workload_pool

ROLE = "roles/iam.workloadIdentityUser"
_SECONDS = 120.0
_MEANT = "the e-mail address of a Google service account"
# Else a policy with conditions comes without them, and is refused when it is written back:
# https://cloud.google.com/iam/docs/policies#specifying-version-get
_WHOLE = {"options.requestedPolicyVersion": 3}


def bind(google: Google, project: str, namespace: str, wanted: Mapping[str, str], emit: Emit = nowhere) -> None:
    """`wanted`: Kubernetes service account -> e-mail address of a Google service account; all of the namespace.

    What was bound there before and is not among them is released, on accounts of this project; on others' only while they are
    named. Raises ProviderError.
    """
    ours = re.compile(re.escape(f"serviceAccount:{workload_pool(project)}[{namespace}/") + r"[^\]]+\]")
    for account in sorted({*wanted.values(), *_accounts(google, project)}):
        members = {member(project, namespace, name) for name, email in wanted.items() if email == account}
        _set(google, account, members, ours, emit)


def problems(google: Google, wanted: Mapping[str, str]) -> list[Problem]:
    """Of each service account that does not exist. Asks for what `bind` asks for, so that no other permission is needed."""
    return [
        Problem(_missing(email), path=f"workloads.{name}.identity", expected=_MEANT, hint=_fix(email))
        for name, email in wanted.items()
        if "@" not in email or not _exists(google, email)
    ]


def _exists(google: Google, account: str) -> bool:
    try:
        google.rest("iam.projects.serviceAccounts.getIamPolicy", None, _WHOLE, project="-", account=account)
    except Refused as refusal:
        if refusal.status == 404:
            return False
        raise
    return True


def _missing(account: str) -> str:
    return f"there is no Google service account {account}"


def _fix(account: str) -> str:
    return f"`gcloud iam service-accounts create {account.partition('@')[0]}`, or correct `identity:`"


def _accounts(google: Google, project: str) -> list[str]:
    """Those that may hold a binding: there is no other way to find one than to look at each account.

    None for whoever may not list them, and so cannot have bound anything with these credentials.
    """
    found: list[str] = []
    query: dict[str, Any] = {"pageSize": 100}
    while True:
        try:
            page = google.rest("iam.projects.serviceAccounts.list", None, query, project=project)
        except Refused as refusal:
            if refusal.status == 403:
                return found
            raise
        found += [account["email"] for account in page.get("accounts", [])]
        if not page.get("nextPageToken"):
            return found
        query["pageToken"] = page["nextPageToken"]


def member(project: str, namespace: str, service_account: str) -> str:
    return f"serviceAccount:{workload_pool(project)}[{namespace}/{service_account}]"


def _set(google: Google, account: str, members: set[str], ours: re.Pattern[str], emit: Emit) -> None:
    # "-" is the account's own project, which need not be the cluster's
    where = {"project": "-", "account": account}

    def attempt() -> bool | Pending:
        try:
            policy = google.rest("iam.projects.serviceAccounts.getIamPolicy", None, _WHOLE, **where)
            if not _edit(policy, members, ours):
                return True
            google.rest("iam.projects.serviceAccounts.setIamPolicy", {"policy": policy}, **where)
        except Refused as refusal:
            if refusal.status == 409:
                return Pending(refusal.said)
            if refusal.status in (403, 404) and not members:
                # gone meanwhile, or nobody that we could have bound to
                return True
            if refusal.status == 404:
                raise ProviderError(_missing(account), detail=_MEANT, fix=_fix(account)) from None
            raise
        return True

    pace = google.pace
    poll(
        attempt,
        what=f"the policy of {account}",
        timeout=_SECONDS,
        emit=emit,
        interval=pace.poll / 5,
        sleep=pace.sleep,
    )


def _edit(policy: dict[str, Any], members: set[str], ours: re.Pattern[str]) -> bool:
    """Brings the members of this namespace to what is wanted; everybody else's stay."""
    bindings = policy.setdefault("bindings", [])
    binding = next((entry for entry in bindings if entry["role"] == ROLE and not entry.get("condition")), None)
    if binding is None and not members:
        return False
    if binding is None:
        binding = {"role": ROLE, "members": []}
        bindings.append(binding)
    others = [entry for entry in binding["members"] if not ours.fullmatch(entry)]
    now = sorted({*others, *members})
    if sorted(binding["members"]) == now:
        return False
    binding["members"] = now
    policy["bindings"] = [entry for entry in bindings if entry["members"]]
    return True
