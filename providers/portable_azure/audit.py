"""portable:azure:AuditLog: who changed what through the API server, in a storage account, for 90 days.

inputs   name, account (of the storage account), cluster (resource id), group, location, subscription, owner
outputs  these and id
https://learn.microsoft.com/azure/aks/monitor-aks-reference#resource-logs
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from portable.errors import Problem
from portable.events import Emit
from portable.provider import Diff, Inputs, Outputs
from portable_azure import names, operations, scope
from portable_azure.failures import told
from portable_azure.session import Session

STORAGE_API, SETTINGS_API = "2024-01-01", "2021-05-01-preview"
# Without reads, which are most of what happens and change nothing; and what Entra was asked.
CATEGORIES = ("kube-audit-admin", "guard")
DAYS = 90


def account(subscription: str, cluster: str) -> str:
    """A storage account's name: 24 letters and digits at most, and nobody else's in all of Azure."""
    return "portable" + hashlib.sha256(f"{subscription}/{cluster}".encode()).hexdigest()[:16]


class AuditLog:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, session: Session) -> None:
        self._session = session

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        scope.stay(outputs, new)
        return Diff(
            changes=tuple(key for key in ("account", "cluster", "days", "categories") if _differs(outputs, new, key))
        )

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        return _setting(inputs), self._made(inputs, emit)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        """None unless both the setting and the account that it names are there."""
        scope.at_home(self._session.subscription, outputs)
        with told(f"looking at the audit log {outputs['name']}"):
            setting = self._get(_setting(outputs), SETTINGS_API)
            if setting is None or self._get(_account(outputs), STORAGE_API) is None:
                return None
        logs = setting["properties"].get("logs") or []
        return {**outputs, "categories": sorted(each["category"] for each in logs if each.get("enabled"))}

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        return self._made(new, emit)

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        scope.at_home(self._session.subscription, outputs)
        with told(f"ending the audit log {outputs['name']}"):
            # a setting would outlive its cluster, and come back with another one of its name
            self._delete(_setting(outputs), SETTINGS_API, emit)
            self._delete(_account(outputs), STORAGE_API, emit)

    def _made(self, inputs: Inputs, emit: Emit) -> Outputs:
        with told(f"keeping an audit log {inputs['name']}"):
            self._put(_account(inputs), STORAGE_API, _account_body(inputs), emit)
            self._put(f"{_account(inputs)}/managementPolicies/default", STORAGE_API, _policy(inputs["days"]), emit)
            logs = [{"category": category, "enabled": True} for category in inputs["categories"]]
            properties = {"storageAccountId": _account(inputs), "logs": logs}
            self._put(_setting(inputs), SETTINGS_API, {"properties": properties}, emit)
        return {**inputs, "id": _setting(inputs)}

    def _get(self, id: str, api: str) -> dict[str, Any] | None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            return self._session.resources.resources.get_by_id(id, api_version=api).as_dict()
        except ResourceNotFoundError:
            return None

    def _put(self, id: str, api: str, body: dict[str, Any], emit: Emit) -> None:
        begin = self._session.resources.resources.begin_create_or_update_by_id

        def start(**resumed: Any) -> Any:
            # JSON is one of its overloads, which its types do not say
            return begin(id, body, api_version=api, **resumed)  # pyright: ignore

        operations.finish(self._session, start, what="audit log", emit=emit, usual="1 min")

    def _delete(self, id: str, api: str, emit: Emit) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        begin = self._session.resources.resources.begin_delete_by_id
        try:
            operations.finish(
                self._session, lambda **resumed: begin(id, api_version=api, **resumed), what="audit log", emit=emit
            )
        except ResourceNotFoundError:
            return


def _differs(outputs: Outputs, new: Inputs, key: str) -> bool:
    return outputs.get(key) != new.get(key)


def _setting(inputs: Inputs) -> str:
    return f"{inputs['cluster']}/providers/Microsoft.Insights/diagnosticSettings/portable"


def _account(inputs: Inputs) -> str:
    group = names.group_id(inputs["subscription"], inputs["group"])
    return f"{group}/providers/Microsoft.Storage/storageAccounts/{inputs['account']}"


def _account_body(inputs: Inputs) -> dict[str, Any]:
    return {
        "location": inputs["location"],
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS"},
        "tags": {names.STACK_TAG: inputs["owner"]},
        "properties": {
            "accessTier": "Cool",
            "allowBlobPublicAccess": False,
            "minimumTlsVersion": "TLS1_2",
            "supportsHttpsTrafficOnly": True,
        },
    }


def _policy(days: int) -> dict[str, Any]:
    """What is older is deleted."""
    ends = {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": days}}}
    rule = {
        "name": "audit",
        "enabled": True,
        "type": "Lifecycle",
        "definition": {"filters": {"blobTypes": ["appendBlob", "blockBlob"]}, "actions": ends},
    }
    return {"properties": {"policy": {"rules": [rule]}}}
