"""A process of its own that applies or destroys, so that a test can kill it: `python -m tests.unit.engine.operate ...`.

Prints one line for each finished object. Arguments: up|destroy|gate, the CLI, the kubeconfig's file, the namespace.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from portable.engine import Engine, Settings
from portable.errors import PortableError
from portable.events import Event, ResourceEvent
from portable.home import Home
from portable.kube import Kube
from tests.unit.engine import world


def main(operation: str, cli: str, kubeconfig_file: str, space: str) -> int:
    kubeconfig = Path(kubeconfig_file).read_text()
    engine = Engine(Settings(pulumi=Path(cli), kubernetes_provider="builtin"), _print)
    home, kube = Home(space, None, "test", "plane"), Kube.connect(kubeconfig)
    try:
        if operation == "destroy":
            engine.app.destroy(home, kube, destroy_data=True)
        elif operation == "gate":
            engine.app.up(home, gated(space), kube, kubeconfig, _wait_for_ever, superseded="keep")
        else:
            engine.app.up(home, world.sixty(space), kube, kubeconfig, lambda *_: None, superseded="delete")
    except PortableError as error:
        print(type(error).__name__, error.message, flush=True)
        return error.exit_code
    return 0


def gated(space: str) -> world.Objects:
    web, db = world.deployment("web", space), world.deployment("db", space)
    return world.app(space, web, db, after={"web": {"db": "ready"}})


def _wait_for_ever(workload: str, condition: str) -> None:
    print("waiting", flush=True)
    time.sleep(3600)


def _print(event: Event) -> None:
    if isinstance(event, ResourceEvent) and event.status == "done":
        print(event.operation, event.name, flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
