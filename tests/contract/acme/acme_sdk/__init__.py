"""Acme Cloud and its SDK in one: a folder, `$ACME_CLOUD`. What is made there takes its time, has tags, and can be refused.

Not a mock of any cloud: the thing itself, just small. `api.json` {server, ca, token} says what API server its clusters have,
`slow` how often a cluster has to be asked until it is made.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

VERSIONS = ("1.34", "1.35", "1.36")
ASKED_UNTIL_READY = 2

Kind = Literal["networks", "clusters", "disks", "bindings"]


class AcmeError(Exception):
    """`code`: NotFound, Exists, InUse, Denied, Invalid, NoAccount."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Client:
    def __init__(self) -> None:
        try:
            self._root = Path(os.environ["ACME_CLOUD"])
        except KeyError:
            raise AcmeError("NoAccount", "ACME_CLOUD is not set") from None

    def create(self, kind: Kind, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if self._path(kind, name).exists():
            raise AcmeError("Exists", f"{kind} {name} exists")
        if kind == "clusters":
            _check_version(str(body["version"]))
            self.get("networks", str(body["network"]))
        slow = self._root / "slow"
        waits = (int(slow.read_text()) if slow.exists() else ASKED_UNTIL_READY) if kind == "clusters" else 0
        return self._write(kind, name, {**body, "name": name, "uid": uuid.uuid4().hex, "waits": waits})

    def get(self, kind: Kind, name: str) -> dict[str, Any]:
        """As `status` says. A cluster is CREATING or UPDATING for the first times that it is asked."""
        try:
            found = json.loads(self._path(kind, name).read_text())
        except FileNotFoundError:
            raise AcmeError("NotFound", f"there is no {name} in {kind}") from None
        waits = found["waits"]
        if waits:
            self._write(kind, name, {**found, "waits": waits - 1})
        return {**found, "status": found.get("doing", "CREATING") if waits else "READY"}

    def update(self, kind: Kind, name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        found = self.get(kind, name)
        if "version" in changes:
            _check_version(str(changes["version"]))
            if abs(VERSIONS.index(str(changes["version"])) - VERSIONS.index(found["version"])) > 1:
                raise AcmeError("Invalid", "one minor version at a time")
        return self._write(kind, name, {**found, **changes, "doing": "UPDATING", "waits": 1})

    def delete(self, kind: Kind, name: str) -> None:
        self.get(kind, name)
        if kind == "networks" and any(cluster["network"] == name for cluster in self.list("clusters")):
            raise AcmeError("InUse", f"network {name} has a cluster")
        self._path(kind, name).unlink()

    def list(self, kind: Kind) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted((self._root / kind).glob("*.json"))]

    def api(self, cluster: str = "") -> dict[str, str]:
        """{"server": URL, "ca": base64 of the PEM} of the API server that every cluster here has, or this one alone."""
        return {key: value for key, value in self._api(cluster).items() if key != "token"}

    def sign_in(self, cluster: str = "") -> tuple[str, float]:
        """A token for that API server, and when it ends."""
        return self._api(cluster)["token"], time.time() + 900

    def may(self) -> list[str]:
        """What this account may do: a line each in `permissions`; everything where there is no such file."""
        path = self._root / "permissions"
        return path.read_text().split() if path.exists() else ["*"]

    def _api(self, cluster: str) -> dict[str, str]:
        own = self._root / f"api-{cluster}.json"
        return json.loads((own if own.exists() else self._root / "api.json").read_text())

    def _path(self, kind: Kind, name: str) -> Path:
        return self._root / kind / f"{name}.json"

    def _write(self, kind: Kind, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
        if not {"*", kind} & set(self.may()):
            raise AcmeError("Denied", f"{kind}.write is not allowed")
        path = self._path(kind, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{uuid.uuid4().hex}")
        beside.write_text(json.dumps(dict(body)))
        beside.replace(path)
        return dict(body)


def _check_version(version: str) -> None:
    if version not in VERSIONS:
        raise AcmeError("Invalid", f"Kubernetes {version} is not offered: {', '.join(VERSIONS)}")
