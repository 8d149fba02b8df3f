"""Every error a user can meet, in one tree.

    PortableError            1  what happened, where, what to do next
    ├── UsageError           2  the command line asks for something that does not exist or does not fit
    ├── SpecError            2  the spec is wrong; carries every `Problem` found, each with its place
    ├── ToolError            1  a tool that is needed is missing or broken (pulumi, kind, docker)
    ├── ProviderError        1  a cloud or local cluster said no
    │   └── ClusterGone      1  the provider was asked and says that the cluster no longer exists
    ├── ClusterError         1  the Kubernetes API server refused or could not be reached
    ├── EngineError          1  the Pulumi engine failed; its own words are in `detail`
    │   └── StateLocked      1  another operation holds the stack
    ├── PlanStale            1  something moved since the plan file was written
    ├── SecretsMissing       1  the spec names secrets that have no value in the cluster yet
    ├── RolloutFailed        1  workloads cannot become ready; carries each `Cause`
    └── Interrupted        130  Ctrl-C or SIGTERM

Only `portable.cli.main` catches these, and only it exits. Nothing else calls `sys.exit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


class PortableError(Exception):
    """An error with a message for a person: what happened (`message`), more of it (`detail`), what to do next (`fix`)."""

    exit_code = 1

    def __init__(self, message: str, *, detail: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.fix = fix


class UsageError(PortableError):
    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One fault in a spec. `line` and `column` count from 1; 0 means that the whole file is meant.

    `path` is the place in the spec's words ("workloads.api.scale.min"), `source_line` the offending line without its
    newline (cut to a printable length), `expected` what would be right, `hint` a did-you-mean or the lines to add.
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""
    source_line: str = ""
    expected: str = ""
    hint: str = ""
    severity: Literal["error", "warning"] = "error"


class SpecError(PortableError):
    exit_code = 2

    def __init__(self, problems: Sequence[Problem], *, file: str = "") -> None:
        self.problems = tuple(problems)
        errors = sum(1 for problem in self.problems if problem.severity == "error")
        where = f" in {file}" if file else ""
        super().__init__(f"{errors} {'error' if errors == 1 else 'errors'}{where}")


class ToolError(PortableError):
    pass


class ProviderError(PortableError):
    pass


class ClusterGone(ProviderError):
    pass


class ClusterError(PortableError):
    """The API server's refusal. `status` is the HTTP code (0: not reached), `reason` its machine word ("NotFound")."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "", detail: str = "", fix: str = "") -> None:
        super().__init__(message, detail=detail, fix=fix)
        self.status = status
        self.reason = reason


class EngineError(PortableError):
    pass


class StateLocked(EngineError):
    pass


class PlanStale(PortableError):
    pass


class SecretsMissing(PortableError):
    def __init__(self, names: Sequence[str], *, fix: str = "") -> None:
        self.names = tuple(names)
        super().__init__("no value is set for: " + ", ".join(self.names), fix=fix)


@dataclass(frozen=True)
class Cause:
    """Why a workload cannot become ready.

    `sign` is one machine word from the closed list in `portable.rollout.diagnose` ("ImagePull", "CrashLoop", ...);
    `summary` one sentence; `event` the Kubernetes event's own words; `log_tail` the last lines of the container.
    """

    workload: str
    sign: str
    summary: str
    pod: str = ""
    container: str = ""
    event: str = ""
    exit_code: int | None = None
    log_tail: tuple[str, ...] = ()
    hint: str = ""
    seconds: float = 0.0


class RolloutFailed(PortableError):
    def __init__(self, causes: Sequence[Cause], *, fix: str = "") -> None:
        self.causes = tuple(causes)
        names = ", ".join(dict.fromkeys(cause.workload for cause in self.causes))
        super().__init__(f"not ready: {names}", fix=fix)


class Interrupted(PortableError):
    exit_code = 130
