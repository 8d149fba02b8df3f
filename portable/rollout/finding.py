"""A sign of trouble, and how long it must hold before it is called fatal."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from portable.errors import Cause

Sign: TypeAlias = Literal[
    "ImagePull",  # the image cannot be had
    "CrashLoop",  # a container ends again and again
    "OutOfMemory",  # ... because the kernel killed it at its memory limit
    "CannotStart",  # the container cannot be made or run: no such command, no sandbox
    "ConfigMissing",  # a Secret, ConfigMap or key that it needs is not there
    "RootImage",  # the image wants root where it may not be root
    "Unschedulable",  # no node takes the pod
    "ProbeFailing",  # it runs, but a probe says no
    "Quota",  # the namespace's quota is used up
    "Admission",  # the API server refuses the pods
    "VolumeBind",  # a volume cannot be made, bound, attached or mounted
    "JobFailed",  # the job has used up its tries or its time
    "Evicted",  # nodes throw the pods out
    "NodeLost",  # the pod's node does not answer
    "Timeout",  # none of these: what is still missing
]
SIGNS: tuple[str, ...] = get_args(Sign)

NEVER = math.inf


@dataclass(frozen=True)
class LogSource:
    """Whose log tells more: `previous` is the container's run before the present one."""

    pod: str
    container: str
    previous: bool


# Up to that many last lines, oldest first; () where there are none or they cannot be had. Must not raise.
FetchLog: TypeAlias = Callable[[LogSource], tuple[str, ...]]


# (pod, port) -> whether something takes connections there. Must not raise.
Answers: TypeAlias = Callable[[str, int], bool]


@dataclass(frozen=True)
class Finding:
    """`patience`: seconds for which the sign must hold to be fatal (0: at once; NEVER: only names the cause at a timeout).

    `elsewhere`: other ports of the same container. Where the app answers on one of them, it is not waiting that it lacks.
    """

    cause: Cause
    patience: float
    log: LogSource | None = None
    elsewhere: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Findings with the same key are one sign that goes on, also when a pod was replaced meanwhile."""
        return self.cause.sign, self.cause.container
