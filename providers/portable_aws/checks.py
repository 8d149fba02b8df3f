"""What `doctor` looks at for EKS before money is spent. Nothing here makes or changes anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from portable.errors import ProviderError
from portable.provider import Check
from portable.spec.model import Cluster
from portable_aws import eks as service
from portable_aws import machines, versions
from portable_aws.permissions import CALLS, OPTIONAL
from portable_aws.session import Sdk
from portable_aws.simulation import Simulation
from portable_aws.words import CHAIN, LOG_IN, explained

# Codes: `aws service-quotas list-service-quotas`. https://docs.aws.amazon.com/general/latest/gr/eks.html, vpc-service.html
_VPCS = ("vpc", "L-F678F1CE")
_ADDRESSES = ("ec2", "L-0263D0A3")
_VCPUS = {False: ("ec2", "L-1216C47A"), True: ("ec2", "L-34B43A08")}
_MORE = "ask for more in the console under Service Quotas, or remove what is no longer needed"


def run(sdk: Sdk, cluster: Cluster) -> Sequence[Check]:
    """Each check needs those before it: the first that fails ends the list."""
    try:
        region = sdk.region(cluster)
    except ProviderError as error:
        return [_missing("region", error), *_no_credentials(sdk)]
    try:
        principal = _principal(sdk, region)
    except ProviderError as error:
        return [_missing("credentials", error)]
    checks = [Check("credentials", "ok", f"{principal} (from: {sdk.credentials_source()})"), _region(sdk, region)]
    if checks[-1].status == "ok":
        checks += [_guarded("version", lambda: _version(sdk, region, cluster)), _permissions(sdk, region, cluster)]
        checks += _quotas(sdk, region, cluster)
    return checks


def _no_credentials(sdk: Sdk) -> list[Check]:
    """What can be said without a region, so that both are mended at once: whether there are any."""
    return (
        [] if sdk.credentials_source() else [Check("credentials", "missing", f"none were found; {CHAIN}", fix=LOG_IN)]
    )


def _principal(sdk: Sdk, region: str) -> str:
    with explained(sdk):
        return str(sdk.client("sts", region).get_caller_identity()["Arn"])


def _region(sdk: Sdk, region: str) -> Check:
    known = sdk.known_regions()
    if region in known:
        return Check("region", "ok", region)
    return Check("region", "missing", f"Amazon EKS is not in {region}", fix=f"one of: {', '.join(known)}")


def _version(sdk: Sdk, region: str, cluster: Cluster) -> Check:
    with explained(sdk):
        version = versions.chosen(sdk, region, cluster.version or "")
    return Check("version", "ok", f"Kubernetes {version} is in standard support")


def _permissions(sdk: Sdk, region: str, cluster: Cluster) -> Check:
    """Asked of IAM, which answers for what the account's policies say; those of its organization come on top."""
    try:
        with explained(sdk):
            denied = Simulation(sdk, region).denied(cluster)
    except ProviderError as error:
        return _unasked("permissions", error)
    needed = sorted(set(denied) - set(OPTIONAL))
    if needed:
        return Check("permissions", "missing", ", ".join(needed), fix="`portable providers show aws` prints the policy")
    return Check("permissions", "ok", f"all {len(CALLS)} calls are allowed, and the roles that they hand on")


def _quotas(sdk: Sdk, region: str, cluster: Cluster) -> list[Check]:
    """None for a cluster that is there: it has what it needs."""
    try:
        with explained(sdk):
            if service.cluster_of(sdk.eks(region), cluster.name) is not None:
                return []
    except ProviderError as error:
        return [_unasked("quota", error)]
    ec2 = sdk.ec2(region)

    def vpcs() -> int:
        return len(ec2.describe_vpcs()["Vpcs"])

    def addresses() -> int:
        return len(ec2.describe_addresses()["Addresses"])

    checks = [_guarded("quota: VPCs", lambda: _room(sdk, region, "VPCs", _VPCS, vpcs, 1))]
    if cluster.private:
        checks.append(_guarded("quota: addresses", lambda: _room(sdk, region, "addresses", _ADDRESSES, addresses, 1)))
    for spot in (False, True):
        pools = [nodes for nodes in cluster.pools.values() if nodes.spot is spot]
        wanted = sum((machine.cpu if (machine := machines.fitting(nodes)) else 0) * nodes.min for nodes in pools)
        if wanted:
            words = "spot vCPUs" if spot else "vCPUs"
            # what runs already is not counted: only a quota that can never do is certain
            checks.append(
                _guarded(
                    f"quota: {words}",
                    lambda words=words, spot=spot, wanted=wanted: _room(
                        sdk, region, words, _VCPUS[spot], lambda: 0, wanted
                    ),
                )
            )
    return checks


def _room(sdk: Sdk, region: str, words: str, quota: tuple[str, str], count: Callable[[], int], wanted: int) -> Check:
    """`count`: how many there are. Raises ProviderError."""
    service_code, code = quota
    with explained(sdk):
        used = count()
        answer = sdk.client("service-quotas", region).get_service_quota(ServiceCode=service_code, QuotaCode=code)
    most = int(answer["Quota"]["Value"])
    detail = f"{used} of {most} {words} used, {wanted} more wanted"
    if used + wanted <= most:
        return Check(f"quota: {words}", "ok", detail)
    return Check(f"quota: {words}", "missing", detail, fix=_MORE)


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    """A quota that may not be asked about is no obstacle; a version that there is not, is one."""
    try:
        return check()
    except ProviderError as error:
        if name == "version":
            return _missing(name, error)
        return _unasked(name, error)


def _unasked(name: str, error: ProviderError) -> Check:
    return Check(name, "warning", f"could not be asked: {error.message}", fix=error.fix)


def _missing(name: str, error: ProviderError) -> Check:
    detail = f"{error.message}; {error.detail}" if error.detail else error.message
    return Check(name, "missing", detail, fix=error.fix)
