"""What a compose service mounts: volumes, folders and files of the host, secrets and configs, short and long syntax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portable.importing.draft import Section, escaped, one_or_more, scalar
from portable.spec.document import Node

_MOST_FILES, _MOST_BYTES = 20, 512 * 1024
_SIZE = "1Gi"


@dataclass
class Mounts:
    """`files` and `volumes` of the container; `writable` paths; `stateful`: a volume of its own is among them."""

    files: dict[str, Any] = field(default_factory=dict)
    volumes: dict[str, Any] = field(default_factory=dict)
    writable: list[str] = field(default_factory=list)
    stateful: bool = False


@dataclass(frozen=True)
class _Mount:
    kind: str
    source: str
    target: str
    read_only: bool
    node: Node
    sub_path: str = ""


def mounts(
    folder: Path,
    volumes: Mapping[str, Section],
    secrets: Mapping[str, Section],
    configs: Mapping[str, Section],
    service: Section,
) -> Mounts:
    found = Mounts()
    for mount in _mounts(service):
        if mount.kind == "volume" and mount.source:
            _volume(found, volumes, service, mount)
        elif mount.kind == "bind":
            _bind(found, folder, service, mount)
        elif mount.kind == "tmpfs":
            found.writable.append(mount.target)
        elif mount.kind == "volume":
            pass  # without a name: a folder of the container, which may be written to anyway
        else:
            service.report(mount.node, f"a mount of type {mount.kind} is not taken over")
    found.writable += _tmpfs(service)
    _secrets(found, secrets, service)
    _configs(found, folder, configs, service)
    return found


def _mounts(service: Section) -> list[_Mount]:
    found: list[_Mount] = []
    for entry in service.entries("volumes"):
        if isinstance(entry.content, dict):
            given = service.of(entry)
            options = given.section("volume")
            sub_path = options.text("subpath") if options is not None else ""
            kind, source, target = given.text("type", "volume"), given.text("source"), given.text("target")
            found.append(_Mount(kind, source, target, bool(given.value("read_only")), entry, sub_path))
            given.close({}, silent=("bind", "tmpfs", "consistency"))
        else:
            found.append(_short(scalar(entry), entry))
    return found


def _short(text: str, node: Node) -> _Mount:
    parts = text.split(":")
    if len(parts) == 1:
        return _Mount("volume", "", text, False, node)
    source, target, options = parts[0], parts[1], ":".join(parts[2:])
    kind = "bind" if source.startswith((".", "/", "~")) else "volume"
    return _Mount(kind, source, target, "ro" in options.split(","), node)


def _volume(found: Mounts, volumes: Mapping[str, Section], service: Section, mount: _Mount) -> None:
    draft = service.draft
    name = draft.named("volume", mount.source)
    body = draft.resources.get(name)
    if body is None:
        draft.resources[name] = {"type": "volume", "size": _SIZE}
        given = volumes.get(mount.source)
        options = given.of(given.node) if given is not None and isinstance(given.node.content, dict) else None
        (options or service).report(
            options.node if options else mount.node,
            f"the volume {mount.source} gets {_SIZE}",
            "compose has no sizes: give it one that fits",
        )
        if options is not None:
            options.close(
                {"driver_opts": "storage is the cloud's", "driver": "storage is the cloud's"}, silent=("name",)
            )
    elif draft.users[name] != {service.about}:
        body["access"] = "shared"
        service.report(
            mount.node,
            f"several services use the volume {mount.source}: its access is shared",
            "not every cloud has that",
        )
    draft.users.setdefault(name, set()).add(service.about)
    entry: dict[str, Any] = {"source": name}
    if mount.sub_path:
        entry["path"] = mount.sub_path
    found.volumes[mount.target] = entry | ({"readOnly": True} if mount.read_only else {})
    found.stateful = True


def _bind(found: Mounts, folder: Path, service: Section, mount: _Mount) -> None:
    source = (folder / mount.source).resolve() if mount.source.startswith(".") else None
    if source is None or not source.is_relative_to(folder.resolve()):
        service.report(
            mount.node,
            f"{mount.source} of the host is not taken over",
            "a node has no such path: use a volume, a file, or the image",
        )
        return
    if source.is_file():
        _file(found, folder, service, source, mount.target, mount.node)
        return
    files = [path for path in sorted(source.rglob("*")) if path.is_file()] if source.is_dir() else []
    if not files or len(files) > _MOST_FILES or sum(path.stat().st_size for path in files) > _MOST_BYTES:
        what = "is not there" if not source.exists() else "is a folder for development" if files else "is empty"
        service.report(
            mount.node,
            f"{mount.source} {what}, and is not taken over",
            "put its content into the image, or on a volume",
        )
        return
    for path in files:
        _file(found, folder, service, path, f"{mount.target.rstrip('/')}/{path.relative_to(source)}", mount.node)


def _file(found: Mounts, folder: Path, service: Section, path: Path, target: str, node: Node) -> None:
    entry: dict[str, Any] = {"source": f"./{path.relative_to(folder.resolve())}", "noExpand": True}
    if path.stat().st_mode & 0o111:
        entry["mode"] = "0755"
    found.files[target] = entry


def _tmpfs(service: Section) -> list[str]:
    node = service.take("tmpfs")
    if node is None:
        return []
    return [scalar(each).partition(":")[0] for each in one_or_more(node)]


def _named(service: Section, key: str) -> list[tuple[str, str, Node]]:
    """(source, target, node) of `secrets` or `configs`."""
    found: list[tuple[str, str, Node]] = []
    for entry in service.entries(key):
        if isinstance(entry.content, dict):
            given = service.of(entry)
            found.append((given.text("source"), given.text("target"), entry))
            given.close({}, silent=("mode",))
        else:
            found.append((scalar(entry), "", entry))
    return found


def _secrets(found: Mounts, secrets: Mapping[str, Section], service: Section) -> None:
    for source, target, node in _named(service, "secrets"):
        name = service.draft.named("secret", source)
        if name not in service.draft.resources:
            service.draft.resources[name] = {"type": "secret"}
            at = secrets[source].node if source in secrets else node
            about = Section(at, service.document, service.draft, name)
            about.report(at, f"the value of the secret {source} is not written", f"`portable secret set {name}`")
        path = target if target.startswith("/") else f"/run/secrets/{target or source}"
        found.volumes[path] = {"source": name, "path": "value", "readOnly": True}


def _configs(found: Mounts, folder: Path, configs: Mapping[str, Section], service: Section) -> None:
    for source, target, node in _named(service, "configs"):
        path = target if target.startswith("/") else f"/{target or source}"
        given = configs.get(source)
        if given is None:
            service.report(node, f"there is no config {source}")
            continue
        content, file = given.text("content"), given.text("file")
        if content:
            found.files[path] = {"content": escaped(content)}
        elif file and (folder / file).is_file() and (folder / file).resolve().is_relative_to(folder.resolve()):
            _file(found, folder, service, (folder / file).resolve(), path, node)
        else:
            service.report(node, f"the content of the config {source} is not here", "add it to `files`")
