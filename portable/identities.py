"""Workloads' cloud identities, bound at the cloud."""

from __future__ import annotations

from portable.errors import SpecError
from portable.provider import Identities
from portable.spec.profile import placed
from portable.steps import Progress
from portable.target import Target


def require_identities(target: Target) -> None:
    """Before anything is made: that the cloud knows the identities that the spec names. Raises SpecError."""
    wanted = _wanted(target)
    if wanted and isinstance(target.provider, Identities):
        problems = target.provider.identity_problems(target.app.cluster, wanted)
        if problems:
            raise SpecError([placed(target.app, problem) for problem in problems], file=str(target.file))


def bind_identities(target: Target, namespace: str, progress: Progress) -> None:
    """Binds what the spec names, and releases what it names no more, where the cloud keeps such bindings."""
    if isinstance(target.provider, Identities):
        progress.note("binding cloud identities")
        target.provider.bind(target.app.cluster, namespace, _wanted(target))


def release_identities(target: Target, namespace: str) -> None:
    """Takes the app's bindings back: they may outlive its cluster."""
    if isinstance(target.provider, Identities):
        target.provider.bind(target.app.cluster, namespace, {})


def _wanted(target: Target) -> dict[str, str]:
    """Workload, whose service account has the same name -> identity."""
    return {name: workload.identity for name, workload in target.app.workloads.items() if workload.identity}
