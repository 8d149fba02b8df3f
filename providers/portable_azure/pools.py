"""portable:azure:AgentPool: a node pool of a cluster in Standard mode.

inputs   name, cluster, group, subscription, owner, vmSize, min, max (0: fixed at min), spot
outputs  these and id, version, settings (path -> live value)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from portable.errors import Problem, ProviderError
from portable.events import Emit
from portable.provider import Diff, Inputs, Outputs
from portable_azure import body, operations, scope, settings, versions
from portable_azure.failures import told
from portable_azure.session import Session

CREATES = "2-4 min"
_ATTEMPTS = 5
# https://learn.microsoft.com/azure/aks/create-node-pools#limitations
_NAME = re.compile(r"[a-z][a-z0-9]{0,11}")


class AgentPool:
    secret_outputs: tuple[str, ...] = ()

    def __init__(self, session: Session) -> None:
        self._session = session

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        path = "cluster.nodes" if inputs["name"] == "default" else f"cluster.pools.{inputs['name']}"
        found: list[Problem] = []
        if not _NAME.fullmatch(inputs["name"]):
            found.append(
                Problem(
                    f"{inputs['name']!r} cannot be the name of a node pool of AKS",
                    path=path,
                    expected="at most 12 lower-case letters and digits, beginning with a letter",
                )
            )
        if inputs["name"] == body.SYSTEM_POOL:
            found.append(
                Problem("the pool that runs AKS' own pods is called system", path=path, expected="another name")
            )
        if 0 < inputs["max"] < inputs["min"]:
            found.append(
                Problem("fewer nodes at most than at least", path=f"{path}.max", expected=f"{inputs['min']} or more")
            )
        return found

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        """Raises ProviderError for another machine type: its pods would have no place while the pool is replaced."""
        scope.stay(outputs, new)
        _stay_as_made(outputs, new)
        changed = settings.differing(outputs.get("settings", {}), body.pool_settings(new))
        return Diff(changes=(*changed, *(["state"] if outputs.get("state") != "Succeeded" else [])))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        from azure.core import MatchConditions
        from azure.core.exceptions import ResourceExistsError

        with told(f"creating the node pool {inputs['name']}"):
            for _ in range(_ATTEMPTS):
                live = self._settled(inputs, emit)
                try:
                    if live is None:
                        live = self._put(inputs, body.pool(inputs), emit, match_condition=MatchConditions.IfMissing)
                except ResourceExistsError as error:
                    if error.status_code == 412:
                        continue
                    raise
                live = self._as_wanted(live, inputs, emit)
                return live["id"], _outputs(inputs, live)
        raise _restless(inputs["name"])

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        scope.at_home(self._session.subscription, outputs)
        with told(f"looking at the node pool {outputs['name']}"):
            live = self._live(outputs)
        return None if live is None else _outputs(inputs or outputs, live)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        with told(f"changing the node pool {new['name']}"):
            live = self._settled(new, emit)
            if live is None:
                raise ProviderError(f"the node pool {new['name']} is gone", fix="run the same command again")
            return _outputs(new, self._as_wanted(live, new, emit))

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        scope.at_home(self._session.subscription, outputs)
        begin = self._session.containers.agent_pools.begin_delete
        group, cluster, name = outputs["group"], outputs["cluster"], outputs["name"]
        with told(f"deleting the node pool {name}"):
            if self._live(outputs) is None:
                return
            try:
                operations.finish(
                    self._session,
                    lambda **resumed: begin(group, cluster, name, **resumed),
                    what=f"draining and deleting the node pool {name}",
                    emit=emit,
                    usual="2-5 min",
                )
            except ResourceNotFoundError:
                return

    # -- steps -----------------------------------------------------------------------------------------------------

    def _live(self, inputs: Inputs) -> dict[str, Any] | None:
        return live_pool(self._session, inputs["group"], inputs["cluster"], inputs["name"])

    def _settled(self, inputs: Inputs, emit: Emit) -> dict[str, Any] | None:
        what = f"node pool {inputs['name']}"
        return operations.settled(self._session, lambda: self._live(inputs), what=what, emit=emit, usual=CREATES)

    def _as_wanted(self, live: dict[str, Any], inputs: Inputs, emit: Emit) -> dict[str, Any]:
        _stay_as_made(_outputs(inputs, live), inputs)
        wanted = body.pool_settings(inputs)
        if not settings.differing(settings.observe(live, wanted), wanted) and _state(live) == "Succeeded":
            return live
        return change(self._session, inputs["group"], inputs["cluster"], inputs["name"], wanted, emit)

    def _put(self, inputs: Inputs, parameters: dict[str, Any], emit: Emit, **guard: Any) -> dict[str, Any]:
        return _put(self._session, inputs["group"], inputs["cluster"], inputs["name"], parameters, emit, **guard)


def live_pool(session: Session, group: str, cluster: str, name: str) -> dict[str, Any] | None:
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return session.containers.agent_pools.get(group, cluster, name).as_dict()
    except ResourceNotFoundError:
        return None


def upgrade_pool(session: Session, group: str, cluster: str, name: str, version: str, emit: Emit) -> None:
    """Its nodes are replaced by such of `version`; nothing where they have it. Raises the SDK's errors."""
    live = live_pool(session, group, cluster, name)
    if live is not None and versions.older(_version(live), version):
        change(session, group, cluster, name, {"properties/orchestratorVersion": version}, emit)


def change(session: Session, group: str, cluster: str, name: str, wanted: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """The whole pool is written back with `wanted` in it, unless it changed since it was read: then anew."""
    from azure.core import MatchConditions
    from azure.core.exceptions import ResourceModifiedError
    from azure.mgmt.containerservice.models import AgentPool as Model

    for _ in range(_ATTEMPTS):
        live = operations.settled(
            session, lambda: live_pool(session, group, cluster, name), what=f"node pool {name}", emit=emit
        )
        if live is None:
            raise ProviderError(f"the node pool {name} is gone", fix="run the same command again")
        tag = str(live["properties"].get("eTag") or "").strip('"')
        guard = {"etag": tag, "match_condition": MatchConditions.IfNotModified} if tag else {}
        parameters = settings.write(Model(live).as_dict(exclude_readonly=True), wanted)
        try:
            return _put(session, group, cluster, name, parameters, emit, **guard)
        except ResourceModifiedError:
            continue
    raise _restless(name)


def _put(
    session: Session, group: str, cluster: str, name: str, parameters: dict[str, Any], emit: Emit, **guard: Any
) -> dict[str, Any]:
    begin = session.containers.agent_pools.begin_create_or_update
    made = operations.finish(
        session,
        lambda **resumed: begin(group, cluster, name, parameters, **guard, **resumed),  # pyright: ignore
        what=f"node pool {name}",
        emit=emit,
        usual=CREATES,
    )
    return made.as_dict()


def _stay_as_made(outputs: Outputs, new: Inputs) -> None:
    for key, words in (("vmSize", "cpu and memory"), ("spot", "spot")):
        if key in outputs and outputs[key] != new[key]:
            raise ProviderError(
                f"{words} of the node pool {new['name']} cannot change: its nodes are {outputs['vmSize']}"
                + (", spot" if outputs["spot"] else ""),
                fix="add a pool under another name, `portable up`, then take this one out: its pods move over",
            )


def _outputs(inputs: Inputs, live: dict[str, Any]) -> Outputs:
    properties = live["properties"]
    return {
        **{key: inputs[key] for key in ("name", "cluster", "group", "subscription", "owner", "min", "max")},
        "id": live["id"],
        "vmSize": properties.get("vmSize", ""),
        "spot": properties.get("scaleSetPriority") == "Spot",
        "version": _version(live),
        "state": _state(live),
        "settings": settings.observe(live, body.pool_settings(inputs)),
    }


def _version(live: dict[str, Any]) -> str:
    return str(
        live["properties"].get("currentOrchestratorVersion") or live["properties"].get("orchestratorVersion") or ""
    )


def _state(live: dict[str, Any]) -> str:
    return str(live["properties"].get("provisioningState") or "Succeeded")


def _restless(name: str) -> ProviderError:
    return ProviderError(f"the node pool {name} is being changed by somebody else all the time", fix="try again later")
