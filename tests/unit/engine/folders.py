"""A small cloud that is real: folders on this machine. Its resource types follow the plugin protocol."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from portable.errors import Problem, ProviderError
from portable.events import Emit, Step
from portable.provider import Diff, Inputs, Outputs


class Folder:
    """A folder `name` under `root`. Like a real cluster it is made in two steps, and the second may fail.

    `says`: what it tells of its progress; `together`: those who create wait for each other there.
    """

    secret_outputs: tuple[str, ...] = ("token",)

    def __init__(self, root: Path) -> None:
        self.root = root
        self.broken = False
        self.calls: list[str] = []
        self.says = ""
        self.together: threading.Barrier | None = None

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return [] if inputs.get("name") else [Problem("a folder needs a name", path="name")]

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        changed = tuple(key for key in {**old, **new} if outputs.get(key) != new.get(key))
        return Diff(changed, ("name",) if "name" in changed else ())

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        self.calls.append("create")
        path = self.root / inputs["name"]
        path.mkdir(parents=True, exist_ok=True)
        if self.says:
            emit(Step("cluster", "progress", detail=self.says))
        if self.together is not None:
            self.together.wait()
        if self.broken:
            raise ProviderError("the disk is full", fix="make room")
        (path / "content").write_text(json.dumps(inputs, sort_keys=True))
        made = {"path": str(path), "token": f"token-of-{inputs['name']}", "id": f"own-id-of-{inputs['name']}"}
        # only a cluster has an identity of its own
        identity = {"uid": str(path.stat().st_ino)} if inputs["name"] == "cluster" else {}
        return f"folder:{inputs['name']}", {**inputs, **made, **identity}

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        content = self.root / object_id.removeprefix("folder:") / "content"
        return {**outputs, **json.loads(content.read_text())} if content.exists() else None

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        self.calls.append("update")
        return self.create(new, emit)[1]

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        self.calls.append("delete")
        shutil.rmtree(self.root / object_id.removeprefix("folder:"), ignore_errors=True)
