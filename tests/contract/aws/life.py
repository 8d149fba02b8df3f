"""A cluster's whole life at the stand-in, run once: what each step did and which calls it made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import boto3

from portable.events import nowhere
from portable.spec.model import Cluster, Nodes
from tests.clouds.aws.service import REGION
from tests.clouds.aws.world import World

POOLS = Cluster(
    name="shop",
    version="1.32",
    pools={"default": Nodes(min=2, max=4, cpu="2", memory="8Gi"), "cheap": Nodes(min=1, spot=True)},
    private=True,
    allow=("192.0.2.0/24",),
)
SCALED = replace(
    POOLS, pools={**POOLS.pools, "default": Nodes(min=3, max=6, cpu="2", memory="8Gi")}, allow=("198.51.100.0/24",)
)
UPGRADED = replace(SCALED, version="1.34")
RESIZED = replace(UPGRADED, pools={**UPGRADED.pools, "default": Nodes(min=3, max=6, cpu="4", memory="8Gi")})
AUTO = Cluster(name="auto")
NAMESPACE = "shop-prod"
_TRUST = (
    '{"Version": "2012-10-17", "Statement": '
    '[{"Effect": "Allow", "Principal": {"Service": "%s"}, "Action": "sts:AssumeRole"}]}'
)


@dataclass(frozen=True)
class Step:
    """`did`: the stack's operations. `calls`: all of them, in order; `changes`: those that change something."""

    did: Sequence[str]
    calls: Sequence[str]
    changes: Sequence[str]


class Life:
    """`steps` by name; `seen`: what else was looked at on the way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.steps: dict[str, Step] = {}
        self.seen: dict[str, Any] = {}

    def step(self, name: str, act: Callable[[], Sequence[str]]) -> None:
        self.world.front.calls.clear()
        did = act()
        self.steps[name] = Step(did, tuple(self.world.front.calls), tuple(self.world.changes))

    @property
    def calls(self) -> set[str]:
        return {call for step in self.steps.values() for call in step.calls}


def live(world: World) -> Life:
    """Needs the world's environment to be set."""
    life = Life(world)
    _automatic(life)
    _with_pools(life)
    return life


def _automatic(life: Life) -> None:
    world = life.world
    life.step(
        "auto: doctor", lambda: [check.status for check in world.provider().doctor(AUTO, fix=False, emit=nowhere)]
    )
    life.step("auto: up", lambda: world.up(AUTO))
    life.seen["auto"] = world.stack().outputs("cluster")
    life.seen["auto census"] = world.service.leftovers()
    life.step("auto: again", lambda: world.up(AUTO))
    life.step("auto: bind", lambda: _bind(world))
    life.step("auto: destroy", lambda: world.stack().destroy())
    life.seen["auto left"] = world.service.leftovers()


def _bind(world: World) -> Sequence[str]:
    """What is bound after each of: two identities, another role for one and none for the other, none at all."""
    provider, bound = world.provider(), []
    first, second = (pod_role(world, name) for name in ("uploads", "mail"))
    for wanted in ({"web": first, "mailer": second}, {"web": second}, {}):
        provider.bind(AUTO, NAMESPACE, wanted)
        there = {(each["serviceAccount"], each["roleArn"]) for each in world.service.eks.associations.values()}
        assert there == set(wanted.items())
        bound.append(str(sorted(wanted)))
    return bound


def pod_role(world: World, name: str, service: str = "pods.eks.amazonaws.com") -> str:
    """A role that someone else made for pods; its ARN."""
    role = world.service.iam.create_role(name, _TRUST % service, "/", None, "", {}, 3600)
    return role.arn


def _with_pools(life: Life) -> None:
    world = life.world
    life.step("doctor", lambda: [check.status for check in world.provider().doctor(POOLS, fix=False, emit=nowhere)])
    life.step("up", lambda: world.up(POOLS))
    life.seen["census"] = world.service.leftovers()
    life.seen["pool"] = group(world, "default")
    life.step("again", lambda: world.up(POOLS))
    life.step("scale", lambda: world.up(SCALED))
    life.seen["scaled"] = group(world, "default")["scalingConfig"]
    life.step("upgrade", lambda: world.up(UPGRADED))
    life.seen["versions"] = sorted({entry.thing["version"] for entry in _versioned(world)})
    life.step("upgraded again", lambda: world.up(UPGRADED))
    behind_our_back(world)
    life.seen["drift"] = world.stack().preview(world.provider().cluster(UPGRADED))
    life.step("drift", lambda: world.up(UPGRADED))
    life.step("drift again", lambda: world.up(UPGRADED))
    life.step("resize", lambda: world.up(RESIZED))
    life.seen["resized"] = group(world, "default")
    life.seen["disk"] = claim_disk(world, NAMESPACE, "data-db-0")
    life.step("kept", lambda: world.provider().kept_data(RESIZED, NAMESPACE))
    left_by_controllers(world)
    life.step("destroy", lambda: world.stack().destroy())
    life.seen["left"] = world.service.leftovers()
    _sweep(life)


def _sweep(life: Life) -> None:
    """After a cluster that is gone: things that only tags tell of."""
    world, provider = life.world, life.world.provider()
    plant(world)
    found: list[Any] = []

    def sweep() -> Sequence[str]:
        found.extend(provider.leftovers(POOLS))
        return [provider.remove(POOLS, leftover, nowhere) for leftover in found if not leftover.data]

    life.step("sweep", sweep)
    life.seen["swept"] = found
    life.seen["after sweep"] = world.service.leftovers()
    life.step("delete data", lambda: [str(provider.delete_kept_data(POOLS, NAMESPACE, nowhere))])
    life.seen["after data"] = world.service.leftovers()


def group(world: World, pool: str) -> Any:
    return next(entry.thing for (_, name), entry in world.service.eks.groups.items() if name.startswith(f"{pool}-"))


def _versioned(world: World) -> list[Any]:
    return [*world.service.eks.clusters.values(), *world.service.eks.groups.values()]


def behind_our_back(world: World) -> None:
    """A careless colleague with the console."""
    ec2, iam, logs = (boto3.client(name) for name in ("ec2", "iam", "logs"))
    stack = world.stack()
    vpc, gateway = stack.outputs("vpc")["id"], stack.outputs("gateway")["id"]
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": False})
    ec2.modify_subnet_attribute(SubnetId=stack.outputs("subnet-1")["id"], MapPublicIpOnLaunch={"Value": True})
    ec2.delete_tags(Resources=[stack.outputs("subnet-2")["id"]], Tags=[{"Key": "kubernetes.io/role/internal-elb"}])
    everywhere = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": gateway}
    ec2.replace_route(RouteTableId=stack.outputs("routes")["id"], **everywhere)
    unsafe = {"MetadataOptions": {"HttpTokens": "optional"}}
    ec2.create_launch_template_version(LaunchTemplateId=stack.outputs("nodes")["id"], LaunchTemplateData=unsafe)
    nodes, cluster = (stack.outputs(f"{name}-role")["role"] for name in ("node", "cluster"))
    iam.attach_role_policy(RoleName=nodes, PolicyArn="arn:aws:iam::aws:policy/AmazonEKSComputePolicy")
    iam.detach_role_policy(RoleName=nodes, PolicyArn="arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy")
    more = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
    iam.update_assume_role_policy(RoleName=nodes, PolicyDocument=_TRUST % "lambda.amazonaws.com")
    iam.put_role_policy(RoleName=cluster, PolicyName="more", PolicyDocument=more)
    logs.put_retention_policy(logGroupName="/aws/eks/shop/cluster", retentionInDays=1)
    _eks_behind_our_back(world)


def _eks_behind_our_back(world: World) -> None:
    eks = world.service.eks
    cluster = eks.clusters["shop"].thing
    cluster["resourcesVpcConfig"]["publicAccessCidrs"] = ["0.0.0.0/0"]
    cluster["logging"] = {"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]}
    cluster["deletionProtection"] = False
    cluster["upgradePolicy"] = {"supportType": "EXTENDED"}
    group(world, "cheap")["scalingConfig"] = {"minSize": 0, "maxSize": 9, "desiredSize": 9}
    del eks.addons["shop", "coredns"]
    eks.addons["shop", "vpc-cni"].thing["configurationValues"] = '{"enableNetworkPolicy": "false"}'
    next(iter(entry for (name, _), entry in eks.access.items() if name == "shop"))["policies"].clear()


def claim_disk(world: World, namespace: str, claim: str) -> str:
    """A disk as the CSI driver makes it for a claim; its id."""
    tags = {
        "portable:stack": "aws.shop",
        "kubernetes.io/created-for/pvc/namespace": namespace,
        "kubernetes.io/created-for/pvc/name": claim,
        "kubernetes.io/cluster/shop": "owned",
    }
    made = boto3.client("ec2").create_volume(
        AvailabilityZone=f"{REGION}a", Size=10, TagSpecifications=_tagged("volume", tags)
    )
    return made["VolumeId"]


def left_by_controllers(world: World) -> None:
    """A load balancer with its groups and interface, in the network of a cluster that is about to go."""
    stack, elb, ec2 = world.stack(), boto3.client("elbv2"), boto3.client("ec2")
    owned = {"elbv2.k8s.aws/cluster": "shop"}
    vpc, subnets = stack.outputs("vpc")["id"], [stack.outputs(f"front-{index}")["id"] for index in (0, 1)]
    groups = [
        ec2.create_security_group(
            GroupName=name, Description=name, VpcId=vpc, TagSpecifications=_tagged("security-group", owned)
        )["GroupId"]
        for name in ("front", "back")
    ]
    for name, other in (groups, reversed(groups)):
        allowed = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": other}]}
        ec2.authorize_security_group_ingress(GroupId=name, IpPermissions=[allowed])
    tags = [{"Key": key, "Value": value} for key, value in owned.items()]
    elb.create_load_balancer(Name="k8s-shop", Subnets=subnets, Tags=tags)
    elb.create_target_group(Name="k8s-shop", Protocol="HTTP", Port=80, VpcId=vpc, Tags=tags)
    ec2.create_network_interface(SubnetId=subnets[0], Description="aws-K8S-i-1")


def plant(world: World) -> None:
    """What broken-off calls and late controllers leave: a second network, a role, a node, a log group written once more."""
    ec2, ours = boto3.client("ec2"), {"portable:stack": "aws.shop", "portable:resource": "vpc"}
    vpc = ec2.create_vpc(CidrBlock="10.42.0.0/16", TagSpecifications=_tagged("vpc", ours))["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.42.0.0/18", TagSpecifications=_tagged("subnet", ours))
    ec2.run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        SubnetId=subnet["Subnet"]["SubnetId"],
        TagSpecifications=_tagged("instance", {"eks:eks-cluster-name": "shop"}),
    )
    boto3.client("iam").create_role(
        RoleName=f"portable-{REGION}-shop-disk-role",
        AssumeRolePolicyDocument=_TRUST % "pods.eks.amazonaws.com",
        Tags=[{"Key": "portable:stack", "Value": "aws.shop"}],
    )
    boto3.client("logs").create_log_group(logGroupName="/aws/eks/shop/cluster")


def _tagged(kind: str, tags: dict[str, str]) -> list[Any]:
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]
