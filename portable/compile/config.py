"""Variables and files: ConfigMaps named by their content, and Secrets that are only ever referred to.

A ConfigMap is immutable and called NAME-DIGEST. A changed file is therefore a new object and a new pod template, an old
revision still finds its own, and no pod ever sees half of a change.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portable.compile.names import by_digest, digest, metadata, slug
from portable.compile.objects import GeneratedSecret
from portable.compile.outputs import SecretKey, Value, lookup, url
from portable.compile.scope import Scope
from portable.provider import KubeObject
from portable.spec.model import Config, Container, Database, File, Workload
from portable.spec.placeholders import parse

FILES, SECRET_FILES = "files", "secret-files"
# The prefix keeps our volumes apart from the spec's resources, whose volumes are called as they are.
VOLUME_PREFIX = "portable-"
# Read by the process through the pod's fsGroup, by nobody else.
SECRET_MODE = 0o440
_LIMIT = 1024 * 1024  # the API server's for ConfigMaps and Secrets
_NOT_IN_NAMES = re.compile(r"[^A-Z0-9_]")
_BEFORE_EXPANSION = re.compile(r"\$(?=[$(])")


@dataclass(frozen=True)
class Files:
    """`mounts` by container name; `volumes` as in a pod; `objects` the ConfigMaps; `generated` what the engine must compose."""

    objects: tuple[KubeObject, ...] = ()
    generated: tuple[GeneratedSecret, ...] = ()
    volumes: tuple[dict[str, Any], ...] = ()
    mounts: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)


def literal(text: str) -> str:
    """Text as Kubernetes must be given it in a variable, command or argument, so that the process gets it unchanged.

    Kubernetes replaces `$(NAME)` there and reads `$$` as `$`; what a spec says means itself.
    """
    return _BEFORE_EXPANSION.sub("$$", text)


def resolve(scope: Scope, text: str, place: tuple[str, ...]) -> list[Value]:
    """The parts of a text with its placeholders looked up; unknown ones are problems at `place`."""
    if "$" not in text:
        return [text]
    found: list[Value] = []
    for part in parse(text):
        value = part if isinstance(part, str) else lookup(scope.app, part)
        if value is None:
            scope.problem(place, f"nothing is called {part}")
        elif isinstance(value, str) and found and isinstance(found[-1], str):
            found[-1] += value
        else:
            found.append(value)
    return found


def environment(scope: Scope, workload: Workload, container: Container) -> list[dict[str, Any]]:
    """The container's variables, sorted. Secrets come by reference; one inside a longer text through a variable of its own."""
    helpers: dict[SecretKey, str] = {}
    found: list[dict[str, Any]] = []
    for name, text in sorted(container.variables.items()):
        place = ("workloads", workload.name, "containers", container.name, "variables", name)
        found.append({"name": name} | _variable(resolve(scope, text, place), helpers))
    # Kubernetes expands $(NAME) only for variables that stand before.
    return [
        {"name": name} | _from_secret(key) for key, name in sorted(helpers.items(), key=lambda item: item[1])
    ] + found


def _variable(values: list[Value], helpers: dict[SecretKey, str]) -> dict[str, Any]:
    if len(values) == 1 and isinstance(values[0], SecretKey):
        return _from_secret(values[0])
    text = ""
    for index, value in enumerate(values):
        if isinstance(value, SecretKey):
            text += f"$({_helper(value, helpers)})"
        else:
            before_reference = value.endswith("$") and index + 1 < len(values)
            text += literal(value) + ("$" if before_reference else "")
    return {"value": text}


def _from_secret(key: SecretKey) -> dict[str, Any]:
    return {"valueFrom": {"secretKeyRef": {"name": key.secret, "key": key.key}}}


def _helper(key: SecretKey, helpers: dict[SecretKey, str]) -> str:
    if key not in helpers:
        name = _NOT_IN_NAMES.sub("_", f"PORTABLE_{key.secret}__{key.key}".upper())
        helpers[key] = name if name not in helpers.values() else f"{name}_{digest([key.secret, key.key], 8).upper()}"
    return helpers[key]


def files(scope: Scope, workload: Workload) -> Files:
    """Everything that the workload's containers need to find their files."""
    plain, secret = _Bundle(FILES), _Bundle(SECRET_FILES)
    mounts: dict[str, list[dict[str, Any]]] = {}
    for container in workload.containers.values():
        for path, file in sorted(container.files.items()):
            values = _file_values(scope, workload, container, path, file)
            bundle = secret if any(isinstance(value, SecretKey) for value in values) else plain
            key = bundle.add(container, file, values)
            mount = {"name": VOLUME_PREFIX + bundle.name, "mountPath": file.path, "subPath": key, "readOnly": True}
            mounts.setdefault(container.name, []).append(mount)
    config_map = plain.config_map(scope, workload)
    generated = secret.generated_secret(scope, workload)
    volumes: list[dict[str, Any]] = []
    if config_map is not None:
        volumes.append(
            {"name": VOLUME_PREFIX + FILES, "configMap": {"name": config_map["metadata"]["name"]} | plain.items()}
        )
    if generated is not None:
        source = {"secretName": generated.name, "defaultMode": SECRET_MODE} | secret.items()
        volumes.append({"name": VOLUME_PREFIX + SECRET_FILES, "secret": source})
    return Files((config_map,) if config_map else (), (generated,) if generated else (), tuple(volumes), mounts)


def _file_values(scope: Scope, workload: Workload, container: Container, path: str, file: File) -> list[Value]:
    if file.content is None:
        return []
    if not file.expand:
        return [file.content]
    place = ("workloads", workload.name, "containers", container.name, "files", path)
    return resolve(scope, file.content, place)


@dataclass(frozen=True)
class _Bundle:
    """Files that end up in one object: key -> parts of the text, or bytes."""

    name: str
    contents: dict[str, list[Value] | bytes] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)

    def add(self, container: Container, file: File, values: list[Value]) -> str:
        content = file.binary if file.binary is not None else values
        mode = int(file.mode, 8) if file.mode is not None else None
        for key in (slug(file.path), f"{container.name}.{slug(file.path)}", f"{container.name}.{digest(file.path, 8)}"):
            if key not in self.contents or (self.contents[key] == content and self.modes.get(key) == mode):
                break
        self.contents[key] = content
        if mode is not None:
            self.modes[key] = mode
        return key

    def items(self) -> dict[str, Any]:
        """Modes are set by item, and then every item must be named."""
        if not self.modes:
            return {}
        entries = [{"key": key, "path": key} for key in sorted(self.contents)]
        return {
            "items": [
                entry | ({"mode": self.modes[entry["key"]]} if entry["key"] in self.modes else {}) for entry in entries
            ]
        }

    def config_map(self, scope: Scope, workload: Workload) -> KubeObject | None:
        if not self.contents:
            return None
        text = {key: "".join(map(str, value)) for key, value in self.contents.items() if isinstance(value, list)}
        binary = {
            key: base64.b64encode(value).decode() for key, value in self.contents.items() if isinstance(value, bytes)
        }
        if sum(map(len, text.values())) + sum(map(len, binary.values())) > _LIMIT:
            scope.problem(
                ("workloads", workload.name, "containers"),
                f"the files of {workload.name} are larger than 1 MiB together, which Kubernetes does not store",
                hint="put large files into the image or on a volume",
            )
        return config_map(scope, f"{workload.name}-{self.name}", text, binary, workload.name)

    def generated_secret(self, scope: Scope, workload: Workload) -> GeneratedSecret | None:
        if not self.contents:
            return None
        templates = {
            key: "".join(_template(scope, part) for part in value)
            for key, value in sorted(self.contents.items())
            if isinstance(value, list)
        }
        name = by_digest(f"{workload.name}-{self.name}", templates)
        manifest = secret_manifest(scope, name, workload.name)
        return GeneratedSecret(name, manifest, generate=(), templates=templates, workload=workload.name)


def _template(scope: Scope, value: Value) -> str:
    """A part of a file as the engine composes it: only the password is the engine's, an address is built around it here."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    password = f"${{{value.secret}/password}}"
    database = scope.app.resources.get(value.secret)
    return url(database, password) if isinstance(database, Database) and value.key == "url" else password


def config_map(
    scope: Scope, name: str, text: Mapping[str, str], binary: Mapping[str, str], workload: str | None
) -> KubeObject:
    content: dict[str, Any] = {}
    if text:
        content["data"] = dict(sorted(text.items()))
    if binary:
        content["binaryData"] = dict(sorted(binary.items()))
    named = metadata(scope.app, by_digest(name, content), workload)
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": named, "immutable": True} | content


def mounted_config(scope: Scope, config: Config) -> KubeObject:
    """The ConfigMap of a `config` resource that is mounted as a folder."""
    return config_map(scope, config.name, config.data, {}, None)


def secret_manifest(scope: Scope, name: str, workload: str | None) -> KubeObject:
    """A Secret without its values: the engine fills them in."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(scope.app, name, workload), "type": "Opaque"}
