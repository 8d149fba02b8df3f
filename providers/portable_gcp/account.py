"""portable:gcp:NodeAccount: the service account of a cluster's nodes, with what nodes need and nothing else.

inputs   name (the account's id), cluster, project, region
outputs  these and email, uniqueId, roles (those of ROLES that it has in the project)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from portable.errors import Problem
from portable.events import Emit
from portable.polling import Pending, poll
from portable.provider import Diff, Inputs, Outputs
from portable_gcp import naming, ownership
from portable_gcp.session import Google, Refused

# https://cloud.google.com/kubernetes-engine/docs/how-to/hardening-your-cluster#use_least_privilege_sa
# The second: to pull images of this project's own registry.
ROLES = ("roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader")
_ATTEMPTS = 300.0


class NodeAccount:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, google: Google) -> None:
        self._google = google

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        ownership.stays(outputs, new)
        return Diff(() if set(outputs.get("roles", ())) >= set(ROLES) else ("roles",))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        live = self._get(inputs) or self._make(inputs, emit)
        if not ownership.marked(live, inputs):
            raise ownership.foreign("service account", live["email"], live)
        self._grant(inputs, emit)
        return live["email"], self._outputs(inputs, live)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        live = self._get(outputs)
        return None if live is None or not ownership.marked(live, outputs) else self._outputs(outputs, live)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        self._grant(outputs, emit)
        return {**outputs, "roles": list(ROLES)}

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        """Its bindings go first: they would stay behind under the name "deleted:serviceAccount:..."."""
        live = self._get(outputs)
        if live is None or not ownership.marked(live, outputs):
            return
        member = _member(outputs)
        change_policy(self._google, outputs["project"], lambda policy: _without(policy, member), emit)
        try:
            self._google.rest(
                "iam.projects.serviceAccounts.delete", project=outputs["project"], account=_email(outputs)
            )
        except Refused as refusal:
            if refusal.status != 404:
                raise

    def _get(self, known: Outputs) -> dict[str, Any] | None:
        try:
            return self._google.rest(
                "iam.projects.serviceAccounts.get", project=known["project"], account=_email(known)
            )
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise

    def _make(self, inputs: Inputs, emit: Emit) -> dict[str, Any]:
        mark = naming.description(inputs["cluster"], inputs["region"])
        body = {
            "accountId": inputs["name"],
            "serviceAccount": {"displayName": f"nodes of the cluster {inputs['cluster']}", "description": mark},
        }
        try:
            return self._google.rest("iam.projects.serviceAccounts.create", body, project=inputs["project"])
        except Refused as refusal:
            if refusal.status != 409:
                raise
        # made by a call whose reply was lost; reads lag behind
        return poll(
            lambda: self._get(inputs) or Pending("not visible yet"),
            what=f"service account {inputs['name']}",
            timeout=_ATTEMPTS,
            emit=emit,
            interval=self._google.pace.poll / 5,
            sleep=self._google.pace.sleep,
        )

    def _grant(self, known: Outputs, emit: Emit) -> None:
        member = _member(known)
        change_policy(self._google, known["project"], lambda policy: _with(policy, member), emit)

    def _outputs(self, known: Outputs, live: dict[str, Any]) -> Outputs:
        policy = self._google.rest("cloudresourcemanager.projects.getIamPolicy", _VERSIONED, project=known["project"])
        held = [role for role in ROLES if _holds(policy, role, _member(known))]
        return {**known, "email": live["email"], "uniqueId": live["uniqueId"], "roles": held}


_VERSIONED: dict[str, Any] = {"options": {"requestedPolicyVersion": 3}}


def change_policy(google: Google, project: str, edit: Callable[[dict[str, Any]], bool], emit: Emit) -> None:
    """Reads the project's policy, lets `edit` change it in place, and writes it if that changed anything.

    Others write to it too: their etag wins and we begin again. A new account is not known everywhere at once either.
    """

    def attempt() -> bool | Pending:
        policy = google.rest("cloudresourcemanager.projects.getIamPolicy", _VERSIONED, project=project)
        if not edit(policy):
            return True
        try:
            google.rest("cloudresourcemanager.projects.setIamPolicy", {"policy": policy}, project=project)
        except Refused as refusal:
            unknown = refusal.status == 400 and "does not exist" in refusal.said
            if refusal.status == 409 or unknown:
                return Pending(refusal.said)
            raise
        return True

    pace = google.pace
    # apart from the poll's own jitter: two runs at once would meet again and again
    poll(
        attempt,
        what="the project's IAM policy",
        timeout=_ATTEMPTS,
        emit=emit,
        interval=pace.poll / 5 * random.uniform(0.5, 1.5),
        sleep=pace.sleep,
    )


def _with(policy: dict[str, Any], member: str) -> bool:
    lacking = [role for role in ROLES if not _holds(policy, role, member)]
    for role in lacking:
        policy.setdefault("version", 3)
        policy.setdefault("bindings", []).append({"role": role, "members": [member]})
    return bool(lacking)


def _without(policy: dict[str, Any], member: str) -> bool:
    changed = False
    for binding in policy.get("bindings", []):
        if member in binding.get("members", []):
            binding["members"].remove(member)
            changed = True
    policy["bindings"] = [binding for binding in policy.get("bindings", []) if binding.get("members")]
    return changed


def _holds(policy: dict[str, Any], role: str, member: str) -> bool:
    """Unconditionally: a binding with a condition is somebody else's, and may not hold now."""
    return any(
        binding["role"] == role and member in binding.get("members", []) and not binding.get("condition")
        for binding in policy.get("bindings", [])
    )


def _email(known: Outputs) -> str:
    return naming.email(known["project"], known["name"])


def _member(known: Outputs) -> str:
    return f"serviceAccount:{_email(known)}"
