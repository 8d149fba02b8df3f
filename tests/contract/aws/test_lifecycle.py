"""Up, up again, scale, upgrade, drift, destroy: what each did, and with which calls."""

from __future__ import annotations

import pytest

from tests.contract.aws.life import Life

pytestmark = pytest.mark.contract

NETWORK = ("ec2:CreateVpc", "ec2:ModifyVpcAttribute", "ec2:CreateInternetGateway", "ec2:AttachInternetGateway")


def test_auto_mode_is_made_with_these_calls_and_no_others(life: Life) -> None:
    made = life.steps["auto: up"].changes
    roles = ["iam:CreateRole", *["iam:AttachRolePolicy"] * 5, "iam:PutRolePolicy", "iam:CreateRole", *["iam:AttachRolePolicy"] * 2]  # fmt: skip
    subnets = ["ec2:CreateSubnet", "ec2:ModifySubnetAttribute"] * 3
    routes = ["ec2:CreateRouteTable", "ec2:CreateRoute", *["ec2:AssociateRouteTable"] * 3]
    cluster = ["eks:CreateCluster", "eks:CreateAccessEntry", "eks:AssociateAccessPolicy", "eks:CreateAddon"]
    logs = ["logs:CreateLogGroup", "logs:PutRetentionPolicy"]
    assert list(made) == [*NETWORK[:2], *roles, *logs, *NETWORK[2:], *subnets, *routes, *cluster]


def test_auto_mode_is_safe_by_default(life: Life) -> None:
    cluster = life.seen["auto"]
    assert cluster["automatic"] is True
    assert cluster["protected"] is True
    assert cluster["logs"] == ["audit", "authenticator"]
    assert cluster["support"] == "STANDARD"
    assert cluster["version"] == "1.34", "the newest in standard support, not EKS's default"


@pytest.mark.parametrize("step", ["auto: again", "again", "upgraded again", "drift again"])
def test_up_again_changes_nothing(life: Life, step: str) -> None:
    assert life.steps[step].did == []
    assert life.steps[step].changes == ()


def test_pools_get_a_private_network_with_one_nat_gateway(life: Life) -> None:
    made = life.steps["up"].changes
    assert made.count("ec2:CreateNatGateway") == 1
    assert made.count("ec2:AllocateAddress") == 1
    assert made.count("ec2:CreateSubnet") == 6
    assert made.count("ec2:ModifySubnetAttribute") == 3, "only the load balancers' subnets give public addresses"


def test_addons_come_before_and_after_the_nodes_as_they_need_them(life: Life) -> None:
    did = [entry.removeprefix("create ") for entry in life.steps["up"].did]
    pools = [did.index("pool-cheap"), did.index("pool-default")]
    assert max(did.index(name) for name in ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")) < min(pools)
    assert min(did.index(name) for name in ("coredns", "metrics-server", "aws-ebs-csi-driver")) > max(pools)


def test_a_pools_machine_is_the_cheapest_that_fits(life: Life) -> None:
    assert life.seen["pool"]["instanceTypes"] == ["m6i.large"]
    assert life.seen["resized"]["instanceTypes"] == ["c6i.xlarge"]


def test_scaling_changes_the_pool_and_the_allow_list_alone(life: Life) -> None:
    assert life.steps["scale"].did == ["update cluster", "update pool-default"]
    assert life.steps["scale"].changes == ("eks:UpdateClusterConfig", "eks:UpdateNodegroupConfig")
    assert life.seen["scaled"] == {"minSize": 3, "maxSize": 6, "desiredSize": 3}


def test_an_upgrade_goes_one_minor_version_at_a_time_and_nodes_follow(life: Life) -> None:
    made = life.steps["upgrade"].changes
    assert [call for call in made if "ClusterVersion" in call] == ["eks:UpdateClusterVersion"] * 2
    assert made[-1] == "eks:UpdateAddon"
    assert made.count("eks:UpdateNodegroupVersion") == 2
    assert life.seen["versions"] == ["1.34"]


def test_what_changed_behind_our_back_is_seen_and_put_back(life: Life) -> None:
    seen = {name: set(diff.changes) if diff else None for name, diff in life.seen["drift"].items()}
    assert seen == {
        "vpc": {"names"},
        "subnet-1": {"public"},
        "subnet-2": {"tags"},
        "routes": {"target"},
        "cluster-role": {"inline"},
        "node-role": {"policies", "trust"},
        "nodes": {"disk", "safe"},
        "logs": {"days"},
        "cluster": {"allow", "logs", "protected", "support"},
        "access": {"policies"},
        "vpc-cni": {"configuration"},
        "pool-cheap": {"min", "max"},
        "pool-default": {"templateVersion"},
        "coredns": None,
    } | ({"pool-cheap": seen["pool-cheap"]} if "templateVersion" in (seen["pool-cheap"] or ()) else {})
    assert set(life.seen["drift"]) <= {entry.partition(" ")[2] for entry in life.steps["drift"].did}


def test_another_size_is_another_node_group(life: Life) -> None:
    assert life.steps["resize"].changes == ("eks:DeleteNodegroup", "eks:CreateNodegroup")


def test_identities_are_bound_changed_and_released(life: Life) -> None:
    assert life.steps["auto: bind"].changes == (
        "eks:CreatePodIdentityAssociation",
        "eks:CreatePodIdentityAssociation",
        "eks:DeletePodIdentityAssociation",
        "eks:UpdatePodIdentityAssociation",
        "eks:DeletePodIdentityAssociation",
    )


def test_destroy_leaves_nothing_but_data(life: Life) -> None:
    assert life.seen["auto left"] == []
    assert life.seen["left"] == [f"volume {life.seen['disk']}"]


def test_destroy_takes_what_controllers_left_in_the_network(life: Life) -> None:
    made = life.steps["destroy"].changes
    gone = (
        "elasticloadbalancing:DeleteLoadBalancer",
        "elasticloadbalancing:DeleteTargetGroup",
        "ec2:DeleteNetworkInterface",
    )
    assert [made.count(call) for call in gone] == [1, 1, 1]
    assert made.count("ec2:DeleteSecurityGroup") == 2
    assert made.index("eks:DeleteCluster") < min(made.index(call) for call in gone) < made.index("ec2:DeleteSubnet")


def test_the_sweep_finds_what_only_tags_tell_of(life: Life) -> None:
    kinds = [leftover.kind for leftover in life.seen["swept"]]
    assert kinds == ["instance", "subnet", "vpc", "role", "log-group", "volume"]
    assert [leftover.data for leftover in life.seen["swept"]] == [False] * 5 + [True]
    assert life.steps["sweep"].did == [""] * 5
    assert life.seen["after sweep"] == [f"volume {life.seen['disk']}"]


def test_kept_disks_are_named_with_their_price_and_deleted_on_demand(life: Life) -> None:
    assert life.steps["kept"].did == ["shop-prod/data-db-0 (10 GiB: about $0.80 per month, list price of 2026-04)"]
    assert life.seen["after data"] == []


def test_doctor_finds_all_well_and_changes_nothing(life: Life) -> None:
    for step in ("doctor", "auto: doctor"):
        assert set(life.steps[step].did) == {"ok"}
        assert life.steps[step].changes == ()
