"""A workload of a spec as a Score file (v1b1), and what Score cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from portable.errors import Problem, UsageError
from portable.spec.document import did_you_mean, listed
from portable.spec.model import App
from portable.spec.placeholders import Placeholder, placeholders, replace
from portable.spec.profile import placed

_OURS = {
    "kind": "Score has one kind of workload",
    "schedule": "Score has one kind of workload",
    "after": "Score knows no other workloads",
    "scale": "Score leaves numbers to whoever runs it",
    "rollout": "Score leaves updates to whoever runs it",
    "availability": "Score leaves places to whoever runs it",
    "identity": "Score has no identities",
    "security": "Score leaves security to whoever runs it",
}
_CONTAINER = {
    "build": "Score names an image: `.` stands for the one that is built",
    "startupProbe": "Score has no startup probe",
}
_PARAMS = {
    "postgres": ("version", "size"),
    "redis": ("version", "size"),
    "volume": ("size", "access"),
    "secret": ("keys",),
    "config": ("data",),
}


@dataclass(frozen=True)
class Exported:
    """`text` is valid Score; `lost` is what it does not say, each with its place in the spec."""

    text: str
    lost: tuple[Problem, ...]


def export_score(app: App, workload: str | None) -> Exported:
    """Raises UsageError for an unknown workload, and where there are several and none is named."""
    from portable.spec.score import API_GROUP

    name = _chosen(app, workload)
    body = app.spec["workloads"][name]
    lost = [_lost(app, ("workloads", name, key), why) for key, why in _OURS.items() if key in body]
    lost += _elsewhere(app, name)
    document: dict[str, Any] = {"apiVersion": f"{API_GROUP}v1b1", "metadata": {"name": name}}
    if annotations := body.get("annotations"):
        document["metadata"]["annotations"] = annotations
    if "service" in body:
        document["service"] = body["service"]
    containers: dict[str, Any] = {}
    for container, content in body["containers"].items():
        containers[container] = _container(app, name, container, content, lost)
    document["containers"] = containers
    if resources := {**_resources(app, body, lost), **_routes(body)}:
        document["resources"] = resources
    return Exported(_dump(document), tuple(dict.fromkeys(lost)))


def _chosen(app: App, workload: str | None) -> str:
    names = list(app.workloads)
    if workload is None and len(names) == 1:
        return names[0]
    if workload is None:
        raise UsageError(
            f"{app.name} has {len(names)} workloads, a Score file one", fix=f"`--workload` {listed(names)}"
        )
    if workload not in names:
        hint = did_you_mean(workload, names)
        raise UsageError(
            f"no workload is called {workload!r}" + (f": {hint}" if hint else ""), fix=f"there are: {listed(names)}"
        )
    return workload


def _elsewhere(app: App, name: str) -> Iterator[Problem]:
    if app.name != name:
        yield _lost(app, ("metadata", "name"), f"the app's name is {name} where the Score file is run by itself")
    for key in ("cluster", "patches"):
        if app.spec.get(key):
            yield _lost(app, (key,), "Score describes one workload and nothing else")


def _container(app: App, workload: str, name: str, body: Mapping[str, Any], lost: list[Problem]) -> dict[str, Any]:
    path = ("workloads", workload, "containers", name)
    found = {key: value for key, value in body.items() if key not in _CONTAINER}
    lost += [_lost(app, (*path, key), why) for key, why in _CONTAINER.items() if key in body]
    if "build" in body:
        found.setdefault("image", ".")
    for key in ("livenessProbe", "readinessProbe"):
        if key in found:
            found[key] = probe = {way: value for way, value in body[key].items() if way in ("httpGet", "exec")}
            lost += [
                _lost(app, (*path, key, way), f"Score's probes have no {way}") for way in body[key] if way not in probe
            ]
            if not probe:
                del found[key]
    if "variables" in found:
        found["variables"] = {key: _said(app, text) for key, text in body["variables"].items()}
    if "files" in found:
        found["files"] = {
            key: {**file, "content": _said(app, file["content"])}
            if "content" in file and not file.get("noExpand")
            else file
            for key, file in body["files"].items()
        }
    return {"image": found.pop("image"), **found}


def _said(app: App, text: str) -> str:
    """Other workloads' names and ports written out: Score's placeholders are about resources alone."""

    def value(placeholder: Placeholder) -> str | None:
        if placeholder.root != "workloads":
            return None
        if placeholder.output == "host":
            return placeholder.name
        return str(app.workloads[placeholder.name].ports[placeholder.output.partition(".")[2]].port)

    return replace(text, value)


def _resources(app: App, body: Mapping[str, Any], lost: list[Problem]) -> dict[str, Any]:
    """The resources that the workload uses. Those that several use keep one `id`, by which Score shares them."""
    found: dict[str, Any] = {}
    for name in sorted(set(_used(body))):
        resource = app.spec.get("resources", {}).get(name)
        if resource is None:
            continue
        kind = resource["type"]
        params = {key: resource[key] for key in _PARAMS.get(kind, ()) if key in resource}
        users = [each for each in app.spec["workloads"].values() if name in set(_used(each))]
        found[name] = (
            {"type": kind}
            | ({"id": f"{app.name}.{name}"} if len(users) > 1 else {})
            | ({"params": params} if params else {})
        )
    for name, resource in app.spec.get("resources", {}).items():
        if resource["type"] == "registry":
            lost.append(_lost(app, ("resources", name), "Score leaves registries to whoever runs it"))
    return found


def _used(body: Mapping[str, Any]) -> Iterator[str]:
    """Names of resources in placeholders and mounts; the certificate of a route."""
    for container in body["containers"].values():
        texts = [*container.get("variables", {}).values()]
        texts += [file["content"] for file in container.get("files", {}).values() if "content" in file]
        sources = [mount["source"] for mount in container.get("volumes", {}).values()]
        for found in (each for text in [*texts, *sources] for each in placeholders(text)):
            if found.root == "resources":
                yield found.name
        yield from (source for source in sources if "${" not in source)
    for route in body.get("routes", {}).values():
        if route.get("tls", "auto") != "auto":
            yield route["tls"]


def _routes(body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{name}-route" if len(name) < 2 else name: {"type": "route", "params": dict(route)}
        for name, route in body.get("routes", {}).items()
    }


def _lost(app: App, path: Sequence[str], why: str) -> Problem:
    words = f"{'.'.join(path)} is not in the Score file: {why}"
    return placed(app, Problem(words, path=".".join(path), severity="warning"))


def _dump(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=140)
