"""portable:azure:ManagedCluster: an AKS cluster.

inputs   name, group, location, subscription, owner (value of the stack tag), automatic (AKS Automatic, else Standard with a
         small system pool), version ("": the default at creation, and no change afterwards), allow (CIDR blocks, sorted)
outputs  these and id, uid, version (running), lowest (of control plane and node pools), state, power, fqdn, issuer,
         principal (object id of its identity), nodeGroup, settings (path -> live value)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from portable.errors import Problem, ProviderError
from portable.events import Emit, Step
from portable.provider import Diff, Inputs, Outputs
from portable_azure import body, names, operations, pools, scope, settings, versions
from portable_azure.failures import told
from portable_azure.session import Session

CREATES = "4-8 min"
UPGRADES = "10-20 min for each minor version"
# Somebody else may change the cluster between our look and our write.
_ATTEMPTS = 5


class ManagedCluster:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, session: Session) -> None:
        self._session = session

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return [
            Problem(f"{entry!r} is no block of addresses", path="cluster.api.allow", expected="such as 203.0.113.0/24")
            for entry in inputs.get("allow") or ()
            if not body.block(entry)
        ]

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        """Raises ProviderError for what would need another cluster: its place, its mode, an older version."""
        scope.stay(outputs, new)
        _stay_in_mode(outputs, new)
        if versions.older(outputs["version"], new["version"]):
            with told(f"looking for Kubernetes {new['version']}"):
                versions.choose(self._session, new["location"], new["version"])  # else a plan would promise it
        changes = [
            *settings.differing(outputs.get("settings", {}), body.cluster_settings(new)),
            *(["version"] if versions.steps(str(outputs.get("lowest", "")), new["version"]) else []),
            *(["state"] if outputs.get("state") != "Succeeded" else []),
            *(["power"] if outputs.get("power") not in ("", "Running") else []),
        ]
        return Diff(changes=tuple(changes))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        """Goes on with a cluster of ours that is there, being made or failed half-way."""
        with told(f"creating the cluster {inputs['name']}"):
            for _ in range(_ATTEMPTS):
                live = self._settled(inputs, emit) or self._made(inputs, emit)
                if live is not None:
                    scope.refuse_foreign(live, inputs["owner"], f"a cluster {inputs['name']}")
                    live = self._as_wanted(live, inputs, emit)
                    return live["id"], _outputs(inputs, live)
        raise _restless(inputs["name"])

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        scope.at_home(self._session.subscription, outputs)
        with told(f"looking at the cluster {outputs['name']}"):
            live = self._live(outputs)
        return None if live is None else _outputs(inputs or outputs, live)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        with told(f"changing the cluster {new['name']}"):
            live = self._settled(new, emit)
            if live is None:
                raise ProviderError(f"the cluster {new['name']} is gone", fix="run the same command again")
            return _outputs(new, self._as_wanted(live, new, emit))

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        scope.at_home(self._session.subscription, outputs)
        group, name = outputs["group"], outputs["name"]
        clusters = self._session.containers.managed_clusters
        with told(f"deleting the cluster {name}"):
            live = self._live(outputs)
            if live is None:
                return
            scope.refuse_foreign(live, outputs["owner"], f"a cluster {name}")
            try:
                operations.finish(
                    self._session,
                    lambda **resumed: clusters.begin_delete(group, name, **resumed),
                    what=f"deleting the cluster {name}",
                    emit=emit,
                    usual="3-6 min",
                )
            except ResourceNotFoundError:
                return

    # -- steps -----------------------------------------------------------------------------------------------------

    def _live(self, inputs: Inputs) -> dict[str, Any] | None:
        return live_cluster(self._session, inputs["group"], inputs["name"])

    def _settled(self, inputs: Inputs, emit: Emit) -> dict[str, Any] | None:
        what = f"cluster {inputs['name']}"
        return operations.settled(self._session, lambda: self._live(inputs), what=what, emit=emit, usual=CREATES)

    def _made(self, inputs: Inputs, emit: Emit) -> dict[str, Any] | None:
        """None where somebody, perhaps our own lost request, has made it meanwhile."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError

        version = versions.choose(self._session, inputs["location"], inputs["version"])
        emit(
            Step(
                "cluster",
                "progress",
                detail=f"creating the cluster {inputs['name']}, Kubernetes {version} (usually {CREATES})",
            )
        )
        try:
            return self._put(inputs, body.cluster(inputs, version), emit, match_condition=MatchConditions.IfMissing)
        except ResourceExistsError as error:
            if error.status_code == 412:
                return None
            raise

    def _as_wanted(self, live: dict[str, Any], inputs: Inputs, emit: Emit) -> dict[str, Any]:
        _stay_in_mode({"automatic": _automatic(live)}, inputs)
        live = self._running(live, inputs, emit)
        live = self._with_settings(live, inputs, emit)
        for version in versions.steps(versions.lowest(live), inputs["version"]):
            live = self._upgraded(live, inputs, version, emit)
        return live

    def _running(self, live: dict[str, Any], inputs: Inputs, emit: Emit) -> dict[str, Any]:
        if _power(live) in ("", "Running"):
            return live
        begin = self._session.containers.managed_clusters.begin_start
        operations.finish(
            self._session,
            lambda **resumed: begin(inputs["group"], inputs["name"], **resumed),
            what=f"starting the cluster {inputs['name']}",
            emit=emit,
            usual="3-5 min",
        )
        return self._live(inputs) or live

    def _with_settings(self, live: dict[str, Any], inputs: Inputs, emit: Emit) -> dict[str, Any]:
        wanted = body.cluster_settings(inputs)

        def needed(found: dict[str, Any]) -> bool:
            return bool(settings.differing(_observed(found, wanted), wanted)) or _state(found) != "Succeeded"

        return self._changed(live, inputs, wanted, needed, emit)

    def _upgraded(self, live: dict[str, Any], inputs: Inputs, version: str, emit: Emit) -> dict[str, Any]:
        """The control plane, then each of its pools: a pool may be older than the control plane, never newer."""
        emit(Step("cluster", "progress", detail=f"upgrading to Kubernetes {version} (usually {UPGRADES})"))

        def needed(found: dict[str, Any]) -> bool:
            return versions.older(versions.running(found["properties"]), version)

        live = self._changed(live, inputs, {"properties/kubernetesVersion": version}, needed, emit)
        for pool in [] if inputs["automatic"] else versions.pools(live):
            pools.upgrade_pool(self._session, inputs["group"], inputs["name"], pool["name"], version, emit)
        return self._live(inputs) or live

    def _changed(
        self,
        live: dict[str, Any],
        inputs: Inputs,
        wanted: dict[str, Any],
        needed: Callable[[dict[str, Any]], bool],
        emit: Emit,
    ) -> dict[str, Any]:
        """The whole object is written back with `wanted` in it, unless it changed since it was read: then anew."""
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceModifiedError

        for _ in range(_ATTEMPTS):
            if not needed(live):
                return live
            tag = (live.get("eTag") or "").strip('"')
            guard = {"etag": tag, "match_condition": MatchConditions.IfNotModified} if tag else {}
            try:
                return self._put(inputs, settings.write(writable(live), wanted), emit, **guard)
            except ResourceModifiedError:
                found = self._settled(inputs, emit)
                if found is None:
                    break
                live = found
        raise _restless(inputs["name"])

    def _put(self, inputs: Inputs, parameters: dict[str, Any], emit: Emit, **guard: Any) -> dict[str, Any]:
        begin = self._session.containers.managed_clusters.begin_create_or_update
        operations.finish(
            self._session,
            lambda **resumed: begin(inputs["group"], inputs["name"], parameters, **guard, **resumed),  # pyright: ignore
            what=f"cluster {inputs['name']}",
            emit=emit,
            usual=CREATES,
        )
        found = self._live(inputs)
        if found is None:
            raise ProviderError(f"the cluster {inputs['name']} is gone", fix="run the same command again")
        return found


def live_cluster(session: Session, group: str, name: str) -> dict[str, Any] | None:
    """The cluster as Azure describes it, or None. Raises the SDK's errors."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return session.containers.managed_clusters.get(group, name).as_dict()
    except ResourceNotFoundError:
        return None


def writable(live: dict[str, Any]) -> dict[str, Any]:
    """A description without what only Azure writes."""
    from azure.mgmt.containerservice.models import ManagedCluster as Model

    return Model(live).as_dict(exclude_readonly=True)


def _outputs(inputs: Inputs, live: dict[str, Any]) -> Outputs:
    properties = live["properties"]
    wanted = body.cluster_settings(inputs)
    return {
        **{key: inputs[key] for key in ("name", "group", "subscription", "owner")},
        "allow": list(inputs.get("allow") or ()),
        "automatic": _automatic(live),
        "location": names.location(live["location"]),
        "id": live["id"],
        "uid": properties.get("resourceUID", ""),
        "version": versions.running(properties),
        "lowest": versions.lowest(live),
        "state": _state(live),
        "power": _power(live),
        "fqdn": properties.get("fqdn", ""),
        "issuer": (properties.get("oidcIssuerProfile") or {}).get("issuerURL", ""),
        "principal": (live.get("identity") or {}).get("principalId", ""),
        "nodeGroup": properties.get("nodeResourceGroup", ""),
        "settings": _observed(live, wanted),
    }


def _observed(live: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    path = body.ALLOWED
    return {**settings.observe(live, wanted), path: body.ranges(settings.read(live, path) or ())}


def _stay_in_mode(outputs: Outputs, new: Inputs) -> None:
    if "automatic" in outputs and outputs["automatic"] != new["automatic"]:
        was = "AKS chooses the nodes" if outputs["automatic"] else "it has node pools"
        raise ProviderError(
            f"the cluster {new['name']} was made so that {was}, and that cannot be changed",
            fix="make another cluster under another name and `portable migrate`, or put cluster.nodes and cluster.pools back",
        )


def _automatic(live: dict[str, Any]) -> bool:
    return (live.get("sku") or {}).get("name") == "Automatic"


def _state(live: dict[str, Any]) -> str:
    return str(live["properties"].get("provisioningState") or "")


def _power(live: dict[str, Any]) -> str:
    return str((live["properties"].get("powerState") or {}).get("code") or "")


def _restless(name: str) -> ProviderError:
    return ProviderError(f"the cluster {name} is being changed by somebody else all the time", fix="try again later")
