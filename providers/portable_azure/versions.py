"""Kubernetes versions: which are offered, whether a cluster has what is asked for, and the way there one minor at a time.

https://learn.microsoft.com/azure/aks/upgrade-aks-cluster
"""

from __future__ import annotations

from typing import Any

from portable.errors import ProviderError
from portable_azure.session import Session


def fits(live: str, asked: str) -> bool:
    """Whether `live` ("1.33.5") is what was `asked` for ("", "1.33" or "1.33.5")."""
    return not asked or live == asked or live.startswith(asked + ".")


def choose(session: Session, location: str, asked: str) -> str:
    """`asked` if it is offered, else (asked for none) the cloud's default. Raises ProviderError with what there is."""
    offered = session.containers.managed_clusters.list_kubernetes_versions(location).as_dict().get("values", [])
    stable = [entry for entry in offered if not entry.get("isPreview")]
    if not asked:
        chosen = next((entry for entry in stable if entry.get("isDefault")), None)
        return chosen["version"] if chosen else max((entry["version"] for entry in stable), key=_numbers)
    if any(asked == entry["version"] or asked in entry.get("patchVersions", {}) for entry in offered):
        return asked
    known = ", ".join(sorted((entry["version"] for entry in stable), key=_numbers))
    raise ProviderError(
        f"AKS does not offer Kubernetes {asked} in {location}",
        detail=f"there is: {known}",
        fix="change cluster.version, or leave it out for the default",
    )


def steps(live: str, asked: str) -> list[str]:
    """The versions to go through, one minor at a time: from "1.31.4" to "1.33": ["1.32", "1.33"].

    Raises ProviderError for a way down: Kubernetes has none.
    """
    if fits(live, asked):
        return []
    have, want = _numbers(live), _numbers(asked)
    if want[: len(have)] < have[: len(want)]:
        raise ProviderError(
            f"the cluster runs Kubernetes {live}, the spec asks for {asked}: a cluster cannot go back to an older version",
            fix=f'set cluster.version to "{have[0]}.{have[1]}", or make another cluster under another name and `portable migrate`',
        )
    between = [f"{want[0]}.{minor}" for minor in range(have[1] + 1, want[1])]
    return [*between, asked]


def older(live: str, asked: str) -> bool:
    """Whether `live` has still to be upgraded to `asked`."""
    return not fits(live, asked) and _numbers(live) < _numbers(asked)


def channel(asked: str) -> str:
    """AKS' upgrade channel: patches only where the spec names a minor, none where it names a patch."""
    return "stable" if not asked else {1: "patch"}.get(asked.count("."), "none")


def lowest(live: dict[str, Any]) -> str:
    """The oldest version among the control plane and its node pools, which may lag after an interrupted upgrade.

    In automatic mode the nodes are AKS' own affair.
    """
    automatic = (live.get("sku") or {}).get("name") == "Automatic"
    found = [running(live["properties"]), *map(_pool_version, [] if automatic else pools(live))]
    return min(filter(None, found), key=_numbers, default="")


def running(properties: dict[str, Any]) -> str:
    return str(properties.get("currentKubernetesVersion") or properties.get("kubernetesVersion") or "")


def pools(live: dict[str, Any]) -> list[dict[str, Any]]:
    return live["properties"].get("agentPoolProfiles") or []


def _pool_version(pool: dict[str, Any]) -> str:
    return str(pool.get("currentOrchestratorVersion") or pool.get("orchestratorVersion") or "")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
