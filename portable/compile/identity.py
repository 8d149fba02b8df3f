"""Service accounts: one for each workload, with no token in its pods, bound to a cloud identity where the spec names one."""

from __future__ import annotations

from collections.abc import Mapping

from portable.compile.names import metadata
from portable.compile.scope import Scope
from portable.provider import KubeObject
from portable.spec.model import App, Workload


def service_account(app: App, name: str, *, annotations: dict[str, str] | None = None) -> KubeObject:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(app, name, name, annotations=annotations),
        "automountServiceAccountToken": False,
    }


def workload_account(scope: Scope, workload: Workload) -> KubeObject:
    bound = scope.profile.identity.service_account_annotations if scope.profile.identity else {}
    return service_account(scope.app, workload.name, annotations=_of(workload, bound))


def pod_labels(scope: Scope, workload: Workload) -> dict[str, str]:
    """Labels by which a cloud's webhook recognises pods that get an identity."""
    return _of(workload, scope.profile.identity.pod_labels if scope.profile.identity else {})


def check(scope: Scope, workload: Workload) -> None:
    if workload.identity is not None and scope.profile.identity is None:
        scope.problem(
            ("workloads", workload.name, "identity"),
            f"{scope.profile.title} cannot give a workload a cloud identity",
            hint="set identity only in the environments whose cloud has one",
        )


def _of(workload: Workload, values: Mapping[str, str]) -> dict[str, str]:
    identity = workload.identity
    return {} if identity is None else {key: value.replace("{identity}", identity) for key, value in values.items()}
