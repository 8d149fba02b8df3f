"""One service of a compose file as a workload of one container."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portable.importing import compose_mounts
from portable.importing.compose_ports import Published, published, taken_ports
from portable.importing.compose_running import deployed, health
from portable.importing.dotenv import parse
from portable.importing.draft import (
    IMAGES_OWN_USER,
    SECRET_NAME,
    Draft,
    Section,
    entries,
    escaped,
    label,
    members,
    one_or_more,
    port_name,
    scalar,
)
from portable.importing.images import NOT_HTTP, usual_port
from portable.spec.document import Node

_RUNS_ONCE = "service_completed_successfully"
_IN_URL = re.compile(r"(?<=://)([^/@:\s]*):([^/@\s]+)(?=@)")
# What Kubernetes, or a workload here, does anyway.
_SAME = (
    "restart",
    "container_name",
    "networks",
    "links",
    "profiles",
    "version",
    "stdin_open",
    "tty",
    "init",
    "attach",
    "scale",
)
_REASONS = {
    "privileged": "a patch of the Deployment can say so, with `security.level: privileged`",
    "cap_add": "a patch of the Deployment can add them, with `security.level: privileged`",
    "working_dir": "set it in the image, or in a patch",
    "hostname": "workloads are called by their names",
    "extra_hosts": "use names that DNS knows",
    "extends": "write the keys out",
    "network_mode": "a workload has an address of its own",
    "devices": "nodes' devices need a patch",
    "logging": "logs go where the cluster sends them",
    "labels": "labels are for other tools; `annotations` go onto pods",
    "platform": "the image says which platforms it is for",
    "stop_grace_period": "a pod has 30 s to end after its ports are drained",
    "post_start": "do it in the container's command",
    "develop": "`portable dev` synchronises what `build.sync` names",
}


@dataclass(frozen=True)
class Project:
    """What services of one file share. `services`: by the name in the file, those that are taken over."""

    folder: Path
    secrets: Mapping[str, Section]
    configs: Mapping[str, Section]
    volumes: Mapping[str, Section]
    services: Mapping[str, Section]

    def runs_once(self, name: str) -> bool:
        """Whether another service waits until this one has ended."""
        waiting = [each.node.child("depends_on") for each in self.services.values()]
        found = [node.child(name) for node in waiting if node is not None]
        return any(entry.plain().get("condition") == _RUNS_ONCE for entry in found if entry is not None)


def workload(project: Project, name: str, service: Section) -> dict[str, Any]:
    body: dict[str, Any] = {}
    container = _image(service)
    for key, words in (("command", "entrypoint"), ("args", "command")):
        if found := _words(service, words):
            container[key] = found
    if variables := _variables(project, service):
        container["variables"] = variables
    writable = [] if service.value("read_only") else ["/"]
    mounts = compose_mounts.mounts(project.folder, project.volumes, project.secrets, project.configs, service)
    container |= {key: value for key, value in (("files", mounts.files), ("volumes", mounts.volumes)) if value}
    security = {**IMAGES_OWN_USER, "writable": [*writable, *mounts.writable]} | _user(service)
    compute, count = deployed(service)
    if compute:
        container["resources"] = compute
    if probe := health(service):
        container["readinessProbe"] = probe
    once = project.runs_once(name)
    if once:
        body["kind"] = "job"
    elif mounts.stateful:
        body["kind"] = "stateful"
    body["containers"] = {label(name): container}
    if not once:
        body |= _reached(name, service)
    if after := _after(project, service):
        body["after"] = after
    if count is not None and not once:
        body["scale"] = {"min": count}
    body["security"] = {key: value for key, value in security.items() if value}
    if service.text("restart") == "no" and not once:
        service.report(service.node.child("restart"), "restart: no is not taken over", "`kind: job` runs once")
    extensions = tuple(key for key in service.node.plain() if key.startswith("x-"))
    service.close(_REASONS, silent=(*_SAME, *extensions))
    return body


def connect(project: Project, draft: Draft) -> None:
    """Ports of services that others call without their saying on which: from what the others' variables name."""
    for name, service in project.services.items():
        body = draft.workloads[label(name)]
        if "service" in body or body.get("kind") == "job":
            continue
        ports = _called(name, draft)
        if not ports and (usual := usual_port(service.text("image"))):
            ports = [usual]
        if ports:
            body["service"] = {"ports": {port_name(port): {"port": port} for port in ports}}
        elif any(label(name) in other.get("after", {}) for other in draft.workloads.values()):
            service.report(None, f"others may call {name}, but no port of it is known", "add `service.ports`")


def _called(name: str, draft: Draft) -> list[int]:
    pattern = re.compile(rf"(?<![\w.-]){re.escape(name)}:(\d{{2,5}})\b")
    texts = [
        text
        for body in draft.workloads.values()
        for container in body["containers"].values()
        for text in (
            *container.get("variables", {}).values(),
            *container.get("args", ()),
            *container.get("command", ()),
        )
    ]
    return sorted({int(port) for text in texts for port in pattern.findall(text) if int(port) < 65536})


def _image(service: Section) -> dict[str, Any]:
    build, image = service.take("build"), service.text("image")
    if build is None:
        return {"image": image}
    body: dict[str, Any] = {}
    if isinstance(build.content, dict):
        given = service.of(build)
        body["context"] = _context(given.text("context", "."))
        for key in ("dockerfile", "target"):
            if text := given.text(key):
                body[key] = text
        if arguments := _pairs(given.take("args")):
            body["args"] = {key: value or "" for key, value in arguments.items()}
        platforms = given.value("platforms")
        if platforms:
            body["platforms"] = platforms
        given.close({"cache_from": "builders keep their own cache", "secrets": "a build here gets no secrets"})
    else:
        body["context"] = _context(scalar(build))
    return {"build": body}


def _context(path: str) -> str:
    return path if path.startswith((".", "/")) else f"./{path}"


def _words(service: Section, key: str) -> list[str]:
    found = service.take(key)
    if found is None:
        return []
    if isinstance(found.content, list):
        return [scalar(entry) for entry in entries(found)]
    try:
        return shlex.split(scalar(found))
    except ValueError as error:
        service.report(found, f"{key} cannot be taken apart: {error}", "write it as a list")
        return []


def _pairs(node: Node | None) -> dict[str, str | None]:
    """A map, or a list of NAME=value. None: a name without a value."""
    found = {key: None if child.content is None else scalar(child) for key, child in members(node).items()}
    for entry in entries(node):
        key, equals, value = scalar(entry).partition("=")
        found[key] = value if equals else None
    return found


def _variables(project: Project, service: Section) -> dict[str, str]:
    found: dict[str, str | None] = {}
    for path, node in _env_files(service):
        file = project.folder / path
        if file.is_file():
            found |= parse(file.read_text(encoding="utf-8", errors="replace"))
        else:
            service.report(node, f"there is no file {path}: its variables are not taken over")
    given = service.take("environment")
    found |= _pairs(given)
    variables: dict[str, str] = {}
    for name, value in found.items():
        if value is None:
            value = ""
            service.report(given, f"{name} gets its value from the shell that runs compose", "write it here")
        variables[name] = _variable(service, given, name, value)
    return variables


def _variable(service: Section, node: Node | None, name: str, value: str) -> str:
    draft = service.draft
    if value and SECRET_NAME.search(name) and not name.endswith("_FILE") and not value.startswith("/"):
        secret = draft.secret(name, value)
        service.report(node, f"the value of {name} is not written", f"`portable secret set {secret}`")
        return f"${{resources.{secret}.value}}"
    match = _IN_URL.search(value)
    if match is None:
        return escaped(value)
    secret = draft.secret(f"{service.about}-{name}-password", match[2])
    service.report(node, f"the password in {name} is not written", f"`portable secret set {secret}`")
    return f"{escaped(value[: match.start(2)])}${{resources.{secret}.value}}{escaped(value[match.end(2) :])}"


def _env_files(service: Section) -> list[tuple[str, Node]]:
    node = service.take("env_file")
    if node is None:
        return []
    paths = [(entry.child("path") if isinstance(entry.content, dict) else entry) for entry in one_or_more(node)]
    return [(scalar(path), path) for path in paths if path is not None]


def _reached(name: str, service: Section) -> dict[str, Any]:
    """`service` and `routes`: ports keep the numbers by which others call them; those of the host become routes."""
    ports = taken_ports(service)
    outside = published(service)
    for each in outside:
        ports.setdefault((each.port, each.protocol), each.node)
    if not ports:
        return {}
    body: dict[str, Any] = {"service": {"ports": {}}}
    for port, protocol in ports:
        entry = {"port": port} | ({} if protocol == "TCP" else {"protocol": protocol})
        names = body["service"]["ports"]
        named = port_name(port, protocol)
        names[named if named not in names else f"port-{port}"] = entry
    if routes := _routes(service, label(name), outside):
        body["routes"] = routes
    return body


def _routes(service: Section, name: str, outside: list[Published]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in outside:
        if each.protocol != "TCP" or each.port in NOT_HTTP:
            hint = "routes are for HTTP; others in the app reach it by name, you by `portable logs` and the like"
            service.report(each.node, f"the port {each.port} of the host is not taken over", hint)
        elif each.port not in [route["port"] for route in found.values()]:
            host = f"{name}.localhost" if not found else f"{name}-{each.port}.localhost"
            found[f"port-{each.port}"] = {"host": host, "port": each.port}
    return found


def _after(project: Project, service: Section) -> dict[str, str]:
    node = service.take("depends_on")
    conditions = {scalar(entry): (entry, "service_started") for entry in entries(node)}
    for name, entry in members(node).items():
        given = service.of(entry)
        conditions[name] = (entry, given.text("condition", "service_started"))
        given.close({"restart": "a workload connects anew by itself"}, silent=("required",))
    found: dict[str, str] = {}
    for name, (entry, condition) in conditions.items():
        if name not in project.services:
            service.report(entry, f"{name} is not taken over, so nothing waits for it")
        else:
            found[label(name)] = "complete" if condition == _RUNS_ONCE else "ready"
    return found


def _user(service: Section) -> dict[str, Any]:
    node = service.take("user")
    if node is None:
        return {}
    user = scalar(node).partition(":")[0]
    if user.isdigit():
        return {"user": int(user)}
    service.report(node, f"the user {user} is not taken over", "`security.user` takes a number")
    return {}
