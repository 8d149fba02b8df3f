"""A small cloud that is real: folders on this machine. Its resource types follow the plugin protocol."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from portable.errors import Problem, ProviderError
from portable.events import Emit
from portable.provider import Diff, Inputs, Outputs


class Folder:
    """A folder `name` under `root`. Like a real cluster it is made in two steps, and the second may fail."""

    secret_outputs: tuple[str, ...] = ("token",)

    def __init__(self, root: Path) -> None:
        self.root = root
        self.broken = False
        self.calls: list[str] = []

    def check(self, inputs: Inputs) -> Sequence[Problem]:
        return [] if inputs.get("name") else [Problem("a folder needs a name", path="name")]

    def diff(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs) -> Diff:
        changed = tuple(key for key in {**old, **new} if old.get(key) != new.get(key))
        return Diff(changed, ("name",) if "name" in changed else ())

    def create(self, inputs: Inputs, emit: Emit) -> tuple[str, Outputs]:
        self.calls.append("create")
        path = self.root / inputs["name"]
        path.mkdir(parents=True, exist_ok=True)
        if self.broken:
            raise ProviderError("the disk is full", fix="make room")
        (path / "content").write_text(json.dumps(inputs, sort_keys=True))
        return f"folder:{inputs['name']}", {**inputs, "path": str(path), "token": f"token-of-{inputs['name']}"}

    def read(self, object_id: str, inputs: Inputs, outputs: Outputs) -> Outputs | None:
        return outputs if (self.root / object_id.removeprefix("folder:")).exists() else None

    def update(self, object_id: str, outputs: Outputs, old: Inputs, new: Inputs, emit: Emit) -> Outputs:
        self.calls.append("update")
        return self.create(new, emit)[1]

    def delete(self, object_id: str, outputs: Outputs, emit: Emit) -> None:
        self.calls.append("delete")
        shutil.rmtree(self.root / object_id.removeprefix("folder:"), ignore_errors=True)
