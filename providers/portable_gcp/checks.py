"""What `doctor` looks at before money is spent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portable.errors import ProviderError
from portable.provider import Check
from portable.spec.model import Cluster
from portable_gcp import permissions, versions
from portable_gcp.machines import pick
from portable_gcp.place import Place, locate, zone_of
from portable_gcp.session import Google, Refused

APIS = ("container", "compute", "iam", "cloudresourcemanager", "serviceusage")
# testIamPermissions takes 100 at a time
_AT_ONCE = 100


def run(google: Google, cluster: Cluster) -> Sequence[Check]:
    """In the order in which one thing needs the other; what cannot be looked at is left out."""
    try:
        google.token()
    except ProviderError as error:
        return (_failed("credentials", error),)
    checks = [Check("credentials", "ok", google.who)]
    try:
        place = locate(google, cluster)
    except ProviderError as error:
        return (*checks, _failed("project and region", error))
    checks.append(_looked("APIs", lambda: _apis(google, place)))
    if checks[-1].status == "missing":
        return tuple(checks)
    checks.append(_looked("permissions", lambda: _permissions(google, place)))
    checks.append(_looked("region", lambda: _region(google, place)))
    checks.append(_looked("quota", lambda: _quota(google, place, cluster)))
    checks.append(_looked("version", lambda: _version(google, place, cluster)))
    return tuple(checks)


def _looked(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except ProviderError as error:
        return _failed(name, error)


def _failed(name: str, error: ProviderError) -> Check:
    words = f"{error.message}: {error.detail}" if error.detail else error.message
    return Check(name, "missing", words, fix=error.fix)


def _apis(google: Google, place: Place) -> Check:
    names = [f"projects/{place.project}/services/{api}.googleapis.com" for api in APIS]
    found = google.rest("serviceusage.services.batchGet", None, {"names": names}, project=place.project)
    enabled = {service["name"].rpartition("/")[2] for service in found["services"] if service.get("state") == "ENABLED"}
    lacking = [name.rpartition("/")[2] for name in names if name.rpartition("/")[2] not in enabled]
    if not lacking:
        return Check("APIs", "ok", f"enabled in {place.project}")
    cure = f"`gcloud services enable {' '.join(lacking)} --project {place.project}`"
    return Check("APIs", "missing", f"not enabled in {place.project}: {', '.join(lacking)}", fix=cure)


def _permissions(google: Google, place: Place) -> Check:
    wanted, for_dns = permissions.needed(), permissions.needed_for_dns()
    held: set[str] = set()
    every = [*wanted, *for_dns]
    for start in range(0, len(every), _AT_ONCE):
        asked = {"permissions": every[start : start + _AT_ONCE]}
        answer = google.rest("cloudresourcemanager.projects.testIamPermissions", asked, project=place.project)
        held.update(answer.get("permissions", []))
    cure = "`portable providers show gcp` prints the role that is needed"
    if lacking := [permission for permission in wanted if permission not in held]:
        return Check("permissions", "missing", f"missing: {', '.join(lacking)}", fix=cure)
    if lacking := [permission for permission in for_dns if permission not in held]:
        return Check("permissions", "warning", f"records of routes cannot be written: {', '.join(lacking)}", fix=cure)
    return Check("permissions", "ok", f"{len(every)} of {len(every)}")


def _region(google: Google, place: Place) -> Check:
    if zone_of(place.region):
        return Check(
            "region", "missing", f"{place.region} is a zone", fix=f"set cluster.region to {zone_of(place.region)}"
        )
    try:
        found = google.rest("compute.regions.get", project=place.project, region=place.region)
    except Refused as refusal:
        if refusal.status != 404:
            raise
        return Check(
            "region", "missing", f"Google Cloud has no region {place.region}", fix="see `gcloud compute regions list`"
        )
    return Check("region", "ok", f"{place.region}, {len(found.get('zones', []))} zones")


def _quota(google: Google, place: Place, cluster: Cluster) -> Check:
    """Of the pools as they begin; an Autopilot cluster begins with nothing that counts here but addresses."""
    found = google.rest("compute.regions.get", project=place.project, region=place.region)
    quotas = {quota["metric"]: quota for quota in found.get("quotas", [])}
    nodes = sum(pool.min for pool in cluster.pools.values())
    wanted = {"CPUS": _cpus(cluster), "IN_USE_ADDRESSES": 1 if cluster.private else max(nodes, 1)}
    tight = [words for metric, amount in wanted.items() if (words := _tight(quotas.get(metric), amount))]
    if not tight:
        return Check("quota", "ok", f"enough for the cluster in {place.region}")
    cure = "ask for more: https://console.cloud.google.com/iam-admin/quotas"
    return Check("quota", "warning", "; ".join(tight), fix=cure)


def _cpus(cluster: Cluster) -> int:
    machines = [(pool.min, pick(pool.cpu, pool.memory)) for pool in cluster.pools.values()]
    return sum(count * machine.cpu for count, machine in machines if machine is not None)


def _tight(quota: dict[str, Any] | None, amount: int) -> str:
    if quota is None:
        return ""
    free = quota.get("limit", 0) - quota.get("usage", 0)
    return "" if free >= amount else f"{quota['metric']}: {free:g} free, {amount} needed"


def _version(google: Google, place: Place, cluster: Cluster) -> Check:
    chosen = versions.choose((cluster.version or "").removeprefix("v"), versions.offered(google, place), place.region)
    return Check("version", "ok", f"Kubernetes {chosen}")
