"""Errors as JSON documents; the fields are part of the interface (docs/reference/cli.md)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from portable.errors import PortableError, RolloutFailed, SecretsMissing, SpecError


def error_document(error: PortableError) -> dict[str, Any]:
    """{"type", "message", "detail", "fix", "exit_code"}, with "problems", "causes" or "names" where the error carries them."""
    document: dict[str, Any] = {
        "type": type(error).__name__,
        "message": error.message,
        "detail": error.detail,
        "fix": error.fix,
        "exit_code": error.exit_code,
    }
    if isinstance(error, SpecError):
        document["problems"] = [asdict(problem) for problem in error.problems]
    if isinstance(error, RolloutFailed):
        document["causes"] = [asdict(cause) for cause in error.causes]
    if isinstance(error, SecretsMissing):
        document["names"] = list(error.names)
    return document
