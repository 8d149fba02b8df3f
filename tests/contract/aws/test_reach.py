"""Reaching a cluster: what is found, the kubeconfig, tokens that an API server can redeem; disks that are bound again."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from urllib.parse import parse_qs, urlsplit

import boto3
import httpx2
import pytest

from portable.errors import ProviderError
from portable.provider import Identities, KeptData, KeptVolumes, Provider, Sweep, Tokens
from portable.spec.model import Cluster, Nodes
from portable_aws import Aws
from tests.clouds.aws.world import World
from tests.contract.aws.life import NAMESPACE, claim_disk

pytestmark = pytest.mark.contract
SHOP = Cluster(name="shop")


def test_the_plugin_has_every_capability() -> None:
    for capability in (Provider, Tokens, Identities, KeptData, KeptVolumes, Sweep):
        assert isinstance(Aws(), capability)


def test_a_token_is_a_signed_request_that_sts_answers(world: World) -> None:
    token = world.provider().token(SHOP)
    encoded = token.value.removeprefix("k8s-aws-v1.")
    assert encoded != token.value
    assert "=" not in encoded
    url = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("https", "sts.eu-central-1.amazonaws.com"), "API servers take no other host"
    query = parse_qs(parts.query)
    assert query["Action"] == ["GetCallerIdentity"]
    assert query["X-Amz-SignedHeaders"] == ["host;x-k8s-aws-id"]
    assert int(query["X-Amz-Expires"][0]) <= 60
    assert 0 < token.expires - time.time() < 15 * 60
    assert token.value not in repr(token)
    answer = httpx2.get(f"{world.front.url}/?{parts.query}", headers={"x-k8s-aws-id": "shop"})
    assert "user/deployer" in answer.text


def test_the_kubeconfig_holds_no_secret_and_asks_portable(world: World) -> None:
    world.up(SHOP)
    found, reached = world.provider().find(SHOP), world.provider().credentials(SHOP)
    assert found is not None
    assert found.uid == world.stack().outputs("cluster")["uid"]
    assert (found.healthy, found.version) == (True, "1.34")
    document = json.loads(reached.kubeconfig)
    plugin = document["users"][0]["user"]["exec"]
    assert plugin["args"] == ["token", "--cloud", "aws", "--cluster", "shop", "--region", "eu-central-1"]
    assert document["clusters"][0]["cluster"]["server"].startswith("https://")
    assert b"BEGIN CERTIFICATE" in base64.b64decode(document["clusters"][0]["cluster"]["certificate-authority-data"])
    assert reached.token is not None
    assert reached.token().value.startswith("k8s-aws-v1.")


def test_a_cluster_that_is_being_made_is_not_healthy(world: World) -> None:
    world.up(SHOP)
    world.service.eks.clusters["shop"].thing["status"] = "CREATING"
    found = world.provider().find(SHOP)
    assert found is not None
    assert (found.healthy, found.detail) == (False, "CREATING")


@pytest.mark.parametrize(
    ("cluster", "driver"),
    [(SHOP, "ebs.csi.eks.amazonaws.com"), (Cluster("shop", pools={"default": Nodes()}), "ebs.csi.aws.com")],
)
def test_kept_disks_are_bound_again_by_the_driver_of_the_new_cluster(
    world: World, cluster: Cluster, driver: str
) -> None:
    disk = claim_disk(world, NAMESPACE, "data-db-0")
    claim_disk(world, "other", "data-db-0")
    (volume,) = world.provider().persistent_volumes(cluster, NAMESPACE)
    spec = volume["spec"]
    assert spec["csi"] == {"driver": driver, "volumeHandle": disk, "fsType": "ext4"}
    assert spec["claimRef"]["namespace"] == NAMESPACE
    assert spec["claimRef"]["name"] == "data-db-0"
    assert spec["capacity"] == {"storage": "10Gi"}
    zone = spec["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]
    assert zone["values"] == ["eu-central-1a"]
    assert len(world.provider().kept_data(cluster, "")) == 2


def test_of_two_kept_disks_of_one_claim_neither_is_taken(world: World) -> None:
    both = [claim_disk(world, NAMESPACE, "data-db-0") for _ in range(2)]
    claim_disk(world, "other", "data-db-0")
    with pytest.raises(ProviderError, match="2 kept disks belong to shop-prod/data-db-0") as refused:
        world.provider().persistent_volumes(SHOP, NAMESPACE)
    assert all(disk in refused.value.message for disk in both)
    assert len(world.provider().persistent_volumes(SHOP, "other")) == 1


def test_a_disk_that_a_node_uses_is_left_to_it(world: World) -> None:
    """A stray one of the same claim is no reason to refuse either: the claim has its disk."""
    free, used = (claim_disk(world, NAMESPACE, "data-db-0") for _ in range(2))
    ec2 = boto3.client("ec2")
    (node,) = ec2.run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, Placement={"AvailabilityZone": "eu-central-1a"}
    )["Instances"]
    ec2.attach_volume(VolumeId=used, InstanceId=node["InstanceId"], Device="/dev/sdf")
    (volume,) = world.provider().persistent_volumes(SHOP, NAMESPACE)
    assert volume["spec"]["csi"]["volumeHandle"] == free
    assert len(world.provider().kept_data(SHOP, NAMESPACE)) == 2


def test_profile_and_policy_import_no_sdk() -> None:
    """`portable render --cloud eks` and `providers show` stay light."""
    program = (
        "import sys; from portable_aws import Aws; from portable.spec.model import Cluster, Nodes; p = Aws(); "
        "p.profile(Cluster()); p.profile(Cluster(pools={'default': Nodes()})); p.permissions(); "
        "print([name for name in ('boto3', 'botocore', 'pulumi', 'lightkube', 'rich') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.strip() == "[]"


def test_plan_tells_what_costs_money() -> None:
    from portable_aws.stack import resources

    private = Cluster("shop", pools={"default": Nodes(2, 4)}, private=True)
    notes = {entry.name: entry.note for entry in resources(private, "eu-central-1") if entry.note}
    assert set(notes) == {"cluster", "logs", "nat", "pool-default"}
    assert "$0.10 per hour" in notes["cluster"]
    assert "NAT gateway: about $0.05 per hour, list price of 2026-04" in notes["nat"]
    assert "2 to 4 of m6i.large: about $0.096 per hour" in notes["pool-default"]
    assert "nat" not in {entry.name for entry in resources(Cluster("shop"), "eu-central-1")}
