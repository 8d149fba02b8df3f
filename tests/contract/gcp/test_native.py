"""What `eject` writes for `pulumi import`: every resource of the stack, by types and ids of the official plugin."""

from __future__ import annotations

import pytest

from portable.spec.model import Cluster, Nodes
from tests.contract.gcp.conftest import World

pytestmark = pytest.mark.contract


def test_every_resource_has_native_ones(google: World) -> None:
    google.up(Cluster("shop", pools={"default": Nodes(2, cpu="2", memory="8Gi")}, private=True))
    found: dict[str, list[tuple[str, str]]] = {}
    for name, kept in google.stack.state.items():
        native = google.plugin.native_resources(kept["type"], name, kept["inputs"], kept["outputs"])
        found[name] = [(each.type, each.id) for each in native]
        assert native
    state = google.stack.state
    project, region = state["cluster"]["inputs"]["project"], state["cluster"]["inputs"]["region"]
    network, email = state["network"]["inputs"]["name"], state["node-account"]["outputs"]["email"]
    router = f"projects/{project}/regions/{region}/routers/{state['router']['inputs']['name']}"
    assert found == {
        "network": [("gcp:compute/network:Network", f"projects/{project}/global/networks/{network}")],
        "subnetwork": [
            ("gcp:compute/subnetwork:Subnetwork", f"projects/{project}/regions/{region}/subnetworks/{network}")
        ],
        "router": [("gcp:compute/router:Router", router), ("gcp:compute/routerNat:RouterNat", f"{router}/nat")],
        "node-account": [
            ("gcp:serviceaccount/account:Account", f"projects/{project}/serviceAccounts/{email}"),
            *(
                ("gcp:projects/iAMMember:IAMMember", f"{project} {role} serviceAccount:{email}")
                for role in state["node-account"]["outputs"]["roles"]
            ),
        ],
        "cluster": [("gcp:container/cluster:Cluster", f"projects/{project}/locations/{region}/clusters/shop")],
        "pool-default": [
            ("gcp:container/nodePool:NodePool", f"{project}/{region}/shop/{state['pool-default']['inputs']['name']}")
        ],
    }
