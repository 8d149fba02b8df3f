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
    return tuple(claim for claim, _ in _claims(folders.volumes(cluster_name), namespace))


def _claims(volumes: Path, namespace: str) -> list[tuple[str, str]]:
    """("NAMESPACE/CLAIM", name of the folder right under `volumes` that holds it), sorted.

    Volumes of class `portable` lie in NAMESPACE/CLAIM, those of class `standard` in pvc-UID_NAMESPACE_CLAIM.
    """
    found: list[tuple[str, str]] = []
    for folder in volumes.iterdir() if volumes.is_dir() else ():
        if "_" in folder.name:  # no namespace's name has one
            owner, _, claim = folder.name.partition("_")[2].partition("_")
            found.append((f"{owner}/{claim}", folder.name))
        elif folder.is_dir():
            found += ((f"{folder.name}/{claim.name}", folder.name) for claim in folder.iterdir())
    return sorted(entry for entry in found if not namespace or entry[0].startswith(f"{namespace}/"))


def delete(cluster_name: str, namespace: str, emit: Emit) -> None:
    """Deletes that data for good, with the released PersistentVolumes that still point to it.

    Raises ProviderError where the folders cannot be removed.
    """
    volumes = folders.volumes(cluster_name)
    found = _claims(volumes, namespace)
    if not found:
        return
    began = time.monotonic()
    words = ", ".join(claim for claim, _ in found)
    emit(Step(STEP, "started", title="Deleting kept data", detail=words))
    _delete_volumes(cluster_name, namespace)
    for folder in dict.fromkeys(folder for _, folder in found):
        _delete_folder(cluster_name, volumes, folder)
    emit(Step(STEP, "done", detail=words, seconds=time.monotonic() - began))


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


def _delete_folder(cluster_name: str, volumes: Path, name: str) -> None:
    """Directly where we may; else as root in a container: the files belong to the users that the pods ran as."""
    target = volumes / name
    if target.is_symlink() or target.resolve().parent != volumes.resolve():
        raise ProviderError(f"{target} is not a folder of volumes", fix="remove it yourself")
    if os.geteuid() == 0:
        shutil.rmtree(target)
        return
    inside = f"{docker.VOLUMES_IN_NODE}/{name}"
    running = next((node for node in docker.nodes(cluster_name) if node.running), None)
    if running is not None:
        docker.execute(running.name, "rm", "-rf", "--", inside, timeout=600)
    else:
        image = node_images.choose("", node_images.available())
        mount = f"--volume={volumes}:{docker.VOLUMES_IN_NODE}"
        docker.run("run", "--rm", mount, "--entrypoint=rm", image, "-rf", "--", inside, timeout=600)
    if target.exists():
        raise ProviderError(f"the data in {target} could not be deleted", fix=f"`sudo rm -rf {target}`")
