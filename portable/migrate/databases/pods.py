"""A database's objects and its pod on one side, and commands in it."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping, Sequence
from typing import Any

from portable.errors import ClusterError, UsageError
from portable.events import Emit
from portable.exec import Container, execute
from portable.kube import Kube
from portable.migrate.sides import FIELD_MANAGER, MIGRATION_LABEL, Side, Sides
from portable.polling import Pending, poll
from portable.provider import KubeObject
from portable.rollout.view import is_ready
from portable.spec.model import Database

READY_SECONDS = 300.0
_LOG_LINES = 10


def database(side: Side, name: str) -> Database:
    found = side.app.app.resources.get(name)
    if not isinstance(found, Database):
        raise UsageError(f"the app has no database {name!r}", fix="name a postgres or redis of `resources`")
    return found


def container(side: Side, name: str) -> dict[str, Any]:
    return stateful_set(side, name)["spec"]["template"]["spec"]["containers"][0]


def stateful_set(side: Side, name: str) -> KubeObject:
    return next(made for made in _compiled(side, name) if made["kind"] == "StatefulSet")


def _compiled(side: Side, name: str) -> list[KubeObject]:
    return [item.manifest for item in side.objects.items if item.workload == name]


def credentials(side: Side, name: str) -> Mapping[str, str]:
    """The values of the database's Secret. Raises ClusterError where it is not there yet."""
    live = side.kube.get("v1", "Secret", name, side.namespace)
    if live is None or "password" not in live.get("data", {}):
        raise ClusterError(
            f"the {side.role} has no password for the database {name}: the Secret {name} is missing in {side.namespace}",
            fix="prepare the target first: secrets are copied before databases",
        )
    return {key: base64.b64decode(value).decode() for key, value in live["data"].items()}


def labels(sides: Sides, name: str) -> dict[str, str]:
    """Of what is made for one database of a migration. Never the workload's own label, which would put it into its Service."""
    return {MIGRATION_LABEL: sides.migration, "portable.dev/database": name}


# Commands


def run(side: Side, name: str, command: Sequence[str], *, given: str = "", timeout: float = 60.0) -> str:
    """The standard output of `command` in the database's pod. Raises ClusterError with its last words where it fails."""
    at = Container(side.namespace, f"{name}-0", database(side, name).type)
    done = execute(side.kube, at, command, given=given, seconds=timeout)
    if done.code != 0:
        words = (done.errors or done.output).strip().splitlines()[-_LOG_LINES:]
        raise ClusterError(
            f"{command[0]} failed in {name}-0 on the {side.role} (exit code {done.code})", detail="\n".join(words)
        )
    return done.output


# Objects


def ensure(side: Side, name: str) -> None:
    """The database's objects as compiled, those that are missing; its StatefulSet without a pod. Its Secret must be there."""
    credentials(side, name)
    for manifest in _compiled(side, name):
        place = (manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"], side.namespace)
        if side.kube.get(*place) is None:
            side.kube.apply(_stopped(manifest) if manifest["kind"] == "StatefulSet" else manifest)


def _stopped(manifest: KubeObject) -> KubeObject:
    stopped = copy.deepcopy(manifest)
    stopped["spec"]["replicas"] = 0
    return stopped


def start(side: Side, name: str, emit: Emit) -> None:
    """One pod, ready."""
    scale(side, name, 1)
    wait_ready(side, name, emit)


def stop(side: Side, name: str, emit: Emit) -> None:
    """No pod, so that its volume can be mounted by another."""
    if side.kube.get("apps/v1", "StatefulSet", name, side.namespace) is not None:
        scale(side, name, 0)

    def check() -> bool | Pending:
        return side.kube.get("v1", "Pod", f"{name}-0", side.namespace) is None or Pending("its pod still ends")

    poll(check, what=f"stop of {name}", timeout=READY_SECONDS, emit=emit, step=name, interval=0.5)


def scale(side: Side, name: str, replicas: int) -> None:
    patch = {"spec": {"replicas": replicas}}
    side.kube.merge_patch("apps/v1", "StatefulSet", name, patch, side.namespace, field_manager=FIELD_MANAGER)


def wait_ready(side: Side, name: str, emit: Emit) -> None:
    def check() -> bool | Pending:
        pod = side.kube.get("v1", "Pod", f"{name}-0", side.namespace)
        if pod is None or "deletionTimestamp" in pod["metadata"]:
            return Pending("no pod yet")
        if is_ready(pod):
            return True
        _raise_if_broken(side.kube, pod)
        return Pending(pod.get("status", {}).get("phase", ""))

    poll(check, what=f"{name} on the {side.role}", timeout=READY_SECONDS, emit=emit, step=name, interval=0.5)


def is_running(side: Side, name: str) -> bool:
    pod = side.kube.get("v1", "Pod", f"{name}-0", side.namespace)
    return pod is not None and is_ready(pod) and "deletionTimestamp" not in pod["metadata"]


def _raise_if_broken(kube: Kube, pod: KubeObject) -> None:
    """After its third start it will not come up by itself: its last words are the cause."""
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    if statuses[0].get("restartCount", 0) < 3:
        return
    place = pod["metadata"]
    last = list(kube.logs(place["namespace"], place["name"], previous=True, tail=_LOG_LINES))
    raise ClusterError(f"{place['name']} does not start", detail="\n".join(last), fix="see its log: `portable logs`")
