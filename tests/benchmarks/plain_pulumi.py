"""`plain_pulumi.py up|destroy SPEC`: the app's stack by Pulumi's Automation API in its ordinary way.

The program and the in-process Kubernetes provider are portable's own, so what is compared is how the engine is driven.
$KUBECONFIG leads to the cluster; the state is kept beside it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
from pulumi import automation
from pulumi.runtime.proto.provider_pb2_grpc import add_ResourceProviderServicer_to_server

from portable.engine.host import Host
from portable.engine.kubernetes import KubernetesObject
from portable.events import nowhere
from portable.kube import Kube
from portable.target import Request, compile_target, open_target
from portable.tools import pulumi as pulumi_tool
from portable_stacks.app.program import program
from portable_stacks.app.resources import app_resources


@contextmanager
def provider(kubeconfig: str) -> Iterator[int]:
    """The built-in Kubernetes provider, served on a loopback port while the context lasts."""
    server = grpc.server(ThreadPoolExecutor(max_workers=32))
    host = Host({"kubernetes:*": KubernetesObject(Kube.connect(kubeconfig))}, nowhere)
    add_ResourceProviderServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(grace=None)


def main(verb: str, spec: Path) -> None:
    objects = compile_target(open_target(Request(file=spec, cloud="kind")))
    kubeconfig = Path(os.environ["KUBECONFIG"])
    backend = kubeconfig.parent / "plain-pulumi"
    backend.mkdir(exist_ok=True)
    cli = pulumi_tool.find()
    if cli is None:
        raise SystemExit("there is no Pulumi CLI: portable doctor --fix")
    os.environ["PATH"] = f"{cli.parent}{os.pathsep}{os.environ['PATH']}"
    with provider(kubeconfig.read_text()) as port:
        stack = automation.create_or_select_stack(
            "bench",
            project_name="plain",
            program=program(app_resources(objects), kubeconfig=kubeconfig.read_text(), cluster="bench"),
            opts=automation.LocalWorkspaceOptions(
                env_vars={
                    "PULUMI_BACKEND_URL": backend.as_uri(),
                    "PULUMI_CONFIG_PASSPHRASE": "benchmark",
                    "PULUMI_DEBUG_PROVIDERS": f"kubernetes:{port}",
                }
            ),
        )
        if verb == "up":
            stack.up()
        else:
            stack.destroy()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
