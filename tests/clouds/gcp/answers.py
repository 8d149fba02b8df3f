"""How Google says no."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """`status` is Google's canonical word (container, IAM), `reason` the older one that Compute Engine has."""

    def __init__(self, code: int, message: str, *, status: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.reason = reason

    @property
    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.reason:
            error["errors"] = [{"message": self.message, "domain": "global", "reason": self.reason}]
        if self.status:
            error["status"] = self.status
        return {"error": error}


def not_found(what: str) -> Refusal:
    # as in the recorded logs (kcc-golden)
    return Refusal(404, f"Not found: {what}.", status="NOT_FOUND", reason="notFound")


def invalid(message: str) -> Refusal:
    return Refusal(400, message, status="INVALID_ARGUMENT", reason="badRequest")


def exists(what: str) -> Refusal:
    return Refusal(409, f"Already exists: {what}.", status="ALREADY_EXISTS", reason="alreadyExists")


def busy(operation: str) -> Refusal:
    # https://github.com/rancher/gke-operator/pull/509
    return Refusal(
        400,
        f"Cluster is running incompatible operation {operation}.",
        status="FAILED_PRECONDITION",
        reason="failedPrecondition",
    )
