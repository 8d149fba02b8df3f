"""The three stand-in clouds as a user's `portable` meets them, with a real cluster behind each.

Whatever such a cloud calls a cluster has the API server of `ClusterBehind`, which asks that cloud who sent a token.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clouds.authenticator import authenticator
from tests.clouds.cluster_behind import ClusterBehind
from tests.clouds.front import Front
from tests.clouds.token_webhook import ADMINISTRATORS, User

CLUSTER = "portable"


@dataclass(frozen=True)
class StandIn:
    """`environment` points the SDK, and so `portable`, here. `clusters`: names of those that the cloud has; `user`: whom it takes
    `portable` for; `makes`: calls that make something of a cluster, itself first."""

    front: Front
    environment: Mapping[str, str]
    clusters: Callable[[], list[str]]
    user: str
    makes: tuple[str, ...]


@contextmanager
def amazon(folder: Path, behind: ClusterBehind) -> Iterator[StandIn]:
    """Tokens are redeemed by Amazon's own authenticator; whom they belong to may do what the access entries say."""
    from tests.clouds.aws.service import ACCOUNT, REGION
    from tests.clouds.aws.world import serving

    with serving(folder, api_server=(behind.server, behind.ca)) as world:
        eks, environment = world.service.eks, world.environment

        def groups(arn: str) -> tuple[str, ...] | None:
            entry = eks.access.get((CLUSTER, arn))
            if entry is None:
                return None
            administers = any(policy.endswith("/AmazonEKSClusterAdminPolicy") for policy in entry["policies"])
            return (ADMINISTRATORS,) if administers else ()

        keys = {environment["AWS_ACCESS_KEY_ID"]: environment["AWS_SECRET_ACCESS_KEY"]}
        with (
            authenticator(
                folder,
                cluster=CLUSTER,
                region=REGION,
                account=ACCOUNT,
                stand_in=world.front.url,
                keys=keys,
                groups=groups,
            ) as judge,
            behind.webhook.asking(judge),
        ):
            user = f"arn:aws:iam::{ACCOUNT}:user/deployer"
            makes = ("eks:CreateCluster", "ec2:CreateVpc", "iam:CreateRole", "eks:CreateAccessEntry")
            yield StandIn(world.front, environment, lambda: list(eks.clusters), user, makes)


@contextmanager
def google(folder: Path, behind: ClusterBehind) -> Iterator[StandIn]:
    """Tokens are those that the stand-in's token endpoint has issued; whoever has one owns the project."""
    from tests.clouds.gcp.cloud import GoogleCloud
    from tests.clouds.gcp.world import environment

    service = GoogleCloud(endpoint=behind.server.removeprefix("https://"), ca=behind.ca)
    user = "ada@example.com"

    def judge(token: str) -> User | None:
        return User(user) if service.iam.knows(f"Bearer {token}") else None

    with Front(service).serving() as front, behind.webhook.asking(judge):
        makes = (
            "container.projects.locations.clusters.create",
            "compute.networks.insert",
            "iam.projects.serviceAccounts.create",
        )
        yield StandIn(front, environment(front, folder), lambda: list(service.gke.clusters), user, makes)


@contextmanager
def azure(folder: Path, behind: ClusterBehind) -> Iterator[StandIn]:
    """Tokens are those that the stand-in Entra has issued for API servers; they administer only once a role is assigned."""
    from tests.clouds.azure.entra import CALLER
    from tests.clouds.azure.service import AzureService
    from tests.clouds.azure.world import serving

    service = AzureService(behind.server, base64.b64decode(behind.ca).decode())

    def judge(token: str) -> User | None:
        if not service.accepts(token):
            return None
        assigned = [
            body for body in list(service.things.values()) if body.get("properties", {}).get("principalId") == CALLER
        ]
        return User(CALLER, (ADMINISTRATORS,) if assigned else ())

    with serving(service) as world, behind.webhook.asking(judge):
        # the Azure CLI's own folder: nothing but what is named here is found
        environment = {**world.environment, "AZURE_CONFIG_DIR": str(folder)}
        makes = ("ManagedClusters_CreateOrUpdate", "ResourceGroups_CreateOrUpdate", "RoleAssignments_Create")
        yield StandIn(world.front, environment, lambda: [name for _, name in service.clusters], CALLER, makes)


CLOUDS: Mapping[str, Callable[[Path, ClusterBehind], AbstractContextManager[StandIn]]] = {
    "eks": amazon,
    "gke": google,
    "aks": azure,
}
