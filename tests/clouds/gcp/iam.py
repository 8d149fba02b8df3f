"""Service accounts, policies and tokens."""

from __future__ import annotations

import copy
from typing import Any
from urllib.parse import parse_qs

from tests.clouds.gcp.answers import Refusal, exists, invalid, not_found
from tests.clouds.gcp.discovery import Match

# What a workload outside of Google Cloud has, and exchanges for a token of Google's.
SUBJECT = "subject-of-the-stand-in"
OWNER = {"role": "roles/owner", "members": ["user:ada@example.com"]}


class Iam:
    """`accounts`: e-mail -> service account. `policy`: the project's. `granted`: what testIamPermissions says yes to (None: all)."""

    def __init__(self, project: str) -> None:
        self.project = project
        self.accounts: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, dict[str, Any]] = {}
        self.policy: dict[str, Any] = {"version": 1, "etag": "BwX1", "bindings": [copy.deepcopy(OWNER)]}
        self.disabled: set[str] = set()
        self.granted: set[str] | None = None
        self.interlopers = 0
        self._tokens: set[str] = set()
        self._ids = iter(range(100, 10**9))

    # -- tokens ----------------------------------------------------------------------------------------------------

    def issue(self, form: bytes) -> dict[str, Any]:
        """Workload identity federation: https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token"""
        fields = {name: values[0] for name, values in parse_qs(form.decode()).items()}
        if fields.get("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange":
            raise Refusal(400, "Invalid grant type", status="INVALID_ARGUMENT")
        if fields.get("subject_token") != SUBJECT:
            raise Refusal(400, "The given credential is rejected", status="INVALID_ARGUMENT")
        token = f"ya29.stand-in-{next(self._ids)}"
        self._tokens.add(token)
        kind = "urn:ietf:params:oauth:token-type:access_token"
        return {"access_token": token, "expires_in": 3599, "token_type": "Bearer", "issued_token_type": kind}

    def knows(self, header: str) -> bool:
        kind, _, token = header.partition(" ")
        return kind == "Bearer" and token in self._tokens

    # -- calls -----------------------------------------------------------------------------------------------------

    def answer(self, match: Match, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        verb = match.id.rpartition(".")[2]
        if match.id.startswith("cloudresourcemanager"):
            return self._project(match, verb, body)
        if verb == "create":
            return self._create(body)
        if verb == "list":
            return {"accounts": list(self.accounts.values())}
        email = match.path["serviceAccountsId"]
        if email not in self.accounts:
            raise Refusal(404, "Unknown service account", status="NOT_FOUND")
        if verb == "get":
            return self.accounts[email]
        if verb == "delete":
            del self.accounts[email]
            return {}
        policy = self.policies.setdefault(email, {"version": 1, "etag": "ACAB"})
        if verb == "getIamPolicy":
            return copy.deepcopy(policy) if int(query.get("options.requestedPolicyVersion", 1)) >= 3 else _bare(policy)
        assert verb == "setIamPolicy", match.id
        if any(binding.get("condition") for binding in policy.get("bindings", [])) and body["policy"]["version"] < 3:
            raise invalid("A policy with conditions has to be written as version 3.")
        return self._set(policy, body)

    def answer_create(self, name: str) -> None:
        """An account that a person makes for a workload."""
        self._create({"accountId": f"{name}-identity"})

    def _create(self, body: dict[str, Any]) -> dict[str, Any]:
        account_id = body["accountId"]
        if not 6 <= len(account_id) <= 30:
            raise invalid(f"The account ID {account_id} is not between 6 and 30 characters long")
        email = f"{account_id}@{self.project}.iam.gserviceaccount.com"
        if email in self.accounts:
            raise exists(f"Service account {account_id} within project projects/{self.project}")
        self.accounts[email] = {
            **body.get("serviceAccount", {}),
            "name": f"projects/{self.project}/serviceAccounts/{email}",
            "projectId": self.project,
            "email": email,
            "uniqueId": str(next(self._ids)),
        }
        return self.accounts[email]

    def _project(self, match: Match, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        if match.path["projectsId"] != self.project:
            raise not_found(f"project {match.path['projectsId']}")
        if verb == "testIamPermissions":
            asked = body.get("permissions", [])
            if len(asked) > 100:
                raise invalid("too many permissions")
            return {"permissions": [name for name in asked if self.granted is None or name in self.granted]}
        if verb == "getIamPolicy":
            found = copy.deepcopy(self.policy)
            if self.interlopers:
                # somebody else writes between our read and our write
                self.interlopers -= 1
                self.policy["etag"] += "+"
            return found
        assert verb == "setIamPolicy", match.id
        return self._set(self.policy, body)

    def _set(self, policy: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        wanted = body["policy"]
        if wanted.get("etag") != policy["etag"]:
            raise Refusal(
                409, "There were concurrent policy changes. Please retry the whole read-modify-write.", status="ABORTED"
            )
        for binding in wanted.get("bindings", []):
            for member in binding["members"]:
                kind, _, name = member.partition(":")
                # members of a workload identity pool ("PROJECT.svc.id.goog[NS/NAME]") need not exist
                if kind == "serviceAccount" and "[" not in name and name not in self.accounts:
                    raise invalid(f"Service account {name} does not exist.")
        policy.clear()
        policy.update({**wanted, "etag": wanted["etag"] + "+"})
        return policy

    def roles_of(self, email: str) -> set[str]:
        member = f"serviceAccount:{email}"
        return {entry["role"] for entry in self.policy["bindings"] if member in entry["members"]}


def _bare(policy: dict[str, Any]) -> dict[str, Any]:
    """What a caller gets who does not say that it knows conditions: https://cloud.google.com/iam/docs/policies#specifying-version-get"""
    found: dict[str, Any] = copy.deepcopy(policy)
    found["version"] = 1
    for binding in found.get("bindings", []):
        if binding.pop("condition", None):
            binding["role"] += "_withcond_0123456789abcdef"
    return found
