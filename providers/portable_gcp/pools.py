"""portable:gcp:NodePool: a pool of nodes of one size in a Standard cluster.

inputs   name, pool (its name in the spec), cluster, project, region, machine ("": no machine is that large), cpu, memory, min,
         max (0: always `min` nodes), spot, private, account, version ("": as the cluster goes)
outputs  these as they live, and zones, nodes (of a fixed pool), status

GKE counts per zone. A pool of a fixed size is therefore put into as many zones (three at most) as divide it, so that it has
exactly the nodes that were asked for; a live one stays in its zones with volumes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portable.errors import Problem, ProviderError
from portable.events import Emit, Step
from portable.polling import Pending, poll
from portable.provider import Diff, Inputs, Outputs
from portable_gcp import compute, naming, operations, ownership, pool_body, pool_checks, versions, zones
from portable_gcp.place import Place, place_of
from portable_gcp.session import Google, Refused, word

USUAL = "2-4 min"
_POOLS = "container.projects.locations.clusters.nodePools"


class NodePool:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, google: Google) -> None:
        self._google = google

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return pool_checks.check(inputs)

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        ownership.stays(outputs, new)
        changes = _differing(outputs, new)
        # the name says whether it is spot: the new pool stands beside the old one until that goes
        renamed = ("name",) if outputs["name"] != new["name"] else ()
        return Diff((*changes, *renamed), renamed)

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        live = self._found(inputs, emit)
        if live is None:
            self._make(inputs, emit)
        return inputs["name"], self._put_right(self._read(inputs), inputs, emit)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        live = _get(self._google, outputs)
        return None if live is None or word(live.status) == "STOPPING" else self._outputs(outputs, live)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        return self._put_right(self._read(new), new, emit)

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        google, place, name = self._google, place_of(outputs), _path(outputs)

        def start() -> Any:
            return google.container(f"{_POOLS}.delete", name=name)

        if not _in_our_cluster(google, outputs) or _get(google, outputs) is None:
            return  # gone, or in a cluster of someone else that has the same name now
        what = f"deleting node pool {outputs['name']}"
        try:
            operations.change(google, place, outputs["cluster"], start, what=what, emit=emit, usual="3-5 min")
        except Refused as refusal:
            if refusal.status != 404:
                raise

    # -- making ----------------------------------------------------------------------------------------------------

    def _found(self, inputs: Inputs, emit: Emit) -> Any | None:
        """The pool that is there already, as an interrupted run or the cluster's own creation left it; one in ERROR is removed."""
        google, pace = self._google, self._google.pace

        def look() -> Any:
            live = _get(google, inputs)
            if live is not None and word(live.status) in ("PROVISIONING", "STOPPING"):
                return Pending(word(live.status).lower())
            return live or False

        what = f"node pool {inputs['name']}"
        found = poll(look, what=what, timeout=3600, emit=emit, usual=USUAL, interval=pace.poll, sleep=pace.sleep)
        if found is not False and word(found.status) == "ERROR":
            emit(
                Step("cluster", "progress", detail=f"removing a node pool that GKE gave up on: {found.status_message}")
            )
            self.delete(inputs["name"], inputs, emit)
            return None
        return found or None

    def _make(self, inputs: Inputs, emit: Emit) -> None:
        google, place = self._google, place_of(inputs)
        parent = f"{place.parent}/clusters/{inputs['cluster']}"
        body = pool_body.message(inputs, pool_body.first_zones(google, inputs, zones.of_region(google, place)))

        def start() -> Any:
            return google.container(f"{_POOLS}.create", parent=parent, node_pool=body)

        what = f"node pool {inputs['name']}"
        try:
            operations.change(google, place, inputs["cluster"], start, what=what, emit=emit, usual=USUAL)
        except Refused as refusal:
            if refusal.status != 409:
                raise
            operations.settle(google, place, inputs["cluster"], what=what, emit=emit, usual=USUAL)
        live = _get(google, inputs)
        if live is not None and word(live.status) in ("ERROR", "RUNNING_WITH_ERROR"):
            raise operations.failed(what, live.status_message, list(live.conditions))

    # -- putting right ---------------------------------------------------------------------------------------------

    def _put_right(self, live: Outputs, inputs: Inputs, emit: Emit) -> Outputs:
        changes = _differing(live, inputs)
        if not changes:
            return live
        resized = {"min", "max", "nodes"} & set(changes)
        # before anything is changed, as this may refuse
        wanted = self._wanted_zones(live, inputs) if resized else live["zones"]
        what = f"node pool {inputs['name']}"
        if "machine" in changes:
            request = {"machine_type": inputs["machine"]}
            self._change("update", inputs, request, f"{what}: {inputs['machine']}", emit)
        if resized:
            self._resize(live, inputs, wanted, what, emit)
        if "version" in changes:
            self._upgrade(inputs, emit)
        return self._read(inputs)

    def _wanted_zones(self, live: Outputs, inputs: Inputs) -> list[str]:
        google, place = self._google, place_of(inputs)
        region = zones.of_region(google, place)
        if inputs["max"]:
            return region
        held = zones.with_volumes(google, place, inputs["cluster"])
        wanted = zones.fixed(inputs["min"], region, live["zones"], live["nodes"], held)
        if not wanted:
            raise _would_strand(inputs, live["zones"], sorted(held & set(live["zones"])))
        return wanted

    def _resize(self, live: Outputs, inputs: Inputs, wanted: list[str], what: str, emit: Emit) -> None:
        each = inputs["min"] // len(wanted)

        def spread() -> None:
            if live["zones"] != wanted:
                self._change("update", inputs, {"locations": wanted}, f"{what}: {', '.join(wanted)}", emit)

        def size() -> None:
            if live["max"] != inputs["max"] or inputs["max"]:
                self._change(
                    "setAutoscaling", inputs, {"autoscaling": pool_body.autoscaling(inputs)}, f"{what}: size", emit
                )
            if not inputs["max"]:
                self._change("setSize", inputs, {"node_count": each}, f"{what}: {inputs['min']} nodes", emit)

        # a new zone begins with as many nodes as the others have: never more in all than before or afterwards
        fewer = not inputs["max"] and live["nodes"] > each * len(live["zones"])
        for step in (size, spread) if fewer else (spread, size):
            step()

    def _upgrade(self, inputs: Inputs, emit: Emit) -> None:
        place = place_of(inputs)
        cluster = self._google.container(
            "container.projects.locations.clusters.get", name=f"{place.parent}/clusters/{inputs['cluster']}"
        )
        _upgrade(self._google, inputs, cluster.current_master_version, emit)

    def _change(self, call: str, inputs: Inputs, request: dict[str, Any], what: str, emit: Emit) -> None:
        def start() -> Any:
            return self._google.container(f"{_POOLS}.{call}", name=_path(inputs), **request)

        operations.change(self._google, place_of(inputs), inputs["cluster"], start, what=what, emit=emit, usual=USUAL)

    def _read(self, inputs: Inputs) -> Outputs:
        live = _get(self._google, inputs)
        if live is None:
            raise ProviderError(
                f"the node pool {inputs['name']} is gone", fix="run the same command again, which makes it anew"
            )
        return self._outputs(inputs, live)

    def _outputs(self, known: Outputs, live: Any) -> Outputs:
        scaled = live.autoscaling.enabled
        return {
            **known,
            "name": live.name,
            "machine": live.config.machine_type,
            "spot": live.config.spot,
            "min": live.autoscaling.total_min_node_count if scaled else known["min"],
            "max": live.autoscaling.total_max_node_count if scaled else 0,
            "nodes": 0 if scaled else self._size(live),
            "zones": _live_zones(live),
            "version": live.version,
            "status": word(live.status),
        }

    def _size(self, live: Any) -> int:
        """The pool itself only knows how large it was made."""
        total = 0
        for link in live.instance_group_urls:
            group = compute.parse(link)
            found = self._google.rest(
                "compute.instanceGroupManagers.get", project=group["project"], zone=group["where"], name=group["name"]
            )
            total += int(found.get("targetSize", 0))
        return total


def catch_up(google: Google, place: Place, cluster: str, target: str, most: int, emit: Emit) -> None:
    """Upgrades node pools that would be more than `most` minors behind a control plane of version `target`, as far as it is now."""
    found = google.container("container.projects.locations.clusters.get", name=f"{place.parent}/clusters/{cluster}")
    if found.autopilot.enabled:
        return
    for pool in found.node_pools:
        if versions.behind(pool.version, target) > most:
            known = {"project": place.project, "region": place.region, "cluster": cluster, "name": pool.name}
            _upgrade(google, known, found.current_master_version, emit)


def _upgrade(google: Google, known: Outputs, version: str, emit: Emit) -> None:
    def start() -> Any:
        return google.container(f"{_POOLS}.update", name=_path(known), node_version=version)

    what = f"node pool {known['name']}: Kubernetes {version}"
    operations.change(google, place_of(known), known["cluster"], start, what=what, emit=emit, usual="5-20 min")


def _differing(live: Outputs, new: Inputs) -> tuple[str, ...]:
    changes = [key for key in ("machine", "max") if live[key] != new[key]]
    if new["max"] and live["min"] != new["min"]:
        changes.append("min")
    if not new["max"] and live["nodes"] != new["min"]:
        changes.append("nodes")
    if new["version"] and versions.key(versions.minor(live["version"])) < versions.key(versions.minor(new["version"])):
        changes.append("version")
    return tuple(changes)


def _would_strand(inputs: Inputs, live: list[str], held: list[str]) -> ProviderError:
    count, many = inputs["min"], len(live)
    fitting = [str(number) for number in (count // many * many, (count // many + 1) * many) if number]
    return ProviderError(
        f"{pool_checks.where(inputs['pool'])}: {count} nodes would leave a zone with volumes, whose pods could then never start",
        detail=f"GKE counts nodes per zone; the pool is in {', '.join(live)}, and volumes are in {', '.join(held)}",
        fix=f"ask for {' or '.join(fitting)} nodes, or set its max too (to {count}, say): then GKE's autoscaler counts over all zones",
    )


def _live_zones(live: Any) -> list[str]:
    """By its instance groups where it names none (as in recorded replies)."""
    return sorted(live.locations) or sorted(compute.parse(link)["where"] for link in live.instance_group_urls)


def _get(google: Google, known: Outputs) -> Any | None:
    try:
        return google.container(f"{_POOLS}.get", name=_path(known))
    except Refused as refusal:
        if refusal.status == 404:
            return None
        raise


def _in_our_cluster(google: Google, known: Outputs) -> bool:
    name = f"{place_of(known).parent}/clusters/{known['cluster']}"
    try:
        live = google.container("container.projects.locations.clusters.get", name=name)
    except Refused as refusal:
        if refusal.status == 404:
            return False
        raise
    return live.resource_labels.get(naming.LABEL) == naming.stack(known["cluster"])


def _path(known: Outputs) -> str:
    return f"{place_of(known).parent}/clusters/{known['cluster']}/nodePools/{known['name']}"
