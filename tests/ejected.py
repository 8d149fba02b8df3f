"""The ejected Pulumi program, run by the real Pulumi CLI: it uses the official SDK, our own provider serves its types.

With the official plugin it is not run: that cannot be had without a download, and as a Go module its registry refuses it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portable.engine import Engine
from portable.engine.kubernetes import KubernetesObject
from portable.home import Home
from portable.kube import Kube


def preview(engine: Engine, home: Home, kube: Kube, source: str) -> dict[str, str]:
    """name -> what Pulumi would do, as `pulumi preview` in the program's folder would say."""

    def inline() -> Callable[[], None]:
        code = compile(source, "__main__.py", "exec")
        return lambda: exec(code, {"__name__": "__main__"})  # noqa: S102

    outcome = engine.stacks.run(
        "preview", home.app_stack, "app",
        program=inline, types={"kubernetes:*": KubernetesObject(kube)}, served=("kubernetes",),
    )  # fmt: skip
    return {name: operation for operation, _, name in outcome.steps}


def take_over(engine: Engine, home: Home, folder: Path) -> None:
    """As the README says: the stack's document through take_over.py and back."""
    backend: Any = engine.stacks._backend
    document = {"version": 3, "deployment": backend.read(home.app_stack)}
    done = subprocess.run(
        [sys.executable, folder / "take_over.py"],
        input=json.dumps(document),
        capture_output=True,
        text=True,
        check=True,
    )
    left = json.loads(done.stdout)["deployment"]
    assert not [each for each in left["resources"] if each["type"].startswith("portable:")]
    backend.write(home.app_stack, left)
