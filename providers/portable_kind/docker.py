"""The Docker command line, for what kind itself leaves to it: containers, images, files in nodes.

The client is used, not the socket: contexts, DOCKER_HOST and credential helpers then work as the user set them up.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from portable.errors import ProviderError, ToolError
from portable_kind.node_image import REPOSITORY

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
ROLE_LABEL = "io.x-k8s.kind.role"
VOLUMES_IN_NODE = "/var/portable/volumes"
ENGINE_FIX = "run `portable doctor --fix --cloud kind`"


@dataclass(frozen=True)
class Node:
    """A kind node's container. `ports` maps a TCP port in the node to the host port that is bound to it.

    `image` is what the container was made from, `self_built` whether that is our own node image, `volumes` the host
    folder that is mounted at VOLUMES_IN_NODE ("" in a cluster that portable did not make).
    """

    container: str
    name: str
    role: str
    image: str
    running: bool
    ports: Mapping[int, int]
    volumes: str
    self_built: bool


def client() -> str:
    """Path of the `docker` client. Raises ToolError where there is none."""
    found = shutil.which("docker")
    if found is None:
        raise ToolError("no `docker` command is installed", fix=ENGINE_FIX)
    return found


def run(*arguments: str, stdin: bytes | None = None, timeout: float = 60.0) -> str:
    """Standard output of `docker ARGUMENTS`. Raises ProviderError with the client's last lines, ToolError without a client."""
    command = [client(), *arguments]
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise ProviderError(
            f"`docker {arguments[0]}` did not end within {timeout:.0f} s",
            fix="see whether the Docker engine still answers",
        ) from error
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        raise ProviderError(
            f"`docker {arguments[0]}` failed", detail="\n".join(words.splitlines()[-8:]), fix=_fix_for(words)
        )
    return done.stdout.decode(errors="replace")


def _fix_for(words: str) -> str:
    if "permission denied" in words.lower() and "socket" in words.lower():
        return "let your user use Docker: `sudo usermod -aG docker $USER`, then log in again"
    if "Cannot connect to the Docker daemon" in words:
        return f"start Docker, or {ENGINE_FIX}"
    return ""


def nodes(cluster_name: str) -> tuple[Node, ...]:
    """The node containers of a kind cluster, stopped ones too; control-plane first. Empty: there is no such cluster."""
    found = [node_from(entry) for entry in _containers(cluster_name)]
    return tuple(
        sorted((node for node in found if node.role), key=lambda node: (node.role != "control-plane", node.name))
    )


def _containers(cluster_name: str) -> Sequence[Mapping[str, Any]]:
    wanted = f"label={CLUSTER_LABEL}={cluster_name}"
    ids: list[str] = []
    for _ in range(20):
        ids = run("ps", "--all", "--quiet", "--no-trunc", "--filter", wanted).split()
        if not ids:
            return ()
        try:
            return json.loads(run("inspect", "--type", "container", *ids))
        except ProviderError as error:
            # One that is being made or removed right now is listed and cannot be inspected.
            if "No such container" not in error.detail:
                raise
            time.sleep(0.25)
    raise ProviderError(
        f"Docker lists containers of the cluster {cluster_name} that it cannot show",
        detail=", ".join(ids),
        fix="`docker rm --force` them, then run the command again",
    )


def node_from(entry: Mapping[str, Any]) -> Node:
    """A Node from one entry of `docker inspect`."""
    config, state = entry["Config"], entry["State"]
    bindings = entry["HostConfig"].get("PortBindings") or {}
    return Node(
        container=entry["Id"],
        name=entry["Name"].lstrip("/"),
        role=config["Labels"].get(ROLE_LABEL, ""),
        image=config["Image"],
        running=bool(state["Running"]),
        ports={
            int(inside.removesuffix("/tcp")): int(bound[0]["HostPort"])
            for inside, bound in bindings.items()
            if inside.endswith("/tcp") and bound and bound[0].get("HostPort", "").isdigit()
        },
        volumes=next((m["Source"] for m in entry.get("Mounts") or () if m["Destination"] == VOLUMES_IN_NODE), ""),
        self_built=is_self_built(config["Image"]),
    )


def is_self_built(image: str) -> bool:
    """Whether a node image is the one that portable builds."""
    return image.startswith(REPOSITORY + ":")


def execute(node: str, *command: str, stdin: bytes | None = None, timeout: float = 60.0) -> str:
    """Standard output of a command in a node."""
    interactive = ("--interactive",) if stdin is not None else ()
    return run("exec", *interactive, node, *command, stdin=stdin, timeout=timeout)


def image_ids(images: Sequence[str]) -> dict[str, str]:
    """image -> Docker's image id ("sha256:..."), for those of `images` that Docker has."""
    if not images:
        return {}
    # One call for all: names that are missing make it fail, with what was found on standard output all the same.
    command = [client(), "image", "inspect", "--format", "{{.Id}}", *images]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    ids = done.stdout.split()
    if len(ids) == len(images):
        return dict(zip(images, ids, strict=True))
    if "No such image" not in done.stderr:
        raise ProviderError(
            "`docker image inspect` failed", detail=done.stderr.strip()[-800:], fix=_fix_for(done.stderr)
        )
    missing = [image for image in images if f"No such image: {image}" in done.stderr]
    return image_ids([image for image in images if image not in missing]) if missing else {}


def image_label(image: str, label: str) -> str:
    """The value of a label of an image that Docker has; "" without it."""
    labels = json.loads(run("image", "inspect", "--format", "{{json .Config.Labels}}", image)) or {}
    return str(labels.get(label, ""))
