"""The log of what nobody expected: appended to one file of this user, rotated, unreadable for others, without secrets."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from portable import __version__

_LIMIT = 1_000_000
_HIDDEN = "[redacted]"
_SECRET_NAMES = (
    r"pass(?:word|phrase|wd)?|secret|token|credential|authorization|api[-_]?key|access[-_]?key|client-key-data"
)
_PATTERNS = (
    (re.compile(r"-----BEGIN [^-]*PRIVATE KEY-----.*?(?:-----END [^-]*PRIVATE KEY-----|\Z)", re.DOTALL), _HIDDEN),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), _HIDDEN),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {_HIDDEN}"),
    (re.compile(r"(\w://[^\s:/@]*:)[^\s@/]+(@)"), rf"\1{_HIDDEN}\2"),
    (
        re.compile(rf"(?i)([\w-]*(?:{_SECRET_NAMES})[\w-]*[\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;)}}]+)"),
        rf"\1{_HIDDEN}",
    ),
)


@dataclass(frozen=True)
class Report:
    """`path` None: it could not be written, for `reason`."""

    path: Path | None
    reason: str
    traceback: str


def write_report(arguments: Sequence[str], doing: str, error: BaseException, *, secrets: Iterable[str] = ()) -> Report:
    """Appends the traceback to `portable.log` in the user's log folder. Raises nothing."""
    hide = (*secrets, *_secret_variables(os.environ))
    trace = redact("".join(traceback.format_exception(error)), hide)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    command = redact(" ".join(("portable", *arguments)), hide)
    text = f"{now} portable {__version__} while {doing}\n$ {command}\n{trace}\n"
    try:
        path = log_path()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists() and path.stat().st_size > _LIMIT:
            path.replace(path.with_suffix(".log.1"))
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace") as log:
            os.fchmod(log.fileno(), 0o600)
            log.write(text)
    except OSError as problem:
        return Report(None, str(problem), trace)
    return Report(path, "", trace)


def log_path() -> Path:
    import platformdirs

    return platformdirs.user_log_path("portable") / "portable.log"


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the given values and without what looks like a key, a token or a password."""
    for value in sorted((value for value in secrets if len(value) >= 4), key=len, reverse=True):
        text = text.replace(value, _HIDDEN)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _secret_variables(environment: Mapping[str, str]) -> list[str]:
    name = re.compile(rf"(?i)(?:{_SECRET_NAMES})")
    # the path of a file with a secret is none, and a key in base64 may have slashes
    return [value for key, value in environment.items() if name.search(key) and not os.path.exists(value)]
