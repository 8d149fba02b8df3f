"""Optional: how images, and files of a developer, come into a cluster's nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from portable.events import Emit

if TYPE_CHECKING:
    from pathlib import Path

    from portable.spec.model import Cluster


@runtime_checkable
class LocalImages(Protocol):
    """Optional: images found on the user's machine can be put into the cluster's nodes."""

    def find_images(self, images: Sequence[str]) -> Mapping[str, str]:
        """image -> content digest of those of `images` that are on this machine. Touches no cluster."""
        ...

    def load_images(self, cluster: Cluster, images: Sequence[str], emit: Emit) -> Mapping[str, str]:
        """Loads those of `images` that exist locally and that the nodes lack; returns image -> digest of those found."""
        ...


@runtime_checkable
class ImageArchives(Protocol):
    """Optional: image archives are loaded into the cluster's nodes: files as `docker save` writes them, and OCI layouts."""

    def held_images(self, cluster: Cluster, images: Sequence[str]) -> Mapping[str, str]:
        """image ("NAME:TAG") -> reference by digest to run it by, for those of `images` that every node has."""
        ...

    def load_archive(self, cluster: Cluster, archive: Path, image: str, emit: Emit) -> str:
        """Afterwards every node has the archive's one image as `image`; returns the reference that `held_images` then tells."""
        ...


@runtime_checkable
class LiveFiles(Protocol):
    """Optional: files are put into running containers from outside, whatever their user and their file system may do."""

    def write_files(self, cluster: Cluster, node: str, container: str, archive: bytes) -> None:
        """Unpacks the tar `archive` at the root of the container with the runtime's id `container` on the node `node`."""
        ...


@dataclass(frozen=True)
class RegistryLogin:
    """What a registry at `server` (a host, perhaps with a port) takes as user name and password."""

    server: str
    username: str
    password: str = field(repr=False)


@runtime_checkable
class Registry(Protocol):
    """Optional: the cloud has an image registry, from which this cluster's nodes pull without further credentials.

    What is pushed there is named by its content and never overwritten. All calls may block and raise ProviderError.
    """

    def ensure_repository(self, cluster: Cluster, name: str, emit: Emit) -> str:
        """The full name ("HOST/PATH") of the repository of `name` ("shop/web-main"), which is there afterwards; the cluster's
        nodes may pull from it."""
        ...

    def registry_login(self, cluster: Cluster) -> RegistryLogin:
        """A login that may push to and pull from this cluster's repositories, good for some minutes at least."""
        ...

    def owns_image(self, cluster: Cluster, image: str) -> bool:
        """Whether `image` lies in a registry that is private to this account, so that clusters elsewhere cannot pull it."""
        ...
