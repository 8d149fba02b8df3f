"""What `eject` writes for `pulumi import` names objects that are there, by ids in the form that the official plugin takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.clouds.aws.service import REGION
from tests.clouds.aws.world import World
from tests.contract.aws.life import AUTO, POOLS

pytestmark = pytest.mark.contract


def client(service: str) -> Any:
    return boto3.client(service, region_name=REGION)  # pyright: ignore[reportArgumentType]


def _association(id: str) -> bool:
    subnet, _, table = id.partition("/")
    (found,) = client("ec2").describe_route_tables(RouteTableIds=[table])["RouteTables"]
    return subnet in [each.get("SubnetId") for each in found["Associations"]]


def _attached(id: str) -> bool:
    role, _, policy = id.partition("/")
    found = client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return policy in [each["PolicyArn"] for each in found]


def _entered(id: str) -> bool:
    cluster, _, principal = id.partition(":")
    return bool(client("eks").list_associated_access_policies(clusterName=cluster, principalArn=principal))


def _granted(id: str) -> bool:
    cluster, principal, policy = id.split("#")
    found = client("eks").list_associated_access_policies(clusterName=cluster, principalArn=principal)
    return policy in [each["policyArn"] for each in found["associatedAccessPolicies"]]


# type -> whether the object with this id is there; a call for one that is not raises
THERE: dict[str, Callable[[str], Any]] = {
    "aws:ec2/vpc:Vpc": lambda id: client("ec2").describe_vpcs(VpcIds=[id]),
    "aws:ec2/subnet:Subnet": lambda id: client("ec2").describe_subnets(SubnetIds=[id]),
    "aws:ec2/internetGateway:InternetGateway": lambda id: client("ec2").describe_internet_gateways(
        InternetGatewayIds=[id]
    ),
    "aws:ec2/natGateway:NatGateway": lambda id: client("ec2").describe_nat_gateways(NatGatewayIds=[id]),
    "aws:ec2/eip:Eip": lambda id: client("ec2").describe_addresses(AllocationIds=[id]),
    "aws:ec2/routeTable:RouteTable": lambda id: client("ec2").describe_route_tables(RouteTableIds=[id]),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _association,
    "aws:ec2/launchTemplate:LaunchTemplate": lambda id: client("ec2").describe_launch_templates(LaunchTemplateIds=[id]),
    "aws:iam/role:Role": lambda id: client("iam").get_role(RoleName=id),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _attached,
    "aws:iam/rolePolicy:RolePolicy": lambda id: client("iam").get_role_policy(
        RoleName=id.partition(":")[0], PolicyName=id.partition(":")[2]
    ),
    "aws:cloudwatch/logGroup:LogGroup": lambda id: client("logs").describe_log_groups(logGroupNamePrefix=id)[
        "logGroups"
    ],
    "aws:eks/cluster:Cluster": lambda id: client("eks").describe_cluster(name=id),
    "aws:eks/accessEntry:AccessEntry": _entered,
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": _granted,
    "aws:eks/nodeGroup:NodeGroup": lambda id: client("eks").describe_nodegroup(
        clusterName=id.partition(":")[0], nodegroupName=id.partition(":")[2]
    ),
    "aws:eks/addon:Addon": lambda id: client("eks").describe_addon(
        clusterName=id.partition(":")[0], addonName=id.partition(":")[2]
    ),
}


@pytest.mark.parametrize("cluster", [AUTO, POOLS], ids=["auto", "pools"])
def test_every_resource_has_native_ones_that_are_there(world: World, cluster: Any) -> None:
    world.up(cluster)
    provider = world.provider()
    names: list[str] = []
    for name, kept in world.stack().state.items():
        native = provider.native_resources(kept["type"], name, kept["inputs"], kept["outputs"])
        assert native, f"nothing official stands for {name}"
        for each in native:
            assert THERE[each.type](each.id), f"{each.type} {each.id} is not there"
            names.append(each.name)
    assert len(names) == len(set(names)), "names in an import file are unique"
    assert len(names) > len(world.stack().state)


def test_an_id_that_is_not_there_would_be_noticed(world: World) -> None:
    world.up(AUTO)
    with pytest.raises(Exception, match="NotFound"):
        THERE["aws:eks/cluster:Cluster"]("other")
    with pytest.raises(Exception, match=r"NotFound|NoSuchEntity"):
        THERE["aws:iam/role:Role"]("other")
