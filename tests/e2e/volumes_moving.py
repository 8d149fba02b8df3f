"""Two ends of a transfer without the rest of a migration: an app's namespaces and claims on real clusters, and what to fill them with."""

from __future__ import annotations

import errno
import os
import random
import shutil
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from portable.events import Emit, Event
from portable.kube import Kube
from portable.migrate.sides import Side, Sides
from portable.migrate.transfer import Transfer, VolumeCopy
from portable.target import Request, compile_target, open_target
from portable_kind import Kind, folders
from tests.e2e.conftest import HELLO

USER = 1000


@dataclass
class Moving:
    """`sources` and `targets`: claim -> its folder on this machine."""

    sides: Sides
    transfer: Transfer
    sources: dict[str, Path]
    targets: dict[str, Path]
    events: list[Event] = field(default_factory=list)

    def again(self, emit: Emit | None = None) -> Transfer:
        """As from another machine: nothing is remembered."""
        return Transfer(self.sides, tuple(self.transfer._volumes.values()), emit or self.events.append)


def spec(name: str, cluster: str, claims: Sequence[str], user: int | None) -> str:
    """An app of one stateful workload with all the volumes. It is never started: only its objects are applied."""
    mounts = {f"/data/{claim}": {"source": f"${{resources.{claim}}}"} for claim in claims}
    web = {
        "kind": "stateful",
        "containers": {"main": {"image": HELLO["containers"]["main"]["image"], "volumes": mounts}},
    }
    if user is not None:
        web["security"] = {"user": user}
    return yaml.safe_dump(
        {
            "apiVersion": "portable/v1",
            "kind": "App",
            "metadata": {"name": name},
            "cluster": {"name": cluster},
            "workloads": {"web": web},
            "resources": {claim: {"type": "volume", "size": "1Gi"} for claim in claims},
        },
        sort_keys=False,
    )


def side(role: str, name: str, cluster: str, claims: Sequence[str], folder: Path, user: int | None) -> Side:
    file = folder / f"{name}.yaml"
    file.write_text(spec(name, cluster, claims, user))
    app = open_target(Request(file=file, cloud="kind"))
    kube = Kube.reach(Kind().credentials(app.app.cluster))
    return Side("source" if role == "source" else "target", app, kube, compile_target(app))


@contextmanager
def moving(
    name: str,
    clusters: tuple[str, str],
    folder: Path,
    *,
    claims: Sequence[str] = ("files",),
    user: int | None = USER,
) -> Iterator[Moving]:
    """Both ends with their claims, which leave with their data afterwards."""
    source = side("source", f"{name}-a", clusters[0], claims, folder, user)
    target = side("target", f"{name}-b", clusters[1], claims, folder, user)
    events: list[Event] = []
    sides = Sides(name, source, target)
    names = {claim: f"{claim}-web-0" for claim in claims}
    copies = tuple(VolumeCopy(made, user, user or 1000, "web") for made in names.values())
    made = Moving(sides, Transfer(sides, copies, events.append), {}, {}, events)
    try:
        for each, found in ((source, made.sources), (target, made.targets)):
            for item in each.objects.items:
                if item.manifest["kind"] in ("Namespace", "PersistentVolumeClaim", "NetworkPolicy"):
                    each.kube.apply(item.manifest)
            home = folders.volumes(each.app.home.cluster) / each.namespace
            for claim in names.values():
                found[claim] = home / claim
                found[claim].mkdir(parents=True)
                # as a cloud's disk after the kubelet gave it to the pod's group
                os.chmod(found[claim], 0o777)
        yield made
    finally:
        made.transfer.close()
        for each in (source, target):
            each.kube.delete("v1", "Namespace", each.namespace)
            each.kube.wait_gone("v1", "Namespace", each.namespace, timeout=120)
            for volume in each.kube.list("v1", "PersistentVolume"):
                if (volume["spec"].get("claimRef") or {}).get("namespace") == each.namespace:
                    each.kube.delete("v1", "PersistentVolume", volume["metadata"]["name"])
            each.kube.close()
            shutil.rmtree(folders.volumes(each.app.home.cluster) / each.namespace, ignore_errors=True)


def fill_awkwardly(root: Path, *, owner: int = USER, others: bool = False) -> None:
    """Everything that copies get wrong. `others`: files of several users too, which only root can make again."""
    place = os.fsencode(root)

    def path(*names: bytes) -> bytes:
        return b"/".join((place, *names))

    os.makedirs(path(b"deep", b"er", b"est"))
    os.makedirs(path(b"empty folder"))
    for name in (
        b"plain",
        b"new\nline",
        b"not \xff\xfe UTF-8",
        b"-dash",
        b"deep/er/est/leaf",
        b" blank ",
        b"quote'\"\\",
    ):
        _write(path(name), name * 100)
    _write(path(b"nothing"), b"")
    os.link(path(b"plain"), path(b"deep", b"another name"))
    os.link(path(b"plain"), path(b"zz third name"))
    os.symlink(b"deep/er/est/leaf", path(b"link"))
    os.symlink(b"/nowhere/\xff", path(b"dangling"))
    os.symlink(b"..", path(b"deep", b"up"))
    os.mkfifo(path(b"fifo"))
    with socket.socket(socket.AF_UNIX) as listening:
        at = os.getcwd()
        os.chdir(place)
        try:
            listening.bind(b"socket")
        finally:
            os.chdir(at)
    with open(path(b"sparse"), "wb") as file:
        file.write(b"begin")
        file.seek(32 << 20)
        file.write(b"middle" * 1000)
        file.truncate(64 << 20)
    _write(path(b"attributes"), b"x")
    os.setxattr(path(b"attributes"), b"user.colour", b"gr\x00n")
    os.setxattr(path(b"deep"), b"user.note", b"a folder's")
    os.setxattr(
        path(b"attributes"),
        b"system.posix_acl_access",
        acl(((1, 6, -1), (2, 4, 4321), (4, 4, -1), (16, 6, -1), (32, 0, -1))),
    )
    os.setxattr(path(b"deep"), b"system.posix_acl_default", acl(((1, 7, -1), (4, 5, -1), (32, 0, -1))))
    for name, mode in ((b"private", 0o600), (b"program", 0o755), (b"readonly", 0o444), (b"setuid", 0o4750)):
        _write(path(name), name)
        os.chmod(path(name), mode)
    os.makedirs(path(b"closed"))
    _write(path(b"closed", b"in it"), b"x")
    os.makedirs(path(b"group"))
    for found, folders_, files in os.walk(place):
        for name in (*folders_, *files):
            os.chown(os.path.join(found, name), owner, owner, follow_symlinks=False)
    os.chmod(path(b"setuid"), 0o4750)  # which chown takes away
    os.chmod(path(b"group"), 0o2775)
    os.chmod(path(b"closed"), 0o500)
    if others:
        _write(path(b"of another"), b"x")
        os.chown(path(b"of another"), 4242, 4343)
        os.makedirs(path(b"private of another"))
        _write(path(b"private of another", b"x"), b"x")
        os.chown(path(b"private of another", b"x"), 4242, 4343)
        os.chown(path(b"private of another"), 4242, 4343)
        os.chmod(path(b"private of another"), 0o700)
        os.mknod(path(b"device"), 0o20600, os.makedev(1, 3))
    for number, name in enumerate((b"plain", b"deep/er", b"deep", b"link")):
        when = 1_500_000_000_123_456_789 + number
        os.utime(path(name), ns=(when, when), follow_symlinks=False)


def acl(entries: Sequence[tuple[int, int, int]]) -> bytes:
    """(tag, permissions, id) as the kernel keeps them: linux/posix_acl_xattr.h."""
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", tag, bits, number & 0xFFFFFFFF) for tag, bits, number in entries
    )


def fill(root: Path, files: int, size: int, *, owner: int = USER, seed: int = 1) -> None:
    """So many files of so many bytes each, a hundred to a folder. Nothing repeats: compression must not gain by it."""
    content = random.Random(seed)
    for number in range(files):
        folder = root / f"{number // 100:04}"
        if number % 100 == 0:
            folder.mkdir()
            os.chown(folder, owner, owner)
        file = folder / f"{number:06}"
        with file.open("wb") as out:
            for at in range(0, size, 1 << 20):
                out.write(content.randbytes(min(1 << 20, size - at)))
        os.chown(file, owner, owner)


def listing(root: Path) -> dict[bytes, tuple[object, ...]]:
    """What Python sees of a volume, with no help of what is tested: name -> type, modes, owners, times, links, attributes, content."""
    place = os.fsencode(root)
    links: dict[tuple[int, int], list[bytes]] = {}
    found: dict[bytes, tuple[object, ...]] = {}
    for folder, folders_, files in os.walk(place):
        for name in (*folders_, *files):
            full = os.path.join(folder, name)
            relative, stat = os.path.relpath(full, place), os.lstat(full)
            links.setdefault((stat.st_dev, stat.st_ino), []).append(relative)
            kind = stat.st_mode & 0o170000
            content: bytes = b""
            if kind == 0o120000:
                content = os.readlink(full)
            elif kind == 0o100000:
                content = Path(os.fsdecode(full)).read_bytes()
            attributes = tuple(
                (key, os.getxattr(full, key, follow_symlinks=False)) for key in sorted(_attributes(full))
            )
            size = stat.st_size if kind == 0o100000 else 0
            found[relative] = (
                stat.st_mode,
                stat.st_uid,
                stat.st_gid,
                size,
                stat.st_mtime_ns,
                stat.st_rdev,
                attributes,
                content,
            )
    for names in links.values():
        if len(names) > 1:
            for name in names:
                found[name] += (tuple(sorted(names)),)
    return found


def _attributes(full: bytes) -> list[str]:
    try:
        return os.listxattr(full, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return []
        raise


def allocated(path: Path) -> int:
    return os.stat(path).st_blocks * 512


def _write(path: bytes, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
