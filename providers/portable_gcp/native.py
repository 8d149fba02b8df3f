"""A cluster's resources as Pulumi's official Google Cloud plugin names them: types and ids for `pulumi import`.

Ids are those of the "Import" section of each type's page in https://www.pulumi.com/registry/packages/gcp/api-docs/ (10.x).
"""

from __future__ import annotations

from collections.abc import Sequence

from portable.provider import Inputs, NativeResource, Outputs
from portable_gcp.account import ROLES
from portable_gcp.network import NAT

PREFIX = "portable:gcp:"


def native_resources(type: str, name: str, inputs: Inputs, outputs: Outputs) -> Sequence[NativeResource]:
    project, region, called = inputs["project"], inputs["region"], inputs["name"]
    regional = f"projects/{project}/regions/{region}"
    match type.removeprefix(PREFIX):
        case "Network":
            id = f"projects/{project}/global/networks/{called}"
            return [NativeResource("gcp:compute/network:Network", name, id)]
        case "Subnetwork":
            id = f"{regional}/subnetworks/{called}"
            return [NativeResource("gcp:compute/subnetwork:Subnetwork", name, id)]
        case "Router":
            id = f"{regional}/routers/{called}"
            nat = NativeResource("gcp:compute/routerNat:RouterNat", f"{name}-{NAT}", f"{id}/{NAT}")
            return [NativeResource("gcp:compute/router:Router", name, id), nat]
        case "NodeAccount":
            return _account(project, name, outputs["email"])
        case "Cluster":
            id = f"projects/{project}/locations/{region}/clusters/{called}"
            return [NativeResource("gcp:container/cluster:Cluster", name, id)]
        case "NodePool":
            id = f"{project}/{region}/{inputs['cluster']}/{called}"
            return [NativeResource("gcp:container/nodePool:NodePool", name, id)]
        case _:
            return []


def _account(project: str, name: str, email: str) -> list[NativeResource]:
    """The account, and each of its roles in the project."""
    roles = [
        NativeResource(
            "gcp:projects/iAMMember:IAMMember",
            f"{name}-{role.rpartition('/')[2]}",
            f"{project} {role} serviceAccount:{email}",
        )
        for role in ROLES
    ]
    return [
        NativeResource("gcp:serviceaccount/account:Account", name, f"projects/{project}/serviceAccounts/{email}"),
        *roles,
    ]
