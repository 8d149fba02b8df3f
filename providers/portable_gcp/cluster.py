"""portable:gcp:Cluster: a GKE cluster, Autopilot or Standard.

inputs   name, project, region, mode, version ("": the newest at creation, no change later), allow, private, network (its
         subnetwork is called alike), account (the nodes' e-mail address), firstPool (inputs of the pool it is made with; {}: none)
outputs  these as they live, and uid, endpoint, ca (base64 of the PEM), status, channel, labels, zones, ...
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from portable.errors import Problem, ProviderError
from portable.events import Emit, Step
from portable.polling import Pending, poll
from portable.provider import ClusterState, Diff, Inputs, Outputs
from portable_gcp import naming, operations, ownership, pool_body, pools, settings, versions, zones
from portable_gcp.operations import HOUR
from portable_gcp.place import Place, place_of, zone_of
from portable_gcp.session import Google, Refused, word

USUAL = {settings.AUTOPILOT: "5-8 min", settings.STANDARD: "5-10 min"}
UPGRADE = "10-25 min"
# Nodes may be two minors older than the control plane, and one upgrade makes it one more.
_MOST_SKEW = 2
_GONE = ("STOPPING",)
_STARTING = ("PROVISIONING", "STATUS_UNSPECIFIED")


class Cluster:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, google: Google) -> None:
        self._google = google

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return [*_name(inputs), *_region(inputs), *_version(inputs), *_allow(inputs)]

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        _refuse_immovable(outputs, new)
        changes = [setting.key for setting in settings.differing(outputs, new)]
        if outputs.get("labels", {}).get(naming.LABEL) != naming.stack(new["name"]):
            changes.append("labels")
        if not versions.satisfied(new["version"], outputs.get("version", "")):
            versions.minors_between(outputs["version"], new["version"])
            # else a plan would promise it
            place = place_of(new)
            versions.choose(new["version"], versions.offered(self._google, place), place.region)
            changes.append("version")
        return Diff(tuple(changes))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        """Goes on with what an interrupted run began, and replaces what GKE gave up on."""
        live = self._found(inputs, emit) or self._make(inputs, emit)
        outputs = settings.outputs(inputs, live)
        _refuse_immovable(outputs, inputs)
        return inputs["name"], self._put_right(outputs, inputs, emit)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        live = _get(self._google, place_of(outputs), outputs["name"])
        # one of the same name that somebody made meanwhile is not this one
        if live is None or live.id != outputs["uid"] or word(live.status) in _GONE:
            return None
        return settings.outputs(_plain(outputs), live)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        live = _get(self._google, place_of(new), new["name"])
        if live is None:
            raise ProviderError(
                f"the cluster {new['name']} is gone", fix="run the same command again, which makes it anew"
            )
        return self._put_right(settings.outputs(new, live), new, emit)

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        """Nothing happens to a cluster of that name that is not ours: its creation was refused."""
        live = _get(self._google, place_of(outputs), outputs["name"])
        if live is not None and is_ours(live):
            self._remove(outputs, emit)

    # -- making and removing ---------------------------------------------------------------------------------------

    def _found(self, inputs: Inputs, emit: Emit) -> Any | None:
        """The cluster that is there already, once it is whole. None: there is none (any more)."""
        place, name = place_of(inputs), inputs["name"]

        def look() -> Any:
            live = _get(self._google, place, name)
            if live is not None and not is_ours(live):
                raise ProviderError(
                    f"a cluster {name} exists in {place.region} and was not made by portable",
                    fix=f"to use it, set cluster.existing: {name}; else choose another cluster.name",
                )
            if live is not None and word(live.status) in (*_STARTING, *_GONE):
                return Pending(word(live.status).lower())
            return live or False

        found = self._poll(look, f"cluster {name}", emit, USUAL[inputs["mode"]])
        if found is False:
            return None
        if word(found.status) == "ERROR":
            emit(Step("cluster", "progress", detail=f"removing a cluster that GKE gave up on: {_reason(found)}"))
            self._remove(inputs, emit)
            return None
        return found

    def _make(self, inputs: Inputs, emit: Emit) -> Any:
        google, place = self._google, place_of(inputs)
        version = versions.choose(inputs["version"], versions.offered(google, place), place.region)
        first = inputs.get("firstPool") or None
        in_zones = zones.of_region(google, place) if first else []
        pool = pool_body.message(first, pool_body.first_zones(google, first, in_zones)) if first else None
        message = settings.cluster_message(inputs, version, in_zones, pool)

        def start() -> Any:
            try:
                return google.container(
                    "container.projects.locations.clusters.create", parent=place.parent, cluster=message
                )
            except Refused as refusal:
                if refusal.status == 400 and inputs["account"] in refusal.said and "exist" in refusal.said:
                    # a new account is not known everywhere at once
                    return Pending("waiting until the nodes' account is known")
                if refusal.status != 409 or refusal.reason == "ABORTED":
                    raise
                # a call whose reply was lost made it
                return None

        what, usual = f"cluster {inputs['name']}", USUAL[inputs["mode"]]
        emit(Step("cluster", "progress", detail=f"creating {what} with Kubernetes {version} (usually {usual})"))
        operation = self._poll(start, what, emit, usual, timeout=300)
        if operation is None:
            operations.settle(google, place, inputs["name"], what=what, emit=emit, usual=usual)
        else:
            operations.finish(google, place, operation, what=what, emit=emit, usual=usual)
        live = _get(google, place, inputs["name"])
        if live is None:
            raise ProviderError(f"{what} failed", detail="GKE took it away again", fix="run the same command again")
        if word(live.status) == "ERROR":
            raise operations.failed(what, live.status_message, list(live.conditions))
        return live

    def _remove(self, known: Outputs, emit: Emit) -> None:
        google, place, name = self._google, place_of(known), known["name"]
        what = f"deleting cluster {name}"

        def start() -> Any:
            return google.container(
                "container.projects.locations.clusters.delete", name=f"{place.parent}/clusters/{name}"
            )

        try:
            operations.change(google, place, name, start, what=what, emit=emit, usual="3-6 min")
        except Refused as refusal:
            if refusal.status != 404:
                raise
        self._poll(
            lambda: Pending("stopping") if _get(google, place, name) is not None else True, what, emit, "3-6 min"
        )

    # -- putting right ---------------------------------------------------------------------------------------------

    def _put_right(self, live: Outputs, inputs: Inputs, emit: Emit) -> Outputs:
        """Each setting that differs in an update of its own: GKE takes no two in one call."""
        changed = False
        if live["labels"].get(naming.LABEL) != naming.stack(inputs["name"]):
            self._label(inputs, emit)
            changed = True
        for setting in settings.differing(live, inputs):
            update = setting.update(setting.want(inputs))
            self._update(inputs, update, f"cluster {inputs['name']}: {setting.key}", emit)
            changed = True
        if not versions.satisfied(inputs["version"], live["version"]):
            self._upgrade(live["version"], inputs, emit)
            changed = True
        if not changed:
            return live
        now = _get(self._google, place_of(inputs), inputs["name"])
        return live if now is None else settings.outputs(inputs, now)

    def _label(self, inputs: Inputs, emit: Emit) -> None:
        place, name = place_of(inputs), inputs["name"]

        def start() -> Any:
            live = _get(self._google, place, name)
            return self._google.container(
                "container.projects.locations.clusters.setResourceLabels",
                name=f"{place.parent}/clusters/{name}",
                resource_labels={**(live.resource_labels if live else {}), **naming.labels(name)},
                label_fingerprint=live.label_fingerprint if live else "",
            )

        operations.change(self._google, place, name, start, what=f"cluster {name}: labels", emit=emit)

    def _upgrade(self, live: str, inputs: Inputs, emit: Emit) -> None:
        """One minor at a time, and nodes in between where they would fall too far behind."""
        place, name = place_of(inputs), inputs["name"]
        available = versions.offered(self._google, place)
        for minor in versions.minors_between(live, inputs["version"]):
            last = minor == versions.minor(inputs["version"])
            target = versions.choose(inputs["version"] if last else minor, available, place.region)
            pools.catch_up(self._google, place, name, target, _MOST_SKEW, emit)
            what = f"cluster {name}: Kubernetes {target}"
            self._update(inputs, {"desired_master_version": target}, what, emit, UPGRADE)

    def _update(self, inputs: Inputs, update: dict[str, Any], what: str, emit: Emit, usual: str = "") -> None:
        place, name = place_of(inputs), inputs["name"]

        def start() -> Any:
            return self._google.container(
                "container.projects.locations.clusters.update", name=f"{place.parent}/clusters/{name}", update=update
            )

        operations.change(self._google, place, name, start, what=what, emit=emit, usual=usual)

    def _poll(self, check: Any, what: str, emit: Emit, usual: str = "", timeout: float = HOUR) -> Any:
        pace = self._google.pace
        return poll(check, what=what, timeout=timeout, emit=emit, usual=usual, interval=pace.poll, sleep=pace.sleep)


def find(google: Google, place: Place, name: str) -> Any | None:
    """The live cluster (container_v1.Cluster), whoever made it."""
    return _get(google, place, name)


def state(live: Any) -> ClusterState:
    healthy = word(live.status) in ("RUNNING", "RECONCILING")
    detail = "" if healthy else f"{word(live.status)}: {_reason(live)}"
    return ClusterState(live.name, healthy, detail, live.current_master_version, live.id)


def is_ours(live: Any) -> bool:
    return live.resource_labels.get(naming.LABEL) == naming.stack(live.name)


def _get(google: Google, place: Place, name: str) -> Any | None:
    try:
        return google.container("container.projects.locations.clusters.get", name=f"{place.parent}/clusters/{name}")
    except Refused as refusal:
        if refusal.status == 404:
            return None
        raise


def _refuse_immovable(live: Outputs, new: Inputs) -> None:
    ownership.stays(live, new)
    for key, words in (("mode", "mode (cluster.nodes and cluster.pools decide it)"), ("network", "network")):
        if live.get(key) and live[key] != new[key]:
            raise ownership.immovable(new["name"], words, live[key], new[key])


def _reason(live: Any) -> str:
    return live.status_message or "; ".join(condition.message for condition in live.conditions) or "it says no reason"


def _plain(known: Outputs) -> Inputs:
    return {key: known.get(key) for key in ("name", "project", "region", "account", "firstPool")}


def _name(inputs: Inputs) -> list[Problem]:
    if naming.NAME.fullmatch(inputs["name"]):
        return []
    return [
        Problem(
            f"{inputs['name']!r} cannot be the name of a GKE cluster",
            path="cluster.name",
            expected="at most 40 lower-case letters, digits and dashes, beginning with a letter",
        )
    ]


def _region(inputs: Inputs) -> list[Problem]:
    region = zone_of(inputs["region"])
    if region is None:
        return []
    return [
        Problem(
            f"{inputs['region']} is a zone, and clusters are made in a region",
            path="cluster.region",
            expected=region,
        )
    ]


def _version(inputs: Inputs) -> list[Problem]:
    if not inputs["version"] or versions.WORDS.fullmatch(inputs["version"]):
        return []
    return [
        Problem(
            f"{inputs['version']!r} is no version of GKE",
            path="cluster.version",
            expected='"1.33" or "1.33.5-gke.1080000"',
        )
    ]


def _allow(inputs: Inputs) -> list[Problem]:
    def bad(block: str) -> bool:
        try:
            ipaddress.ip_network(block)
        except ValueError:
            return True
        return False

    return [
        Problem(f"{block!r} is no block of addresses", path="cluster.api.allow", expected="198.51.100.0/24, say")
        for block in inputs["allow"]
        if bad(block)
    ]
