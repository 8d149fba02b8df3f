"""What a cluster on Acme is made of: a network and the cluster in it. Both carry the tag `portable:stack`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from acme_sdk import VERSIONS, AcmeError, Client

from portable.errors import Problem, ProviderError
from portable.events import Emit
from portable.polling import Pending, poll
from portable.provider import Diff, Inputs, Outputs
from portable_acme.account import acme, described

TAG = "portable:stack"


def ours(found: Mapping[str, Any]) -> bool:
    return found["tags"].get(TAG) == f"acme.{found['name']}"


def _adopted(client: Client, kind: Literal["networks", "clusters"], name: str) -> dict[str, Any] | None:
    """What an earlier, interrupted run has made. Raises ProviderError for what someone else has."""
    found = described(client, kind, name)
    if found is not None and not ours(found):
        raise ProviderError(
            f"{kind} {name} exists and was not made by portable",
            fix=f"use it as it is (`cluster: {{existing: {name}}}`), or choose another cluster.name",
        )
    return found


class NetworkType:
    """inputs: name; outputs: name."""

    secret_outputs: tuple[str, ...] = ()

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        return Diff(("name",), ("name",)) if old["name"] != new["name"] else Diff()

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        name = inputs["name"]
        with acme() as client:
            tags = {TAG: f"acme.{name}"}
            if _adopted(client, "networks", name) is None:
                client.create("networks", name, {"tags": tags})
        return name, {"name": name}

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        with acme() as client:
            found = described(client, "networks", object_id)
        return None if found is None else {"name": object_id}

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        return outputs

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        delete("networks", object_id)


class ClusterType:
    """inputs: name, network, version ("": the newest), pools {name: {min, max, ...}}; outputs: these as they are, and uid."""

    secret_outputs: tuple[str, ...] = ()

    def __init__(self, interval: float = 0.05) -> None:
        self._interval = interval

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        asked = inputs["version"]
        if asked and asked not in VERSIONS:
            known = ", ".join(VERSIONS)
            return [Problem(f"Acme offers no Kubernetes {asked}", path="cluster.version", expected=known)]
        return ()

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        """Against what the cloud has, so that a change behind our back is found. No version asked for: it stays as it is."""
        if old["name"] != new["name"] or new["network"] not in (None, old["network"]):
            raise ProviderError(
                "a cluster on Acme cannot be renamed or moved to another network",
                fix="make another under another name and `portable migrate`",
            )
        asked = new["version"]
        changed = ["version"] if asked and asked != outputs["version"] else []
        return Diff(tuple(changed + (["pools"] if new["pools"] != outputs["pools"] else [])))

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        name = inputs["name"]
        with acme() as client:
            if _adopted(client, "clusters", name) is None:
                body = {
                    "network": inputs["network"],
                    "version": inputs["version"] or VERSIONS[-1],
                    "pools": inputs["pools"],
                    "tags": {TAG: f"acme.{name}"},
                }
                client.create("clusters", name, body)
            return name, self._ready(client, name, emit)

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        with acme() as client:
            found = described(client, "clusters", object_id)
        return None if found is None else _outputs(found)

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        with acme() as client:
            found = self._ready(client, object_id, emit)
            for version in _steps(found["version"], new["version"]):
                client.update("clusters", object_id, {"version": version})
                found = self._ready(client, object_id, emit)
            if found["pools"] != new["pools"]:
                client.update("clusters", object_id, {"pools": new["pools"]})
                found = self._ready(client, object_id, emit)
        return found

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        delete("clusters", object_id)

    def _ready(self, client: Client, name: str, emit: Emit) -> Outputs:
        def check() -> Outputs | Pending:
            found = client.get("clusters", name)
            return _outputs(found) if found["status"] == "READY" else Pending(found["status"])

        return poll(
            check, what=f"cluster {name}", usual="a moment", timeout=60, emit=emit, interval=self._interval
        )  # fmt: skip


def _steps(live: str, asked: str) -> Sequence[str]:
    """Every minor version on the way. Raises ProviderError for one that lies behind."""
    if not asked or asked == live:
        return ()
    here, there = VERSIONS.index(live), VERSIONS.index(asked)
    if there < here:
        raise ProviderError(
            f"the cluster has Kubernetes {live}, which cannot go back to {asked}", fix=f"set cluster.version to {live}"
        )
    return VERSIONS[here + 1 : there + 1]


def _outputs(found: Mapping[str, Any]) -> Outputs:
    return {key: found[key] for key in ("name", "network", "version", "pools", "uid")}


def delete(kind: Literal["networks", "clusters"], name: str) -> None:
    """Fine where it is gone; what is not ours is not touched."""
    with acme() as client:
        found = described(client, kind, name)
        if found is None or not ours(found):
            return
        try:
            client.delete(kind, name)
        except AcmeError as error:
            if error.code != "NotFound":
                raise
