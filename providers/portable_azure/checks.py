"""What `doctor` looks at before money is spent: who is signed in, where, with which permissions, quota and versions."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence

from portable.errors import PortableError
from portable.events import Emit, Step
from portable.provider import Check
from portable.spec.model import Cluster
from portable_azure import configuration, permissions, sizes, versions
from portable_azure.failures import LOG_IN, told
from portable_azure.session import Session

PROVIDERS = (
    "Microsoft.ContainerService",
    "Microsoft.Compute",
    "Microsoft.Network",
    "Microsoft.Storage",
    "Microsoft.Insights",
)
_AUTHORIZATION_API, _USAGES_API, _LOCATIONS_API = "2022-04-01", "2024-07-01", "2022-12-01"
# AKS Automatic starts with three nodes of four cores for what it runs itself, and adds some for pods.
_AUTOMATIC_CORES = 16


def run(session: Session, cluster: Cluster, *, fix: bool, emit: Emit) -> Sequence[Check]:
    """Every check; what stands on a failed one is left out, since nothing can be said."""
    first = [_sdk()]
    if first[-1].status != "ok":
        return first
    first.append(_checked("subscription", "`az account set --subscription NAME`", lambda: session.subscription))
    first.append(_checked("credentials", LOG_IN, lambda: _who(session)))
    if any(check.status != "ok" for check in first):
        return first
    first.append(_checked("location", "cluster.region", lambda: _location(session, cluster)))
    checks = [*first, _permitted(session), _providers(session, fix, emit)]
    if first[-1].status != "ok":
        return checks
    location = configuration.location(cluster.region)
    fixed = "change cluster.version"
    checks.append(_checked("version", fixed, lambda: _version(session, location, cluster.version or "")))
    return [*checks, _quota(session, cluster, location)]


def _sdk() -> Check:
    try:
        import azure.identity
        import azure.mgmt.containerservice
        import azure.mgmt.resource.resources
    except ImportError as error:
        return Check("SDK", "missing", f"{error.name} is not installed", fix="pip install 'portable-deploy[azure]'")
    return Check("SDK", "ok", f"azure-mgmt-containerservice {azure.mgmt.containerservice.__version__}")


def _checked(name: str, cure: str, ask: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", ask())
    except PortableError as error:
        words = f"{error.message}: {error.detail}" if error.detail else error.message
        return Check(name, "missing", words, fix=error.fix or cure)


def _who(session: Session) -> str:
    principal, kind = session.caller()
    return f"signed in as the {'service principal' if kind == 'ServicePrincipal' else 'user'} {principal}"


def _location(session: Session, cluster: Cluster) -> str:
    from portable.errors import ProviderError

    chosen = configuration.location(cluster.region)
    with told("listing the locations"):
        known = [
            entry["name"] for entry in session.list(f"/subscriptions/{session.subscription}/locations", _LOCATIONS_API)
        ]
    if chosen not in known:
        raise ProviderError(
            f"the subscription has no location {chosen}", fix="`az account list-locations --query [].name` shows them"
        )
    return chosen


def _version(session: Session, location: str, asked: str) -> str:
    with told("listing the versions of Kubernetes"):
        return versions.choose(session, location, asked)


def _permitted(session: Session) -> Check:
    path = f"/subscriptions/{session.subscription}/providers/Microsoft.Authorization/permissions"
    try:
        with told("listing the permissions"):
            granted = list(session.list(path, _AUTHORIZATION_API))
    except PortableError as error:
        return Check("permissions", "warning", f"cannot be told: {error.message}", fix=error.fix)
    missing = [action for action in permissions.actions() if not any(_grants(entry, action) for entry in granted)]
    if missing:
        return Check(
            "permissions",
            "missing",
            f"on the subscription these are missing: {', '.join(missing)}",
            fix="`portable providers show azure` prints a role that has them",
        )
    return Check("permissions", "ok", f"all {len(permissions.actions())} actions on the subscription")


def _grants(entry: dict[str, list[str]], action: str) -> bool:
    def has(patterns: list[str]) -> bool:
        return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)

    return has(entry.get("actions") or []) and not has(entry.get("notActions") or [])


def _providers(session: Session, fix: bool, emit: Emit) -> Check:
    """Without a registration Azure refuses every call of that service."""
    name = "resource providers"
    try:
        with told("looking at the resource providers"):
            missing = [each for each in PROVIDERS if not _registered(session, each)]
            if missing and fix:
                for each in missing:
                    emit(Step(name, "progress", detail=f"registering {each}: it takes some minutes"))
                    session.resources.providers.register(each)
                return Check(
                    name, "warning", f"being registered: {', '.join(missing)}", fix="look again in some minutes"
                )
    except PortableError as error:
        return Check(name, "warning", f"cannot be told: {error.message}", fix=error.fix)
    if missing:
        cure = "; ".join(f"`az provider register --namespace {each}`" for each in missing)
        return Check(name, "missing", f"not registered: {', '.join(missing)}", fix=cure, fixable=True)
    return Check(name, "ok", f"{len(PROVIDERS)} registered")


def _registered(session: Session, namespace: str) -> bool:
    return session.resources.providers.get(namespace).registration_state == "Registered"


def _quota(session: Session, cluster: Cluster, location: str) -> Check:
    """Cores of the region; families have quotas of their own, which a refusal names."""
    path = f"/subscriptions/{session.subscription}/providers/Microsoft.Compute/locations/{location}/usages"
    try:
        with told("looking at the quota"):
            usages = list(session.list(path, _USAGES_API))
    except PortableError as error:
        return Check("quota", "warning", f"cannot be told: {error.message}", fix=error.fix)
    cores = next((entry for entry in usages if entry["name"]["value"] == "cores"), None)
    if cores is None:
        return Check("quota", "warning", "Azure does not say how many cores there may be")
    free, needed = cores["limit"] - cores["currentValue"], _cores(cluster)
    words = f"{free} of {cores['limit']} cores are free in {location}, a new cluster takes {needed}"
    if free < needed:
        return Check("quota", "missing", words, fix="ask for more: portal, Subscriptions, Usage + quotas")
    return Check("quota", "ok", words)


def _cores(cluster: Cluster) -> int:
    if not cluster.pools:
        return _AUTOMATIC_CORES
    return sizes.cores(sizes.SYSTEM) + sum(
        (pool.max or pool.min) * sizes.cores(sizes.fitting(pool.cpu, pool.memory) or sizes.DEFAULT)
        for pool in cluster.pools.values()
    )
