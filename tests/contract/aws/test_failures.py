"""What AWS refuses, in words that say what happened, where, and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from portable.errors import ClusterGone, ProviderError
from portable.events import nowhere
from portable.provider import Leftover
from portable.spec.model import Cluster, Nodes
from portable_aws.session import Sdk
from portable_aws.words import explained
from tests.clouds.aws.model import Refused
from tests.clouds.aws.world import World
from tests.clouds.front import Fault
from tests.contract.aws.life import NAMESPACE, claim_disk, plant, pod_role

pytestmark = pytest.mark.contract
SHOP = Cluster(name="shop")


def words(act: Callable[[], object]) -> str:
    """Everything that the error says."""
    with pytest.raises(ProviderError) as caught:
        act()
    error = caught.value
    return f"{error.message}\n{error.detail}\n{error.fix}"


def test_a_cluster_that_fails_is_told_with_eks_reason_and_made_anew(world: World) -> None:
    world.service.plans.fail["cluster"] = ("InsufficientFreeAddresses", "subnet-1 has no free addresses")
    said = words(lambda: world.up(SHOP))
    assert "the cluster shop: FAILED: InsufficientFreeAddresses: subnet-1 has no free addresses" in said
    assert "no free addresses left" in said
    assert "create cluster" in world.up(SHOP)
    assert len(world.service.eks.clusters) == 1
    world.stack().destroy()
    assert world.service.leftovers() == []


def test_a_node_group_and_an_addon_that_fail_are_told_and_made_anew(world: World) -> None:
    cluster = replace(SHOP, pools={"default": Nodes(min=1)})
    world.service.plans.fail["nodegroup"] = ("AsgInstanceLaunchFailures", "no m6i.large in stock")
    said = words(lambda: world.up(cluster))
    assert "the node pool default-" in said
    assert "CREATE_FAILED: AsgInstanceLaunchFailures: no m6i.large in stock" in said
    assert "ask for another cpu or memory" in said
    world.service.plans.fail["addon"] = ("AccessDenied", "the role lacks ec2:CreateVolume")
    assert "the add-on coredns: CREATE_FAILED: AccessDenied" in words(lambda: world.up(cluster))
    world.up(cluster)
    assert world.up(cluster) == []


def test_an_upgrade_that_fails_is_told_and_can_be_tried_again(world: World) -> None:
    world.up(replace(SHOP, version="1.33"))
    world.service.plans.fail["update"] = ("InsufficientFreeAddresses", "not enough for new control plane nodes")
    said = words(lambda: world.up(replace(SHOP, version="1.34")))
    assert "cluster shop to 1.34: Failed: InsufficientFreeAddresses" in said
    assert world.up(replace(SHOP, version="1.34")) == ["update cluster", "update metrics-server"]


def test_versions_that_are_no_way(world: World) -> None:
    said = words(lambda: world.up(replace(SHOP, version="1.99")))
    assert "does not offer Kubernetes 1.99" in said
    assert "1.34, 1.33, 1.32, 1.31" in said
    world.up(replace(SHOP, version="1.34"))
    said = words(lambda: world.up(replace(SHOP, version="1.33")))
    assert "cannot go back to 1.33" in said
    assert 'set cluster.version to "1.34"' in said
    assert "1.34" in words(lambda: world.up(replace(SHOP, version="1.38")))
    newer = world.provider().cluster(replace(SHOP, version="1.35"))
    assert "does not offer Kubernetes 1.35" in words(lambda: world.stack().preview(newer)), "a plan says so too"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (replace(SHOP, region="us-east-1"), "is in eu-central-1, the spec asks for us-east-1"),
        (replace(SHOP, pools={"default": Nodes()}), "between with and without node pools"),
        (replace(SHOP, private=True), "between with and without private nodes"),
    ],
)
def test_what_no_cluster_can_become_is_refused_and_not_replaced(world: World, changed: Cluster, said: str) -> None:
    world.up(SHOP)
    made = world.service.leftovers()
    for act in (lambda: world.stack().preview(world.provider().cluster(changed)), lambda: world.up(changed)):
        refusal = words(act)
        assert said in refusal
        assert "portable migrate" in refusal
    assert set(made) <= set(world.service.leftovers())


def test_a_cluster_of_someone_else_is_refused_everywhere(world: World) -> None:
    world.up(SHOP)
    world.service.eks.clusters["shop"].thing["tags"] = {}
    state = world.folder / "stack.json"
    state.unlink()
    for act in (lambda: world.up(SHOP), lambda: world.provider().find(SHOP)):
        said = words(act)
        assert "a cluster shop exists and was not made by portable" in said
        assert "existing: shop" in said
    existing = replace(SHOP, existing=True)
    assert world.provider().cluster(existing) == ()
    found = world.provider().find(existing)
    assert found is not None
    assert found.healthy


def test_destroy_leaves_a_cluster_of_someone_else_that_took_the_name(world: World) -> None:
    world.up(replace(SHOP, pools={"default": Nodes(min=1)}))
    eks = world.service.eks
    for entry in (*eks.clusters.values(), *eks.addons.values(), *eks.groups.values()):
        entry.thing["tags"] = {}
    world.front.calls.clear()
    types, state = world.provider().resource_types(), world.stack().state
    for name in ("coredns", "vpc-cni", "pool-default", "access", "cluster", "logs"):
        types[state[name]["type"]].delete(state[name]["id"], state[name]["outputs"], nowhere)
    assert world.changes == []


def test_a_preview_bears_values_that_are_not_known_yet(world: World) -> None:
    cluster = replace(SHOP, pools={"default": Nodes(min=1)})
    world.up(cluster)
    state = json.loads((world.folder / "stack.json").read_text())
    for name in ("gateway", "vpc", "nodes", "disk-role", "subnet-0", "cluster"):
        del state[name]
    (world.folder / "stack.json").write_text(json.dumps(state))
    found = world.stack().preview(world.provider().cluster(cluster), refresh=False)
    assert set(found) >= {"gateway", "vpc", "nodes", "routes", "pool-default", "aws-ebs-csi-driver"}
    assert found["vpc"] is None
    assert found["routes"] is not None


def test_a_zone_without_room_is_left_out(world: World) -> None:
    world.service.plans.no_room = ("eu-central-1b",)
    world.up(SHOP)
    subnets = world.stack().outputs("cluster")["subnets"]
    zones = {world.stack().outputs(f"subnet-{index}")["id"]: index for index in range(3)}
    assert sorted(zones[subnet] for subnet in subnets) == [0, 2]
    assert world.up(SHOP) == []


def test_no_room_in_two_of_three_zones(world: World) -> None:
    world.service.plans.no_room = ("eu-central-1a", "eu-central-1b")
    assert "it has in: eu-central-1c" in words(lambda: world.up(SHOP))


def test_new_roles_that_aws_does_not_know_yet_are_waited_for(world: World) -> None:
    world.service.plans.unknown_roles = 3
    world.up(SHOP)
    assert world.front.calls.count("eks:CreateCluster") == 4


def test_quotas(world: World) -> None:
    world.service.plans.cluster_quota = 0
    said = words(lambda: world.up(SHOP))
    assert "an AWS quota is used up: Account has reached its limit of clusters" in said
    assert "Service Quotas" in said


@pytest.mark.parametrize("call", ["ec2:CreateVpc", "eks:CreateCluster", "iam:CreateRole"])
def test_a_missing_permission_is_named(world: World, call: str) -> None:
    world.service.denied.add(call)
    said = words(lambda: world.up(SHOP))
    assert f"the permission {call} is missing" in said
    assert "portable providers show aws" in said
    assert "Encoded" not in said
    checks = {check.name: check for check in world.provider().doctor(SHOP, fix=False, emit=nowhere)}
    assert checks["permissions"].status == "missing"
    assert checks["permissions"].detail == call


def test_doctor_says_what_it_could_not_look_at(world: World) -> None:
    world.service.denied |= {"iam:SimulatePrincipalPolicy", "servicequotas:GetServiceQuota"}
    checks = {check.name: check for check in world.provider().doctor(SHOP, fix=False, emit=nowhere)}
    assert checks["permissions"].status == "warning"
    assert "the permission iam:SimulatePrincipalPolicy is missing" in checks["permissions"].detail
    assert checks["quota: VPCs"].status == "warning"
    assert checks["credentials"].status == "ok"


def test_doctor_finds_what_would_fail_later(world: World) -> None:
    pools = {"default": Nodes(min=40, cpu="2"), "cheap": Nodes(min=1, spot=True)}
    asked = replace(SHOP, version="1.20", pools=pools)
    checks = {check.name: check for check in world.provider().doctor(asked, fix=False, emit=nowhere)}
    assert checks["version"].status == "missing"
    assert checks["quota: vCPUs"].status == "missing"
    assert checks["quota: spot vCPUs"].status == "ok"
    elsewhere = {c.name: c for c in world.provider().doctor(replace(SHOP, region="mars-1"), fix=False, emit=nowhere)}
    assert elsewhere["region"].status == "missing"


def test_credentials_that_expire_in_the_middle(world: World) -> None:
    world.front.expect("eks:DescribeCluster", Fault.EXPIRED, nth=2)
    said = words(lambda: world.up(SHOP))
    assert "AWS does not take these credentials (any more): ExpiredTokenException" in said
    assert "they came from: env" in said
    assert "aws sso login" in said
    world.front.renew()
    assert "create cluster" in world.up(SHOP)
    assert len(world.service.eks.clusters) == 1


def test_no_credentials_at_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    said = words(lambda: world.provider(fresh=True).find(SHOP))
    assert "no AWS credentials were found" in said
    for link in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "~/.aws/credentials", "instance's role"):
        assert link in said
    assert [check.status for check in world.provider(fresh=True).doctor(SHOP, fix=False, emit=nowhere)] == ["missing"]


def test_neither_region_nor_credentials_are_told_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    lacking = world.provider(fresh=True).doctor(SHOP, fix=False, emit=nowhere)
    assert [check.name for check in lacking if check.status == "missing"] == ["region", "credentials"]


@pytest.mark.parametrize(("region", "said"), [("moon-1", "no region that its SDK knows"), ("eu-west-1", "a proxy")])
def test_a_region_that_has_no_address(region: str, said: str, world: World) -> None:
    from botocore.exceptions import EndpointConnectionError

    def ask() -> None:
        with explained(Sdk()):
            raise EndpointConnectionError(endpoint_url=f"https://eks.{region}.amazonaws.com/clusters/shop")

    assert said in words(ask)


def test_no_region_names_every_place_that_was_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    said = words(lambda: world.provider(fresh=True).cluster(SHOP))
    for place in ("cluster.region", "AWS_REGION", "AWS_DEFAULT_REGION", "~/.aws/config"):
        assert place in said
    (world.folder / "config").write_text("[default]\nregion = eu-west-1\n")
    assert world.provider(fresh=True).cluster(SHOP)[0].inputs["region"] == "eu-west-1"
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert world.provider(fresh=True).cluster(SHOP)[0].inputs["region"] == "us-west-2"
    assert world.provider(fresh=True).cluster(replace(SHOP, region="ap-south-1"))[0].inputs["region"] == "ap-south-1"


def test_a_profile_that_does_not_exist(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    from portable_aws import Aws

    assert "nobody" in words(lambda: Aws().find(SHOP))


def test_aws_out_of_reach(world: World) -> None:
    from portable_aws import Aws
    from portable_aws.session import Sdk

    nobody = Aws(Sdk("http://127.0.0.1:9"))
    assert "AWS could not be reached" in words(lambda: nobody.find(SHOP))


def test_a_size_that_no_machine_has(world: World) -> None:
    cluster = replace(SHOP, pools={"big": Nodes(cpu="500", memory="1Gi")})
    served = world.provider().resource_types()["portable:aws:NodeGroup"]
    pool = next(entry for entry in world.provider().cluster(cluster) if entry.name == "pool-big")
    (problem,) = served.check(dict(pool.inputs))
    assert problem.path == "cluster.pools.big"
    assert "cpu 500 and memory 1Gi" in problem.message
    assert problem.expected == "at most cpu 96 and memory 768Gi"


def test_pools_without_any_node_are_refused(world: World) -> None:
    """CoreDNS would be waited for in vain."""

    def problems(**pools: Nodes) -> list[tuple[str, str]]:
        types = world.provider().resource_types()
        resources = world.provider().cluster(replace(SHOP, pools=pools))
        return [(p.path, p.message) for each in resources for p in types[each.type].check(dict(each.inputs))]

    ((path, message),) = problems(default=Nodes(min=0, max=4), batch=Nodes(min=0))
    assert path == "cluster.pools.batch.min"
    assert "coredns needs a node" in message
    assert problems(default=Nodes(min=1), batch=Nodes(min=0)) == []
    assert problems() == []


def test_an_addon_that_a_region_does_not_offer(world: World) -> None:
    world.service.plans.not_offered = ("metrics-server",)
    said = words(lambda: world.up(SHOP))
    assert "EKS in eu-central-1 offers no add-on metrics-server for Kubernetes 1.34" in said
    assert "cluster.region" in said


def test_identities_that_cannot_be_bound(world: World) -> None:
    provider, wrong = world.provider(), pod_role(world, "wrong", "ec2.amazonaws.com")
    missing, good = wrong.replace("wrong", "missing"), pod_role(world, "good", "pods.eks.amazonaws.com")
    asked = {"web": "web@example.com", "api": missing, "worker": wrong, "cron": good}
    before = [problem.path for problem in provider.identity_problems(SHOP, asked)]
    assert before == [f"workloads.{name}.identity" for name in ("web", "api", "worker")], "before there is a cluster"
    world.up(SHOP)
    assert "is no IAM role" in words(lambda: provider.bind(SHOP, NAMESPACE, {"web": "web@example.com"}))
    assert f"there is no IAM role {missing}" in words(lambda: provider.bind(SHOP, NAMESPACE, {"web": missing}))
    said = words(lambda: provider.bind(SHOP, NAMESPACE, {"web": wrong}))
    assert "workloads.web.identity: the role wrong does not let EKS hand it to pods" in said
    assert "pods.eks.amazonaws.com" in said
    assert not world.service.eks.associations


def test_a_cluster_that_is_gone(world: World) -> None:
    assert world.provider().find(SHOP) is None
    with pytest.raises(ClusterGone, match="there is no EKS cluster shop in eu-central-1"):
        world.provider().credentials(SHOP)


def test_another_account_is_not_taken_for_a_cluster_that_is_gone(world: World) -> None:
    world.up(SHOP)
    state = world.folder / "stack.json"
    state.write_text(state.read_text().replace('"account": "123456789012"', '"account": "210987654321"'))
    world.service.eks.clusters.clear()
    said = words(lambda: world.up(SHOP))
    assert "is in the account 210987654321, the credentials are of 123456789012" in said


def test_the_sweep_touches_nothing_of_a_cluster_that_is_there(world: World) -> None:
    """As seen by someone who has lost the state, or another one: its network, nodes and load balancers are in use."""
    world.up(SHOP)
    disk = claim_disk(world, NAMESPACE, "data-db-0")
    assert [(entry.id, entry.data) for entry in world.provider().leftovers(SHOP)] == [(disk, True)]
    world.service.eks.clusters.clear()
    assert {entry.kind for entry in world.provider().leftovers(SHOP)} >= {
        "vpc",
        "subnet",
        "role",
        "log-group",
        "volume",
    }


def test_the_sweep_says_what_it_may_not_remove(world: World) -> None:
    plant(world)
    world.service.denied.add("ec2:TerminateInstances")
    provider = world.provider()
    (instance,) = (entry for entry in provider.leftovers(SHOP) if entry.kind == "instance")
    assert "ec2:TerminateInstances is missing" in provider.remove(SHOP, instance, nowhere)


def test_an_interface_that_something_takes_meanwhile_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """moto deletes it whatever it is attached to."""
    plant(world)
    (subnet,) = (entry.id for entry in world.provider().leftovers(SHOP) if entry.kind == "subnet")
    made = boto3.client("ec2").create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    refuse, seen = world.service._rules.refuse, list[str]()

    def held(asked: str, form: Any) -> Refused | None:
        if asked != "ec2:DeleteNetworkInterface":
            return refuse(asked, form)
        seen.append(asked)
        return Refused("InvalidNetworkInterface.InUse", "it is in use") if len(seen) < 3 else None

    monkeypatch.setattr(world.service._rules, "refuse", held)
    assert world.provider().remove(SHOP, Leftover("network-interface", made), nowhere) == ""
    assert len(seen) == 3
    assert f"network-interface {made}" not in world.service.leftovers()


def test_doctor_says_what_it_may_not_count(world: World) -> None:
    world.service.denied |= {"ec2:DescribeVpcs", "ec2:DescribeAddresses"}
    private = replace(SHOP, private=True)
    checks = {check.name: check for check in world.provider().doctor(private, fix=False, emit=nowhere)}
    assert checks["permissions"].detail == "ec2:DescribeAddresses, ec2:DescribeVpcs"
    for name in ("quota: VPCs", "quota: addresses"):
        assert checks[name].status == "warning"
        assert "is missing" in checks[name].detail
    world.service.denied.add("eks:DescribeCluster")
    checks = {check.name: check for check in world.provider().doctor(SHOP, fix=False, emit=nowhere)}
    assert checks["quota"].status == "warning"


def test_the_printed_policy_is_enough_for_doctor(world: World) -> None:
    checks = {check.name: check for check in world.provider().doctor(SHOP, fix=False, emit=nowhere)}
    assert checks["permissions"].status == "ok", checks["permissions"].detail


@pytest.mark.parametrize("call", ["ec2:RunInstances", "eks:TagResource", "iam:TagRole", "logs:TagResource"])
def test_doctor_asks_for_what_comes_with_a_call(world: World, call: str) -> None:
    world.service.denied.add(call)
    checks = {check.name: check for check in world.provider().doctor(SHOP, fix=False, emit=nowhere)}
    assert (checks["permissions"].status, checks["permissions"].detail) == ("missing", call)


def test_doctor_asks_whether_roles_may_be_handed_on(world: World) -> None:
    world.service.denied.add("iam:PassRole")
    checks = {check.name: check for check in world.provider().doctor(SHOP, fix=False, emit=nowhere)}
    assert checks["permissions"].status == "missing"
    services = ("ec2.amazonaws.com", "eks.amazonaws.com", "pods.eks.amazonaws.com")
    assert checks["permissions"].detail == ", ".join(f"iam:PassRole to {service}" for service in services)


def test_doctor_asks_for_the_first_use_of_an_account_alone(world: World) -> None:
    world.service.denied.add("iam:CreateServiceLinkedRole")
    spot = replace(SHOP, pools={"default": Nodes(min=1, spot=True)})
    services = ("eks-nodegroup", "eks", "spot")

    def found(cluster: Cluster) -> tuple[str, str]:
        checks = {check.name: check for check in world.provider().doctor(cluster, fix=False, emit=nowhere)}
        return checks["permissions"].status, checks["permissions"].detail

    named = [f"iam:CreateServiceLinkedRole for {service}.amazonaws.com" for service in services]
    assert found(SHOP) == ("missing", named[1])
    assert found(spot) == ("missing", ", ".join(named))
    # moto makes it under another name than AWS
    boto3.client("iam").create_role(RoleName="AWSServiceRoleForAmazonEKS", AssumeRolePolicyDocument="{}")
    assert found(SHOP)[0] == "ok"
    assert found(spot) == ("missing", f"{named[0]}, {named[2]}")


def test_a_route_that_leads_nowhere_is_replaced(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left where somebody deleted the gateway that it led to. moto's routes are active for ever."""
    world.up(SHOP)
    table, gone = world.service.ec2.route_tables[world.stack().outputs("routes")["id"]], SimpleNamespace(id="igw-gone")
    (route,) = (route for route in table.routes if route.destination_cidr_block == "0.0.0.0/0")
    route.gateway = gone
    state = property(lambda self: "blackhole" if self.gateway is gone else "active")
    monkeypatch.setattr(type(route), "state", state)
    assert world.up(SHOP) == ["update routes"]
    assert route.gateway_id == world.stack().outputs("gateway")["id"]
    assert world.up(SHOP) == []


def test_too_many_requests_are_no_quota() -> None:
    from botocore.exceptions import ClientError

    from portable_aws.session import Sdk
    from portable_aws.words import explained

    def refused() -> None:
        with explained(Sdk()):
            raise ClientError({"Error": {"Code": "RequestLimitExceeded", "Message": "Rate exceeded"}}, "CreateVpc")

    said = words(refused)
    assert "asked too often" in said
    assert "quota" not in said


@pytest.mark.parametrize(
    ("call", "nth", "code"),
    [
        ("ec2:CreateSubnet", 1, "InvalidVpcID.NotFound"),
        ("ec2:ModifyVpcAttribute", 1, "InvalidVpcID.NotFound"),
        ("ec2:AttachInternetGateway", 1, "InvalidInternetGatewayID.NotFound"),
        # the first look is before it is made
        ("iam:GetRole", 2, "NoSuchEntity"),
        ("iam:AttachRolePolicy", 1, "NoSuchEntity"),
    ],
)
def test_what_is_not_known_everywhere_yet_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch, call: str, nth: int, code: str
) -> None:
    seen: list[str] = []
    refuse = world.service._rules.refuse

    def unknown(asked: str, form: Any) -> Refused | None:
        seen.append(asked)
        first = asked == call and seen.count(call) == nth
        return Refused(code, "it does not exist") if first else refuse(asked, form)

    monkeypatch.setattr(world.service._rules, "refuse", unknown)
    resources = world.provider().cluster(SHOP)
    world.stack().up([each for each in resources if each.name in ("vpc", "gateway", "subnet-0", "cluster-role")])
    assert seen.count(call) > nth
    assert len(world.service.leftovers()) == 4
