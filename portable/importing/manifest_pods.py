"""A pod template as a workload's containers, and the volumes, configuration and secrets that they read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from portable.importing import manifest_volumes
from portable.importing.draft import Section, entries, escaped, label, scalar
from portable.importing.manifest_objects import Found, Manifest
from portable.importing.manifest_volumes import Volumes, secret_resource
from portable.spec.document import Node

# What Kubernetes replaces: `$$` is one `$`, `$(NAME)` a variable that stands before; anything else stays as it is.
_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_TIMES = ("initialDelaySeconds", "periodSeconds", "timeoutSeconds", "successThreshold", "failureThreshold")
_POD = {
    "affinity": "`availability.spread` keeps copies apart",
    "topologySpreadConstraints": "`availability.spread` keeps copies apart",
    "nodeSelector": "a patch can choose nodes, for one cloud",
    "tolerations": "a patch can choose nodes, for one cloud",
    "hostNetwork": "it ties the pod to its node",
    "priorityClassName": "a patch can name it",
    "terminationGracePeriodSeconds": "a pod has 30 s to end after its ports are drained",
}
_CONTAINER = {
    "lifecycle": "a pod with ports waits by itself before it ends",
    "workingDir": "set it in the image, or in a patch",
}
_SILENT_POD = (
    "serviceAccountName", "serviceAccount",  # with rights of its own it is reported where those are
    "dnsPolicy", "schedulerName", "enableServiceLinks", "restartPolicy", "automountServiceAccountToken",
)  # fmt: skip
_SILENT_CONTAINER = ("terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "ports")


def pod(found: Found, manifest: Manifest, template: Section, *, claims: Sequence[Section]) -> dict[str, Any]:
    """`containers`, `security` and `annotations` of the workload."""
    spec = template.section("spec") or template.of(Node({}, template.node.mark))
    volumes = manifest_volumes.volumes(found, spec, claims)
    early, main = spec.sections("initContainers"), spec.sections("containers")
    contexts = _Contexts(spec.section("securityContext"), [*early, *main])
    containers: dict[str, Any] = {}
    for section in (*early, *main):
        name = label(section.text("name", "main"))
        containers[name] = _container(found, section, volumes)
    for section in early:
        state = "started" if section.text("restartPolicy") == "Always" else "complete"
        waiting = [label(each.text("name", "main")) for each in main]
        containers[label(section.text("name"))]["before"] = {name: {"ready": state} for name in waiting}
    _registries(found, spec)
    body: dict[str, Any] = {"containers": containers}
    if security := contexts.security(volumes.writable):
        body["security"] = security
    metadata = template.section("metadata")
    if metadata is not None and (annotations := metadata.value("annotations")):
        body["annotations"] = {key: str(value) for key, value in annotations.items() if "portable.dev/" not in key}
    spec.close(_POD, silent=_SILENT_POD)
    return body


class _Contexts:
    """The security contexts of a pod and its containers, as the workload's `security`."""

    def __init__(self, pod: Section | None, containers: Sequence[Section]) -> None:
        self._pod = pod
        self._own = [context for each in containers if (context := each.section("securityContext")) is not None]
        self._whole = len(self._own) == len(containers)

    def security(self, writable: Sequence[str]) -> dict[str, Any]:
        everything = [*([self._pod] if self._pod is not None else []), *self._own]
        users = {user for each in everything if (user := each.value("runAsUser")) is not None}
        not_root = any(each.value("runAsNonRoot") for each in everything)
        read_only = self._whole and all(each.value("readOnlyRootFilesystem") for each in self._own)
        user = next(iter(users)) if len(users) == 1 else None
        for each in everything:
            self._close(each, user)
        if len(users) > 1:
            everything[0].report(
                None, "containers run as several users: not taken over", "`security.user` is the workload's"
            )
        found: dict[str, Any] = {"user": user} if user is not None else {}
        if not not_root and not user:
            found["level"] = "baseline"
        paths = [*([] if read_only else ["/"]), *dict.fromkeys(writable)]
        return found | ({"writable": paths} if paths else {})

    def _close(self, context: Section, user: Any) -> None:
        capabilities = context.section("capabilities")
        if capabilities is not None:
            capabilities.close({"add": "a patch can add them, with `security.level: privileged`"}, silent=("drop",))
        # as portable has it: the group is the user's, and nobody is privileged
        as_here = {"runAsGroup": user, "fsGroup": user, "privileged": False}
        same = [
            key for key, value in as_here.items() if context.node.child(key) is not None and context.value(key) == value
        ]
        reasons = {
            "privileged": "a patch can say so, with `security.level: privileged`",
            "runAsGroup": "the group is the user's",
            "fsGroup": "volumes belong to the user's group, or to 1000",
        }
        for key in as_here.keys() - set(same):
            if (node := context.node.child(key)) is not None:
                context.report(node, f"{key} is not taken over", reasons[key])
        context.close({}, silent=(*as_here, "allowPrivilegeEscalation", "seccompProfile", "fsGroupChangePolicy"))


def _container(found: Found, section: Section, volumes: Volumes) -> dict[str, Any]:
    body: dict[str, Any] = {"image": section.text("image")}
    variables = _variables(found, section)
    for key in ("command", "args"):
        if words := section.take(key):
            body[key] = [_word(section, words, scalar(each), variables) for each in entries(words)]
    if variables:
        body["variables"] = variables
    body |= volumes.mounted(section)
    if amounts := _amounts(section):
        body["resources"] = amounts
    ports = {port["name"]: port["containerPort"] for port in section.value("ports", []) if "name" in port}
    for key in _PROBES:
        probe = section.section(key)
        if probe is not None and (made := _probe(probe, ports)):
            body[key] = made
    section.close(_CONTAINER, silent=(*_SILENT_CONTAINER, "restartPolicy"))
    return body


def _variables(found: Found, section: Section) -> dict[str, str]:
    variables: dict[str, str] = {}
    for source in section.sections("envFrom"):
        variables |= _from(found, source)
    for entry in section.sections("env"):
        name, node = entry.text("name"), entry.take("value")
        if entry.take("valueFrom") is None:
            text = scalar(node) if node is not None else ""
            variables[name] = _expanded(text, variables)
        elif (value := _value_from(found, entry)) is not None:
            variables[name] = value
    # our own helpers (portable.compile.config) stand in the texts that used them
    return {name: text for name, text in variables.items() if not (name.startswith("PORTABLE_") and "__" in name)}


def _expanded(text: str, known: Mapping[str, str]) -> str:
    """A variable's text as a spec writes it, with the values of variables before it (`known`, as a spec writes them)."""
    parts: list[str] = []
    end = 0
    for match in _REFERENCE.finditer(text):
        stays = "$" if match[0] == "$$" else match[0]
        parts += [escaped(text[end : match.start()]), known.get(match[1] or "", escaped(stays))]
        end = match.end()
    return "".join(parts) + escaped(text[end:])


def _word(section: Section, node: Node, word: str, variables: Mapping[str, str]) -> str:
    """A word of a command with the variables in it written out, for placeholders do not work there."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        known = variables.get(match[1])
        if known is None:
            return match[0]  # no variable of the container: it stays as it is, as with a shell's $(command)
        if "${" not in known.replace("$$", ""):
            return known.replace("$$", "$")
        section.report(node, f"{match[0]} is not replaced in a command here", "let a shell read the variable")
        return match[0]

    return _REFERENCE.sub(value, word)


def _value_from(found: Found, entry: Section) -> str | None:
    source = entry.value("valueFrom")
    if reference := source.get("secretKeyRef"):
        return f"${{resources.{secret_resource(found, entry, reference['name'], [reference['key']])}.{_dotted(reference['key'])}}}"
    if reference := source.get("configMapKeyRef"):
        data = _config(found, reference["name"])
        if reference["key"] in data:
            return escaped(str(data[reference["key"]]))
        if not reference.get("optional"):
            entry.report(
                entry.node, f"the ConfigMap {reference['name']} with {reference['key']} is not here", "write its value"
            )
        return None
    entry.report(
        entry.node,
        f"{entry.text('name')} is not taken over",
        f"nothing here gives a pod its {next(iter(source), 'source')}",
    )
    return None


def _from(found: Found, source: Section) -> dict[str, str]:
    prefix = source.text("prefix")
    config, secret = source.value("configMapRef"), source.value("secretRef")
    if config is not None:
        data = _config(found, config["name"])
        if not data and not config.get("optional"):
            source.report(source.node, f"the ConfigMap {config['name']} is not here: its variables are not taken over")
        return {f"{prefix}{key}": escaped(str(value)) for key, value in data.items()}
    if secret is not None:
        stored = found.get("Secret", secret["name"])
        keys = list({**(stored.plain("data") or {}), **(stored.plain("stringData") or {})}) if stored else []
        if not keys:
            source.report(source.node, f"the Secret {secret['name']} is not here: its variables are not taken over")
            return {}
        name = secret_resource(found, source, secret["name"], keys)
        return {f"{prefix}{key}": f"${{resources.{name}.{_dotted(key)}}}" for key in keys}
    return {}


def _dotted(key: str) -> str:
    return key.replace(".", "\\.")


def _config(found: Found, name: str) -> dict[str, Any]:
    stored = found.get("ConfigMap", name)
    if stored is None:
        return {}
    stored.taken = True
    return stored.plain("data") or {}


def _amounts(section: Section) -> dict[str, Any]:
    given = section.section("resources")
    if given is None:
        return {}
    found: dict[str, Any] = {}
    for key in ("requests", "limits"):
        amounts = given.section(key)
        if amounts is not None:
            known = {name: text for name in ("cpu", "memory") if (text := amounts.text(name))}
            amounts.close({}, silent=())
            found |= {key: known} if known else {}
    given.close({})
    return found


def _probe(probe: Section, ports: Mapping[str, int]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key in ("httpGet", "tcpSocket"):
        action = probe.value(key)
        if action is not None:
            action["port"] = (
                ports.get(action["port"], action["port"]) if isinstance(action["port"], str) else action["port"]
            )
            made[key] = action
            if key == "httpGet":
                action.setdefault("path", "/")
    if (execute := probe.value("exec")) is not None:
        made["exec"] = execute
    times = {key: value for key in _PROBE_TIMES if (value := probe.value(key)) is not None}
    times = {key: value for key, value in times.items() if value != 0 or key == "initialDelaySeconds"}
    probe.close({"grpc": "use tcpSocket, or exec with grpc_health_probe"})
    return made | times if made else {}


def _registries(found: Found, spec: Section) -> None:
    for entry in spec.sections("imagePullSecrets"):
        name = entry.text("name")
        stored = found.get("Secret", name)
        server = _server(stored) if stored is not None else ""
        if stored is not None and server:
            stored.taken = True
            resource = spec.draft.named("registry", name)
            spec.draft.resources[resource] = {"type": "registry", "server": server}
            spec.report(entry.node, f"the login of {server} is not written", f"`portable secret set {resource}`")
        else:
            spec.report(entry.node, f"the pull secret {name} is not here", "add a resource of type registry")


def _server(stored: Manifest) -> str:
    """The host in a docker config, and nothing else of it."""
    import base64
    import binascii

    try:
        text = base64.b64decode((stored.plain("data") or {}).get(".dockerconfigjson", ""))
        return next(iter(json.loads(text)["auths"]), "")
    except (binascii.Error, ValueError, KeyError, TypeError):
        return ""
