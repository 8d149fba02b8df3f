"""portable:gcp:Network, Subnetwork and Router: a network of the cluster's own, which costs nothing.

Not the project's default network: many projects have none, and its firewall lets the whole internet try the nodes' SSH.

inputs   name, cluster, project, region; Subnetwork and Router: network; Subnetwork: range
outputs  these and id, link
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portable.errors import Problem
from portable.events import Emit, Notice
from portable.provider import Diff, Inputs, Outputs
from portable_gcp import compute, leftovers, naming, ownership
from portable_gcp.session import Google

RANGE = "10.128.0.0/20"
NAT = "nat"
# Through these a network reaches its Filestore shares: https://cloud.google.com/filestore/docs/networking
_PEERINGS = "filestore-peer"


class Network:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, google: Google) -> None:
        self._google = google

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        ownership.stays(outputs, new)
        return Diff()

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        body = {"autoCreateSubnetworks": False, "routingConfig": {"routingMode": "REGIONAL"}}
        return _made(self._google, "networks", inputs, body, emit, project=inputs["project"])

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        return _read(self._google, "networks", outputs, project=outputs["project"], name=outputs["name"])

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        return outputs

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        """Load balancers and firewall rules that controllers left behind go first: they would hold the network."""
        project, name = outputs["project"], outputs["name"]
        live = compute.get(self._google, "networks", project=project, name=name)
        if live is None or not ownership.marked(live, outputs):
            return
        if kept := [peering["name"] for peering in live.get("peerings", []) if peering["name"].startswith(_PEERINGS)]:
            # a Filestore share cannot move to another network, and its data is to outlive the cluster
            emit(Notice(f"the network {name} stays, for shared volumes that are kept ({', '.join(kept)})"))
            return
        for part in leftovers.in_network(self._google, project, live["selfLink"]):
            compute.delete_link(self._google, part.link, emit)
        compute.delete(self._google, "compute.networks.delete", emit, project=project, name=name)


class Subnetwork:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, google: Google) -> None:
        self._google = google

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        ownership.stays(outputs, new)
        return Diff(() if outputs.get("googleAccess", True) else ("googleAccess",))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        body = {
            "network": _link(inputs["project"], "global/networks", inputs["network"]),
            "ipCidrRange": inputs["range"],
            # nodes without addresses of their own still pull images from Google's registries
            "privateIpGoogleAccess": True,
        }
        return _made(self._google, "subnetworks", inputs, body, emit, **_region(inputs))

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        return _read(self._google, "subnetworks", outputs, **_region(outputs), name=outputs["name"])

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        call = "compute.subnetworks.setPrivateIpGoogleAccess"
        body = {"privateIpGoogleAccess": True}
        compute.change(self._google, call, emit, body=body, **_region(outputs), name=outputs["name"])
        return {**outputs, "googleAccess": True}

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        _delete(self._google, "subnetworks", outputs, emit)


class Router:
    """A router whose only task is NAT: the way out for nodes without public addresses."""

    secret_outputs: tuple[str, ...] = ()

    def __init__(self, google: Google) -> None:
        self._google = google

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        ownership.stays(outputs, new)
        return Diff(() if outputs.get("nat", True) else ("nat",))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        body = {"network": _link(inputs["project"], "global/networks", inputs["network"]), "nats": [_nat()]}
        return _made(self._google, "routers", inputs, body, emit, **_region(inputs))

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        return _read(self._google, "routers", outputs, **_region(outputs), name=outputs["name"])

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        where = {**_region(outputs), "name": outputs["name"]}
        compute.change(self._google, "compute.routers.patch", emit, body={"nats": [_nat()]}, **where)
        return {**outputs, "nat": True}

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        _delete(self._google, "routers", outputs, emit)


def _nat() -> dict[str, Any]:
    return {
        "name": NAT,
        "natIpAllocateOption": "AUTO_ONLY",
        "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
        "logConfig": {"enable": True, "filter": "ERRORS_ONLY"},
    }


def _made(
    google: Google, kind: str, inputs: Inputs, body: dict[str, Any], emit: Emit, **where: str
) -> tuple[str, Outputs]:
    name = inputs["name"]
    live = compute.get(google, kind, **where, name=name)
    if live is None:
        mark = naming.description(inputs["cluster"], inputs["region"])
        live = compute.insert(google, kind, {"name": name, "description": mark, **body}, emit, **where)
    if not ownership.marked(live, inputs):
        raise ownership.foreign(kind.removesuffix("s"), name, live)
    return str(live["id"]), _outputs(kind, inputs, live)


def _read(google: Google, kind: str, outputs: Outputs, **where: str) -> Outputs | None:
    live = compute.get(google, kind, **where)
    return None if live is None or not ownership.marked(live, outputs) else _outputs(kind, outputs, live)


def _delete(google: Google, kind: str, outputs: Outputs, emit: Emit) -> None:
    where = {**_region(outputs), "name": outputs["name"]}
    live = compute.get(google, kind, **where)
    if live is not None and ownership.marked(live, outputs):
        compute.delete(google, f"compute.{kind}.delete", emit, **where)


def _outputs(kind: str, known: Outputs, live: dict[str, Any]) -> Outputs:
    outputs = {**known, "id": str(live["id"]), "link": live["selfLink"]}
    if kind == "subnetworks":
        outputs["googleAccess"] = bool(live.get("privateIpGoogleAccess"))
    if kind == "routers":
        outputs["nat"] = any(nat.get("name") == NAT for nat in live.get("nats", []))
    return outputs


def _region(outputs: Outputs) -> dict[str, str]:
    return {"project": outputs["project"], "region": outputs["region"]}


def _link(project: str, kind: str, name: str) -> str:
    return f"projects/{project}/{kind}/{name}"
