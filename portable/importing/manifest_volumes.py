"""Volumes of a pod: claims, ConfigMaps, Secrets, empty folders; and where containers mount them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from portable.importing.draft import Section, escaped, label
from portable.importing.manifest_objects import Found, Manifest

_SHARED = {"ReadWriteMany", "ReadOnlyMany"}


@dataclass
class Volumes:
    """By the name that mounts use. `files`: path in the volume -> a file's body, mounted one by one."""

    resources: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)
    writable: list[str] = field(default_factory=list)
    _places: dict[str, str] = field(default_factory=dict)

    def mounted(self, container: Section) -> dict[str, Any]:
        """`volumes` and `files` of a container."""
        volumes: dict[str, Any] = {}
        files: dict[str, Any] = {}
        for mount in container.sections("volumeMounts"):
            name, path, below = mount.text("name"), mount.text("mountPath"), mount.text("subPath")
            read_only = bool(mount.value("readOnly"))
            if name in self.resources:
                entry: dict[str, Any] = {"source": self.resources[name]} | ({"path": below} if below else {})
                volumes[path] = entry | ({"readOnly": True} if read_only else {})
            elif name in self.files:
                wanted = {key: body for key, body in self.files[name].items() if not below or key == below}
                files |= {path if below else f"{path.rstrip('/')}/{key}": body for key, body in wanted.items()}
            elif name in self.empty:
                self._empty(mount, name, path)
            else:
                mount.report(mount.node, f"the mount of {name} at {path} is not taken over")
            mount.close({"subPathExpr": "", "mountPropagation": ""})
        return {key: value for key, value in (("files", files), ("volumes", volumes)) if value}

    def _empty(self, mount: Section, name: str, path: str) -> None:
        """A writable path is the same empty folder in all containers, so the path must be the same, too."""
        first = self._places.setdefault(name, path)
        if first != path:
            mount.report(
                mount.node, f"{name} is shared at {first} and at {path}", "mount it at one path in all containers"
            )
        self.writable.append(path)


def volumes(found: Found, spec: Section, claims: Sequence[Section]) -> Volumes:
    made = Volumes()
    for claim in claims:
        name = (claim.value("metadata") or {}).get("name", "data")
        wanted = f"{claim.about}-{name}" if label(name) in claim.draft.resources else name
        made.resources[name] = _volume(claim, claim.draft.named("volume", f"{claim.about}/{name}", wanted))
    for volume in spec.sections("volumes"):
        name = volume.text("name")
        if (claim := volume.value("persistentVolumeClaim")) is not None:
            made.resources[name] = _claim(found, volume, claim["claimName"])
        elif (config := volume.value("configMap")) is not None:
            _config(found, made, volume, name, config)
        elif (secret := volume.value("secret")) is not None:
            _secret(found, made, volume, name, secret)
        elif (empty := volume.take("emptyDir")) is not None:
            made.empty.add(name)
            volume.of(empty).close(
                {"medium": "the folder is on the node's disk", "sizeLimit": "the folder has no limit of its own"}
            )
        volume.close({"hostPath": "it ties the pod to its node", "projected": "", "csi": "a patch can mount it"})
    return made


def _claim(found: Found, volume: Section, name: str) -> str:
    stored = found.get("PersistentVolumeClaim", name)
    resource = volume.draft.named("volume", name)
    if stored is None:
        volume.report(volume.node, f"the claim {name} is not here: it gets 1Gi", "give it the size that it has")
        volume.draft.resources[resource] = {"type": "volume", "size": "1Gi"}
        return resource
    stored.taken = True
    return _volume(stored.section(resource), resource)


def _volume(claim: Section, name: str) -> str:
    """A claim, or a claim template, as a volume resource; its name."""
    spec = claim.section("spec")
    body: dict[str, Any] = {"type": "volume", "size": "1Gi"}
    if spec is not None:
        given = spec.value("resources") or {}
        body["size"] = str((given.get("requests") or {}).get("storage", "1Gi"))
        if _SHARED & set(spec.value("accessModes", [])):
            body["access"] = "shared"
        spec.close({"storageClassName": "the cloud's plugin chooses the class"}, silent=("volumeMode",))
    claim.draft.resources[name] = body
    return name


def _config(found: Found, made: Volumes, volume: Section, name: str, config: dict[str, Any]) -> None:
    stored = found.get("ConfigMap", config.get("name", ""))
    if stored is None:
        volume.report(volume.node, f"the ConfigMap {config.get('name')} is not here: its files are not taken over")
        return
    stored.taken = True
    data, binary = stored.plain("data") or {}, stored.plain("binaryData") or {}
    items = {each["key"]: each["path"] for each in config.get("items") or ()}
    mode = config.get("defaultMode")
    files = {
        items.get(key, key): {"content": escaped(str(text))} for key, text in data.items() if not items or key in items
    }
    files |= {items.get(key, key): {"binaryContent": text} for key, text in binary.items() if not items or key in items}
    if isinstance(mode, int) and mode != 0o644:
        files = {path: {**body, "mode": f"{mode:04o}"} for path, body in files.items()}
    made.files[name] = files


def _secret(found: Found, made: Volumes, volume: Section, name: str, secret: dict[str, Any]) -> None:
    wanted = [each["key"] for each in secret.get("items") or ()]
    if any(each["path"] != each["key"] for each in secret.get("items") or ()):
        volume.report(
            volume.node,
            "keys of a secret keep their names as files",
            "mount one with `path: KEY` where it must be called otherwise",
        )
    made.resources[name] = secret_resource(found, volume, secret.get("secretName", ""), wanted)


def secret_resource(found: Found, about: Section, name: str, keys: Sequence[str]) -> str:
    """The secret resource that stands for a Secret, with `keys` among its keys. Values are never read."""
    stored = found.get("Secret", name)
    known = _keys(stored) if stored is not None else []
    called = about.draft.named("secret", name)
    resource = about.draft.resources.setdefault(called, {"type": "secret", "keys": known})
    before = list(resource["keys"])
    resource["keys"] = list(dict.fromkeys([*before, *keys]))
    if not before or (stored is not None and not stored.taken):
        at = stored.section(called) if stored is not None else Section(about.node, about.document, about.draft, called)
        at.report(None, f"the values of the secret {name} are not written", f"`portable secret set {called}`")
    if stored is not None:
        stored.taken = True
    return called


def _keys(stored: Manifest) -> list[str]:
    return list({**(stored.plain("data") or {}), **(stored.plain("stringData") or {})})
