"""What carries a cluster's tags after it is gone: left by its controllers, or by a call whose reply was lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from portable.errors import PortableError
from portable.events import Emit, nowhere
from portable.provider import Leftover
from portable_aws import eks as service
from portable_aws import logs, prices
from portable_aws.ec2 import Kind, remove_held
from portable_aws.network import Address, InternetGateway, NatGateway, Routes, Subnet, Vpc
from portable_aws.roles import role_name
from portable_aws.session import STACK_TAG, Sdk, as_dict, stack_tag
from portable_aws.stack import ROLES
from portable_aws.template import LaunchTemplate
from portable_aws.words import explained, unless_gone

# The tags of Auto Mode's controllers and CSI driver, the AWS load balancer controller, and Kubernetes' own cloud controller.
_CONTROLLERS = ("eks:eks-cluster-name", "elbv2.k8s.aws/cluster", "aws:eks:cluster-name")
_KINDS: Mapping[str, Kind] = {
    kind.type: kind
    for kind in (NatGateway(), LaunchTemplate(), Address(), InternetGateway(), Subnet(), Routes(), Vpc())
}
# In this order they let go of each other.
_ORDER = (
    "load-balancer",
    "target-group",
    "instance",
    "network-interface",
    "security-group",
    *_KINDS,
    "role",
    "log-group",
    "volume",
)
_PAGE = 20
# What CSI drivers write on a disk: https://github.com/kubernetes-csi/external-provisioner (--extra-create-metadata)
NAMESPACE_TAG = "kubernetes.io/created-for/pvc/namespace"
CLAIM_TAG = "kubernetes.io/created-for/pvc/name"


def leftovers(sdk: Sdk, region: str, cluster: str) -> list[Leftover]:
    """In the order in which they can be removed; data last. Of a cluster that is there, whoever made it, only its data: the rest
    is not left behind."""
    tagged = _tagged(sdk, region, cluster)
    if service.cluster_of(sdk.eks(region), cluster) is not None:
        return [entry for entry in tagged if entry.data]
    found = [*_balancers(sdk, region, cluster), *tagged, *_roles(sdk, region, cluster)]
    if logs.find(sdk, region, cluster) is not None:
        found.append(Leftover("log-group", logs.group_name(cluster), "the control plane's audit log"))
    return sorted(found, key=lambda entry: _ORDER.index(entry.kind))


def remove(sdk: Sdk, region: str, leftover: Leftover, emit: Emit) -> str:
    """Empty when it is gone, else why not."""
    words = f"the {leftover.kind} {leftover.id}"
    try:
        with explained(sdk):
            remove_held(sdk, _removal(sdk, region, leftover), words, emit)
    except PortableError as error:
        return error.message
    return ""


def clear_network(sdk: Sdk, region: str, cluster: str, vpc: str, emit: Emit) -> None:
    """Removes what the cluster's controllers left in its network, which could not be deleted otherwise. Raises ProviderError."""
    in_the_way = [*_balancers(sdk, region, cluster), *_in_network(sdk, region, cluster, vpc)]
    for leftover in sorted(in_the_way, key=lambda entry: _ORDER.index(entry.kind)):
        words = f"the {leftover.kind} {leftover.id}"
        remove_held(sdk, _removal(sdk, region, leftover), words, emit)


def _belongs(tags: Mapping[str, str], cluster: str) -> bool:
    return (
        tags.get(STACK_TAG) == stack_tag(cluster)
        or any(tags.get(key) == cluster for key in _CONTROLLERS)
        or tags.get(f"kubernetes.io/cluster/{cluster}") == "owned"
    )


def _balancers(sdk: Sdk, region: str, cluster: str) -> list[Leftover]:
    elb = sdk.client("elbv2", region)
    found: list[Leftover] = []
    for kind, operation, key, arn in (
        ("load-balancer", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
        ("target-group", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
    ):
        arns = [entry[arn] for page in elb.get_paginator(operation).paginate() for entry in page[key]]
        for start in range(0, len(arns), _PAGE):
            described = elb.describe_tags(ResourceArns=arns[start : start + _PAGE])["TagDescriptions"]
            found += [
                Leftover(kind, entry["ResourceArn"]) for entry in described if _belongs(as_dict(entry["Tags"]), cluster)
            ]
    return found


def _in_network(sdk: Sdk, region: str, cluster: str, vpc: str) -> list[Leftover]:
    """Network interfaces that nothing uses and security groups, of this cluster's controllers."""
    if not vpc:
        return []
    ec2, inside = sdk.ec2(region), [{"Name": "vpc-id", "Values": [vpc]}]
    idle = [*inside, {"Name": "status", "Values": ["available"]}]
    interfaces = ec2.get_paginator("describe_network_interfaces").paginate(Filters=idle)
    groups = ec2.get_paginator("describe_security_groups").paginate(Filters=inside)
    return [
        *(
            Leftover("network-interface", entry["NetworkInterfaceId"], entry.get("Description", ""))
            for page in interfaces
            for entry in page["NetworkInterfaces"]
        ),
        *(
            Leftover("security-group", entry["GroupId"], entry["GroupName"])
            for page in groups
            for entry in page["SecurityGroups"]
            if entry["GroupName"] != "default" and _belongs(as_dict(entry.get("Tags")), cluster)
        ),
    ]


def _tagged(sdk: Sdk, region: str, cluster: str) -> list[Leftover]:
    keys = [STACK_TAG, *_CONTROLLERS, f"kubernetes.io/cluster/{cluster}"]
    pages = sdk.ec2(region).get_paginator("describe_tags").paginate(Filters=[{"Name": "key", "Values": keys}])
    kinds: dict[str, str] = {}
    for tag in (tag for page in pages for tag in page["Tags"]):
        if tag["ResourceType"] in _ORDER and _belongs({tag["Key"]: tag["Value"]}, cluster):
            kinds[tag["ResourceId"]] = tag["ResourceType"]
    return [found for name, kind in kinds.items() if (found := _still_there(sdk, region, kind, name)) is not None]


def _still_there(sdk: Sdk, region: str, kind: str, name: str) -> Leftover | None:
    """Tags outlive what they are on by up to an hour."""
    ec2 = sdk.ec2(region)
    if kind in _KINDS:
        found = _KINDS[kind].list(ec2, [{"Name": _KINDS[kind].id_filter, "Values": [name]}])
        return Leftover(kind, name) if found else None
    if kind == "volume":
        volumes = unless_gone(lambda: ec2.describe_volumes(VolumeIds=[name])["Volumes"]) or []
        return next((_volume(entry) for entry in volumes if entry["State"] in ("available", "in-use")), None)
    if kind == "instance":
        answer = unless_gone(lambda: ec2.describe_instances(InstanceIds=[name])) or {"Reservations": []}
        states = [entry["State"]["Name"] for each in answer["Reservations"] for entry in each["Instances"]]
        return Leftover(kind, name) if any(state not in ("terminated", "shutting-down") for state in states) else None
    if kind == "network-interface":
        found = unless_gone(lambda: ec2.describe_network_interfaces(NetworkInterfaceIds=[name]))
    else:
        found = unless_gone(lambda: ec2.describe_security_groups(GroupIds=[name]))
    return Leftover(kind, name) if found else None


def _volume(entry: Mapping[str, Any]) -> Leftover:
    tags = as_dict(entry.get("Tags"))
    detail = f"{entry['Size']} GiB of {tags.get(NAMESPACE_TAG, '?')}/{tags.get(CLAIM_TAG, '?')}"
    return Leftover("volume", entry["VolumeId"], detail, data=True, cost=prices.disk(entry["Size"]))


def _roles(sdk: Sdk, region: str, cluster: str) -> list[Leftover]:
    found: list[Leftover] = []
    for name in (role_name({"region": region, "cluster": cluster, "name": role}) for role in ROLES):
        role = unless_gone(lambda name=name: sdk.iam(region).get_role(RoleName=name))
        if role is not None and as_dict(role["Role"].get("Tags")).get(STACK_TAG) == stack_tag(cluster):
            found.append(Leftover("role", name))
    return found


def _removal(sdk: Sdk, region: str, leftover: Leftover) -> Callable[[], object]:
    ec2, name = sdk.ec2(region), leftover.id
    if leftover.kind in _KINDS:
        return lambda: _remove_kind(sdk, region, _KINDS[leftover.kind], name)
    removals: dict[str, Callable[[], object]] = {
        "load-balancer": lambda: sdk.client("elbv2", region).delete_load_balancer(LoadBalancerArn=name),
        "target-group": lambda: sdk.client("elbv2", region).delete_target_group(TargetGroupArn=name),
        "instance": lambda: ec2.terminate_instances(InstanceIds=[name]),
        "network-interface": lambda: ec2.delete_network_interface(NetworkInterfaceId=name),
        "security-group": lambda: _remove_group(ec2, name),
        "volume": lambda: ec2.delete_volume(VolumeId=name),
        "log-group": lambda: sdk.client("logs", region).delete_log_group(logGroupName=name),
        "role": lambda: _remove_role(sdk, region, name),
    }
    return removals[leftover.kind]


def _remove_kind(sdk: Sdk, region: str, kind: Kind, name: str) -> None:
    for found in kind.list(sdk.ec2(region), [{"Name": kind.id_filter, "Values": [name]}]):
        kind.remove(sdk, region, found)


def _remove_group(ec2: Any, name: str) -> None:
    """First the rules that name it, in its own and in other groups: groups that name each other hold each other."""
    naming = [{"Name": "ip-permission.group-id", "Values": [name]}]
    for group in ec2.describe_security_groups(Filters=naming)["SecurityGroups"]:
        rules = [
            {**rule, "UserIdGroupPairs": [pair for pair in rule["UserIdGroupPairs"] if pair["GroupId"] == name]}
            for rule in group["IpPermissions"]
            if any(pair["GroupId"] == name for pair in rule["UserIdGroupPairs"])
        ]
        ec2.revoke_security_group_ingress(
            GroupId=group["GroupId"],
            IpPermissions=[{**rule, "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": []} for rule in rules],
        )
    ec2.delete_security_group(GroupId=name)


def _remove_role(sdk: Sdk, region: str, name: str) -> None:
    from portable_aws.roles import Role

    found = unless_gone(lambda: sdk.iam(region).get_role(RoleName=name))
    if found is not None:
        cluster = as_dict(found["Role"].get("Tags"))[STACK_TAG].partition(".")[2]
        Role(sdk).delete(name, {"role": name, "cluster": cluster, "region": region}, nowhere)
