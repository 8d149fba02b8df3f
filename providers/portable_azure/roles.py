"""portable:azure:RoleAssignment: a role for somebody at a place; portable:azure:ClusterAccess: one that is waited for.

inputs   name, place (resource id), role (id of a built-in role), principal (object id; CALLER: whoever is signed in)
         subscription; ClusterAccess also: cluster, group
outputs  these and id, assigned (object id), foreign (True: the role was there under an id that is not ours, and is never taken back)
https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from portable.errors import ClusterError, Problem, ProviderError
from portable.events import Emit
from portable.kube import Kube
from portable.polling import Pending, poll
from portable.provider import Diff, Inputs, Outputs
from portable_azure import access, operations, scope
from portable_azure.failures import LOG_IN, code, told
from portable_azure.session import Session

CALLER = "caller"
API_VERSION = "2022-04-01"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
CLUSTER_ADMIN = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"
# Documented: up to 10 minutes until an assignment is known everywhere.
PROPAGATION = 900.0
# Who we are is known at once; a new API server may take a moment all the same.
_REFUSALS = 5
_OURS = uuid.UUID("5b0f6c0e-6a52-4c38-9d5c-0f6f1f0f3a51")


class RoleAssignment:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, session: Session) -> None:
        self._session = session

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        changed = tuple(key for key in ("place", "role", "principal") if outputs.get(key) != new.get(key))
        return Diff(changes=changed, replaces=changed)

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        principal, kind = inputs["principal"], "ServicePrincipal"
        if principal == CALLER:
            principal, kind = self._session.caller()
        with told(f"assigning the role {inputs['name']}"):
            assigned = self._assign(inputs["place"], inputs["role"], principal, kind, emit)
        foreign = assigned.lower() != _id(inputs["place"], inputs["role"], principal).lower()
        return assigned, {**inputs, "id": assigned, "assigned": principal, "foreign": foreign}

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        from azure.core.exceptions import ResourceNotFoundError

        scope.at_home(self._session.subscription, outputs)
        with told(f"looking at the role {outputs['name']}"):
            if outputs.get("foreign"):
                # it may be above our place, where we cannot look at it by its id
                there = self._standing(outputs["place"], outputs["role"], outputs["assigned"])
                return {**outputs, "id": there} if there else None
            try:
                self._session.resources.resources.get_by_id(object_id, api_version=API_VERSION)
            except ResourceNotFoundError:
                return None
        return outputs

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        return {**outputs, **new}

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        scope.at_home(self._session.subscription, outputs)
        if outputs.get("foreign"):
            return
        principal = outputs.get("assigned") or outputs.get("principal")
        if principal == CALLER:
            principal, _ = self._session.caller()
        assigned = outputs.get("id") or (_id(outputs["place"], outputs["role"], principal) if principal else "")
        if not assigned:
            return
        with told(f"taking back the role {outputs['name']}"):
            try:
                operations.finish(
                    self._session,
                    lambda **resumed: self._session.resources.resources.begin_delete_by_id(
                        assigned, api_version=API_VERSION, **resumed
                    ),
                    what=f"taking back the role {outputs['name']}",
                    emit=emit,
                )
            except ResourceNotFoundError:
                return

    def _assign(self, place: str, role: str, principal: str, kind: str, emit: Emit) -> str:
        """The assignment's id. One with the same meaning under another id is somebody else's and does as well; so does any, where we
        may not assign roles."""
        from azure.core.exceptions import HttpResponseError

        wanted = _id(place, role, principal)
        properties = {
            "roleDefinitionId": f"/subscriptions/{self._session.subscription}"
            f"/providers/Microsoft.Authorization/roleDefinitions/{role}",
            "principalId": principal,
            "principalType": kind,
        }

        def begin(**resumed: Any) -> Any:
            return self._session.resources.resources.begin_create_or_update_by_id(
                wanted,
                {"properties": properties},  # pyright: ignore[reportArgumentType] (JSON is one of its overloads)
                api_version=API_VERSION,
                **resumed,
            )

        try:
            return str(operations.finish(self._session, begin, what="assigning a role", emit=emit).as_dict()["id"])
        except HttpResponseError as error:
            if code(error) != "RoleAssignmentExists" and error.status_code != 403:
                raise
            there = self._standing(place, role, principal)
            if there is None:
                raise
            return there

    def _standing(self, place: str, role: str, principal: str) -> str | None:
        """The id of an assignment without conditions at the place, or else above it.

        https://learn.microsoft.com/rest/api/authorization/role-assignments/list-for-scope
        """
        path = f"{place}/providers/Microsoft.Authorization/roleAssignments"
        # the filter gives what is at, above and below the place
        listed = self._session.list(path, API_VERSION, **{"$filter": f"principalId eq '{principal}'"})
        found = {
            str(entry["properties"]["scope"]).lower(): str(entry["id"])
            for entry in listed
            if entry["properties"]["roleDefinitionId"].lower().endswith(f"/{role}")
            and entry["properties"]["principalId"] == principal
            and not entry["properties"].get("condition")
            and not entry["properties"]["scope"].lower().startswith(f"{place.lower()}/")
        }
        return found.get(place.lower()) or next(iter(found.values()), None)


class ClusterAccess:
    """A role on the cluster for whoever makes it. Done once the API server lets us in: roles take minutes to be known."""

    secret_outputs: tuple[str, ...] = ()

    def __init__(self, session: Session) -> None:
        self._session = session
        self._role = RoleAssignment(session)
        self.check = self._role.check
        self.diff = self._role.diff
        self.read = self._role.read
        self.update = self._role.update
        self.delete = self._role.delete

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        made = self._role.create(inputs, emit)
        self._until_let_in(inputs["group"], inputs["cluster"], emit)
        return made

    def _until_let_in(self, group: str, cluster: str, emit: Emit) -> None:
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "metadata": {},
            "spec": {"resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}},
        }
        refused = 0
        with Kube.reach(access.of(self._session, group, cluster)) as kube:

            def check() -> bool | Pending:
                nonlocal refused
                try:
                    allowed = kube.create(review)["status"].get("allowed")
                except ClusterError as error:
                    refused += error.status == 401
                    if refused > _REFUSALS:
                        raise _stranger(cluster) from error
                    return Pending(error.message)
                return bool(allowed) or Pending("the role is not known there yet")

            poll(
                check,
                what=f"access to the cluster {cluster}",
                timeout=PROPAGATION,
                emit=emit,
                usual="1-5 min",
                interval=self._session.interval,
                sleep=self._session.sleep,
            )


def _stranger(cluster: str) -> ProviderError:
    return ProviderError(
        f"the API server of the cluster {cluster} does not know who we are",
        detail="it takes tokens of the tenant that its subscription belongs to",
        fix=f"sign in to that tenant: {LOG_IN}",
    )


def _id(place: str, role: str, principal: str) -> str:
    """The same for the same meaning, so that an assignment is never made twice."""
    name = uuid.uuid5(_OURS, f"{place.lower()} {role} {principal}")
    return f"{place}/providers/Microsoft.Authorization/roleAssignments/{name}"
