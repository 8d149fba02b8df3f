"""The resources of a cluster's stack: what is made, in which order, and what it costs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from portable.provider import ClusterResource, Ref
from portable.spec.model import Cluster, Nodes
from portable_aws import machines, prices

PREFIX = "portable:aws:"

# A /16 of our own; nodes and pods share the three big blocks. Fixed, so that it is the same each time.
BLOCK = "10.42.0.0/16"
NODE_BLOCKS = ("10.42.0.0/18", "10.42.64.0/18", "10.42.128.0/18")
FRONT_BLOCKS = ("10.42.192.0/22", "10.42.196.0/22", "10.42.200.0/22")
# How load balancers find the subnets that are theirs.
_PUBLIC = {"kubernetes.io/role/elb": "1"}
_PRIVATE = {"kubernetes.io/role/internal-elb": "1"}

DISK_GIB = 50
LOG_DAYS = 30
ROLES = ("cluster-role", "node-role", "disk-role")

_CLUSTER_POLICIES = ("AmazonEKSClusterPolicy",)
_AUTO_POLICIES = (
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
_NODE_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy")
_AUTO_NODE_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy")
_DISK_POLICIES = ("service-role/AmazonEBSCSIDriverPolicy",)
# Amazon's policy for Auto Mode allows no tags of others on disks, and ours say whose they are:
# https://docs.aws.amazon.com/eks/latest/userguide/auto-cluster-iam-role.html#tag-prop
_TAG_DISKS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["ec2:CreateVolume"],
            "Resource": ["arn:*:ec2:*:*:volume/*"],
            "Condition": {
                "StringEquals": {"aws:RequestTag/eks:eks-cluster-name": "${aws:PrincipalTag/eks:eks-cluster-name}"}
            },
        }
    ],
}

_BEFORE_NODES: Mapping[str, Mapping[str, Any]] = {
    "vpc-cni": {"enableNetworkPolicy": "true"},
    "kube-proxy": {},
    "eks-pod-identity-agent": {},
}


def resources(cluster: Cluster, region: str) -> Sequence[ClusterResource]:
    build = _Builder(cluster, region)
    return (
        *_network(build, private=cluster.private),
        *_roles(build, automatic=not cluster.pools),
        *_cluster(build),
        *(_sized(build) if cluster.pools else _automatic(build)),
    )


class _Builder:
    """Writes what every resource's inputs begin with."""

    def __init__(self, cluster: Cluster, region: str) -> None:
        self.cluster = cluster
        self._region = region

    def __call__(
        self, kind: str, name: str, *, after: Sequence[str] = (), note: str = "", called: str = "", **inputs: Any
    ) -> ClusterResource:
        common = {"name": called or name, "cluster": self.cluster.name, "region": self._region}
        return ClusterResource(PREFIX + kind, name, {**common, **inputs}, tuple(after), note)


def _network(build: _Builder, *, private: bool) -> list[ClusterResource]:
    vpc, nodes = Ref("vpc", "id"), [f"subnet-{index}" for index in range(len(NODE_BLOCKS))]
    tags = _PRIVATE if private else {**_PUBLIC, **_PRIVATE}
    found = [build("Vpc", "vpc", block=BLOCK), build("InternetGateway", "gateway", vpc=vpc)]
    found += [
        build("Subnet", name, vpc=vpc, block=block, zone=index, public=not private, tags=tags)
        for index, (name, block) in enumerate(zip(nodes, NODE_BLOCKS, strict=True))
    ]
    if not private:
        return [*found, _routes(build, "routes", Ref("gateway", "id"), nodes)]
    fronts = [f"front-{index}" for index in range(len(FRONT_BLOCKS))]
    found += [
        build("Subnet", name, vpc=vpc, block=block, zone=index, public=True, tags=_PUBLIC)
        for index, (name, block) in enumerate(zip(fronts, FRONT_BLOCKS, strict=True))
    ]
    cost = prices.per_hour(prices.NAT_HOUR + prices.ADDRESS_HOUR)
    note = f"private nodes reach the internet through a NAT gateway: {cost}, and ${prices.NAT_GB} per GB"
    address = build("Address", "nat-address", after=["gateway"])
    nat = build(
        "NatGateway", "nat", after=["front-routes"], note=note,
        subnet=Ref("front-0", "id"), address=Ref("nat-address", "id"),
    )  # fmt: skip
    return [
        *found,
        _routes(build, "front-routes", Ref("gateway", "id"), fronts),
        address,
        nat,
        _routes(build, "routes", Ref("nat", "id"), nodes),
    ]


def _routes(build: _Builder, name: str, target: Ref, subnets: Sequence[str]) -> ClusterResource:
    return build("Routes", name, vpc=Ref("vpc", "id"), target=target, subnets=[Ref(subnet, "id") for subnet in subnets])


def _roles(build: _Builder, *, automatic: bool) -> list[ClusterResource]:
    cluster = [*_CLUSTER_POLICIES, *(_AUTO_POLICIES if automatic else ())]
    nodes = _AUTO_NODE_POLICIES if automatic else _NODE_POLICIES
    inline = {"tag-disks": _TAG_DISKS} if automatic else {}
    found = [
        build("Role", "cluster-role", service="eks.amazonaws.com", policies=cluster, inline=inline),
        build("Role", "node-role", service="ec2.amazonaws.com", policies=list(nodes), inline={}),
    ]
    if not automatic:
        found.append(
            build("Role", "disk-role", service="pods.eks.amazonaws.com", policies=list(_DISK_POLICIES), inline={})
        )
    return found


def _cluster(build: _Builder) -> list[ClusterResource]:
    cluster, automatic = build.cluster, not build.cluster.pools
    note = f"the control plane: {prices.per_hour(prices.CLUSTER_HOUR)}"
    if automatic:
        note += f"; nodes come and go with the app (Auto Mode), at their own price and {prices.AUTO_SHARE:.0%} more"
    logs = f"audit logs, kept {LOG_DAYS} days: about ${prices.LOG_GB:.2f} for each GB, list price of {prices.DATE}"
    subnets = [Ref(f"subnet-{index}", "id") for index in range(len(NODE_BLOCKS))]
    return [
        build("Logs", "logs", days=LOG_DAYS, note=logs),
        build(
            "Cluster",
            "cluster",
            after=["logs", "gateway", "routes"],
            note=note,
            version=cluster.version or "",
            automatic=automatic,
            role=Ref("cluster-role", "arn"),
            nodeRole=Ref("node-role", "arn") if automatic else "",
            subnets=subnets,
            allow=list(cluster.allow),
            private=cluster.private,
        ),
        build("Access", "access", after=["cluster"]),
    ]


def _automatic(build: _Builder) -> list[ClusterResource]:
    """Auto Mode has everything but metrics."""
    return [_addon(build, "metrics-server", after=["cluster"])]


def _sized(build: _Builder) -> list[ClusterResource]:
    template = build("LaunchTemplate", "nodes", disk=DISK_GIB)
    pools = [_pool(build, name, nodes) for name, nodes in sorted(build.cluster.pools.items())]
    names = [pool.name for pool in pools]
    least = {name: nodes.min for name, nodes in build.cluster.pools.items()}
    return [
        template,
        *(_addon(build, name, after=["cluster"], configuration=given) for name, given in _BEFORE_NODES.items()),
        *pools,
        # said once, of the first that waits for nodes
        _addon(build, "coredns", after=names, pools=least),
        _addon(build, "metrics-server", after=names),
        _addon(build, "aws-ebs-csi-driver", after=names, accounts={"ebs-csi-controller-sa": Ref("disk-role", "arn")}),
    ]


def _pool(build: _Builder, name: str, nodes: Nodes) -> ClusterResource:
    machine = machines.fitting(nodes)
    types = [] if machine is None else [machine.name, *(machine.like if nodes.spot else ())]
    size = "" if machine is None else _price(nodes, machine)
    return build(
        "NodeGroup",
        f"pool-{name}",
        after=["cluster", *_BEFORE_NODES],
        note=size,
        called=f"{name}-{_digest([types, nodes.spot])}",
        pool=name,
        asked={"cpu": nodes.cpu or "", "memory": nodes.memory or ""},
        role=Ref("node-role", "arn"),
        subnets=Ref("cluster", "subnets"),
        machines=types,
        spot=nodes.spot,
        min=nodes.min,
        # EKS wants room for one, even where none is asked for
        max=max(1, nodes.min if nodes.max is None else nodes.max),
        template=Ref("nodes", "id"),
        templateVersion=Ref("nodes", "version"),
        version=build.cluster.version or "",
    )


def _price(nodes: Nodes, machine: machines.Machine) -> str:
    each = f"{machine.name}: {prices.per_hour(machine.price)} each"
    if nodes.spot:
        each = f"{machine.name} or like it, spare capacity: at most {prices.per_hour(machine.price)} each"
    many = f"{nodes.min}" if nodes.max in (None, nodes.min) else f"{nodes.min} to {nodes.max}"
    grows = "" if nodes.max in (None, nodes.min) else "; nothing adds nodes by itself: `portable clusters scale` does"
    return f"{many} of {each}{grows}"


def _addon(
    build: _Builder,
    addon: str,
    *,
    after: Sequence[str],
    configuration: Mapping[str, Any] | None = None,
    accounts: Mapping[str, Any] | None = None,
    pools: Mapping[str, int] | None = None,
) -> ClusterResource:
    return build(
        "Addon",
        addon,
        after=after,
        addon=addon,
        version=build.cluster.version or "",
        configuration=dict(configuration or {}),
        accounts=dict(accounts or {}),
        pools=dict(pools or {}),
    )


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:6]
