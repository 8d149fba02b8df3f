"""Workloads' cloud identities, bound at the cloud."""

from __future__ import annotations

from portable.provider import Identities
from portable.steps import Progress
from portable.target import Target


def bind_identities(target: Target, namespace: str, progress: Progress) -> None:
    """Binds what the spec names, and releases what it names no more, where the cloud keeps such bindings."""
    if isinstance(target.provider, Identities):
        wanted = {name: workload.identity for name, workload in target.app.workloads.items() if workload.identity}
        progress.note("binding cloud identities")
        target.provider.bind(target.app.cluster, namespace, wanted)


def release_identities(target: Target, namespace: str) -> None:
    """Takes the app's bindings back: they may outlive its cluster."""
    if isinstance(target.provider, Identities):
        target.provider.bind(target.app.cluster, namespace, {})
