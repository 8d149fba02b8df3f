"""The contract that every plugin keeps, kept by this one."""

from __future__ import annotations

import json
from dataclasses import replace

import boto3
import pytest

from portable.spec.model import Cluster, Nodes
from portable.testing import CLUSTER, PLUGIN, Case, Promise
from tests.clouds.aws.world import World

pytestmark = pytest.mark.contract

SHOP = Cluster(name="shop", version="1.33", pools={"default": Nodes(min=2)})


@pytest.mark.parametrize("promise", [*PLUGIN, *CLUSTER], ids=lambda promise: promise.__name__)
def test_it_keeps(promise: Promise, world: World) -> None:
    # an empty CA: kubeconfigs are read here, nothing is dialled
    world.service.eks._ca = ""
    state = world.folder / "promised"
    state.mkdir()
    changed = replace(SHOP, version="1.34", pools={"default": Nodes(min=3)})
    promise(Case(world.provider(), SHOP, state, changed, world.service.leftovers, _foreign))


def _foreign() -> None:
    """A cluster `shop` in a network of its own, as somebody makes it by hand."""
    ec2, iam, eks = boto3.client("ec2"), boto3.client("iam"), boto3.client("eks")
    network = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    zones = [zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]][:2]
    subnets = [
        ec2.create_subnet(VpcId=network, CidrBlock=f"10.9.{at}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
        for at, zone in enumerate(zones)
    ]
    allowed = {"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    role = iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    eks.create_cluster(name="shop", roleArn=role, resourcesVpcConfig={"subnetIds": subnets}, version="1.33")
    while eks.describe_cluster(name="shop")["cluster"]["status"] != "ACTIVE":
        pass
