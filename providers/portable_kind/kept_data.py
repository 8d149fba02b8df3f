"""Data of volumes that outlives apps and clusters: folders NAMESPACE/CLAIM on the host, owned by whoever wrote into them."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from portable.errors import PortableError, ProviderError
from portable.events import Emit, Step
from portable_kind import docker, folders, lifecycle, node_images

STEP = "data"


def kept(cluster_name: str, namespace: str) -> tuple[str, ...]:
    """ "NAMESPACE/CLAIM" of every volume with data in the namespace; of all namespaces where `namespace` is ""."""
    folder = folders.volumes(cluster_name)
    try:
        namespaces = [namespace] if namespace else sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
        return tuple(
            f"{name}/{claim.name}"
            for name in namespaces
            if (folder / name).is_dir()
            for claim in sorted((folder / name).iterdir())
        )
    except FileNotFoundError:
        return ()


def delete(cluster_name: str, namespace: str, emit: Emit) -> None:
    """Deletes that data for good, with the released PersistentVolumes that still point to it.

    Raises ProviderError where the folders cannot be removed.
    """
    found = kept(cluster_name, namespace)
    if not found:
        return
    began = time.monotonic()
    emit(Step(STEP, "started", title="Deleting kept data", detail=", ".join(found)))
    _delete_volumes(cluster_name, namespace)
    folder = folders.volumes(cluster_name)
    for name in sorted({claim.partition("/")[0] for claim in found}):
        _delete_folder(cluster_name, folder, name)
    emit(Step(STEP, "done", detail=", ".join(found), seconds=time.monotonic() - began))


def _delete_volumes(cluster_name: str, namespace: str) -> None:
    """A cluster that is gone or stopped has nothing to tell; its volumes' objects went with it or are harmless."""
    try:
        with lifecycle.ask(cluster_name) as kube:
            for volume in kube.list("v1", "PersistentVolume"):
                claim = volume["spec"].get("claimRef") or {}
                released = volume.get("status", {}).get("phase") in ("Released", "Failed")
                if released and (not namespace or claim.get("namespace") == namespace):
                    kube.delete("v1", "PersistentVolume", volume["metadata"]["name"])
    except PortableError:
        return


def _delete_folder(cluster_name: str, volumes: Path, namespace: str) -> None:
    """Directly where we may; else as root in a container: the files belong to the users that the pods ran as."""
    target = volumes / namespace
    if target.is_symlink() or target.resolve().parent != volumes.resolve():
        raise ProviderError(f"{target} is not a folder of volumes", fix="remove it yourself")
    if os.geteuid() == 0:
        shutil.rmtree(target)
        return
    inside = f"{docker.VOLUMES_IN_NODE}/{namespace}"
    running = next((node for node in docker.nodes(cluster_name) if node.running), None)
    if running is not None:
        docker.execute(running.name, "rm", "-rf", "--", inside, timeout=600)
    else:
        image = node_images.choose("", node_images.available())
        mount = f"--volume={volumes}:{docker.VOLUMES_IN_NODE}"
        docker.run("run", "--rm", mount, "--entrypoint=rm", image, "-rf", "--", inside, timeout=600)
    if target.exists():
        raise ProviderError(f"the data in {target} could not be deleted", fix=f"`sudo rm -rf {target}`")
