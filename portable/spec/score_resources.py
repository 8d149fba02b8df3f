"""Score's resources by their types: which resource of an app each of them is, or which route."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from portable.errors import Problem
from portable.spec.document import Document, Node, did_you_mean, listed, shown
from portable.spec.placeholders import Placeholder, placeholders, replace


@dataclass
class ScoreFile:
    """One Score file on its way to a workload called `name`: what it becomes, and what is found on the way."""

    document: Document
    name: str
    resources: dict[str, Node] = field(default_factory=dict)
    routes: dict[str, Node] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def report(self, node: Node, message: str, **rest: Any) -> None:
        self.problems.append(self.document.problem_at(node.key or node.mark, message, **rest))

    def warn(self, node: Node, message: str, **rest: Any) -> None:
        self.report(node, message, severity="warning", **rest)


def take_resource(score: ScoreFile, name: str, node: Node) -> None:
    """Adds what the resource is here to those of `score`."""
    body = node.plain()
    kind, params = body["type"], body.get("params", {})
    make = _TYPES.get(kind)
    if make is None:
        known = sorted(_TYPES)
        message = f"resources of type {shown(kind)} are not known here"
        score.report(node.child("type") or node, message, expected=listed(known, 20), hint=did_you_mean(kind, known))
        return
    if body.get("class", "default") != "default":
        score.warn(node.child("class") or node, f"the class {shown(body['class'])} has no effect here")
    made = make(score, name, node, params)
    if made is not None:
        # `text` carries the resource's id, which says whether two files mean the same one
        score.resources[name] = _nodes(made, node, text=body.get("id", ""))


def _nodes(value: Any, at: Node, text: str = "") -> Node:
    """`value` as nodes, all at the place of `at`."""
    if isinstance(value, dict):
        return Node({key: _nodes(item, at) for key, item in value.items()}, at.mark, at.key, text)
    if isinstance(value, list):
        return Node([_nodes(item, at) for item in value], at.mark, at.key)
    return Node(value, at.mark, at.key, str(value))


def _only(score: ScoreFile, node: Node, params: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """Those `params` that are known; a warning for each other one."""
    section = node.child("params")
    for key in params:
        if key not in known:
            place = (section.child(key) if section is not None else None) or node
            score.warn(
                place, f"the parameter {shown(key)} has no effect here", expected=listed(known) or "no parameters"
            )
    return {key: params[key] for key in known if key in params}


def _database(kind: str) -> Callable[..., dict[str, Any]]:
    def make(score: ScoreFile, _name: str, node: Node, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": kind, **_only(score, node, params, ("version", "size"))}

    return make


def _volume(score: ScoreFile, name: str, node: Node, params: Mapping[str, Any]) -> dict[str, Any]:
    if "size" not in params:
        score.warn(node, f"the volume {shown(name)} gets 1Gi: the file names no size", hint="`params: {size: 10Gi}`")
    return {"type": "volume", "size": "1Gi", **_only(score, node, params, ("size", "access"))}


def _secret(score: ScoreFile, name: str, node: Node, params: Mapping[str, Any]) -> dict[str, Any]:
    """Values from outside, set with `portable secret set`. Their keys are those that the containers ask for."""
    given = _only(score, node, params, ("keys",))
    asked = list(dict.fromkeys(placeholder.output for placeholder in _asked(score) if placeholder.name == name))
    keys = given.get("keys") or [key for key in asked if key]
    return {"type": "secret", **({"keys": keys} if keys else {})}


def _asked(score: ScoreFile) -> list[Placeholder]:
    found: list[Placeholder] = []
    for container in score.document.root.plain()["containers"].values():
        texts = [*container.get("variables", {}).values()]
        texts += [file.get("content", "") for file in container.get("files", {}).values()]
        found += [item for text in texts for item in placeholders(text) if item.root == "resources"]
    return found


def _config(score: ScoreFile, _name: str, node: Node, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "config", "data": {}, **_only(score, node, params, ("data",))}


def _dns(score: ScoreFile, _name: str, node: Node, params: Mapping[str, Any]) -> dict[str, Any]:
    # Score leaves the name to whoever runs the app; this one is the user's own machine by RFC 6761.
    host = _only(score, node, params, ("host",)).get("host", f"{score.name}.localhost")
    return {"type": "config", "data": {"host": host}}


def _route(_score: ScoreFile, _name: str, _node: Node, _params: Mapping[str, Any]) -> None:
    """Becomes a route of the workload once all resources are known."""


def take_routes(score: ScoreFile, resources: Mapping[str, Node]) -> None:
    """Adds the routes among `resources` to `score`, once all others are known: a host may name one of them."""
    for name, node in resources.items():
        body = node.plain()
        if body["type"] != "route":
            continue
        params = _only(score, node, body.get("params", {}), ("host", "path", "port", "tls"))
        if not isinstance(params.get("host"), str):
            score.report(node, f'the route {shown(name)} has no "host"', expected="params: {host: ..., port: ...}")
            continue
        params["host"] = replace(params["host"], lambda placeholder: _host(score, placeholder))
        score.routes[name] = _nodes(params, node)


def _host(score: ScoreFile, placeholder: Placeholder) -> str | None:
    resource = score.resources.get(placeholder.name)
    data = resource.child("data") if resource is not None and placeholder.root == "resources" else None
    host = data.child(placeholder.output) if data is not None else None
    if host is None:
        return None
    score.used.add(placeholder.name)
    return str(host.content)


_TYPES: dict[str, Callable[..., dict[str, Any] | None]] = {
    "postgres": _database("postgres"),
    "postgres-instance": _database("postgres"),
    "redis": _database("redis"),
    "volume": _volume,
    "environment": _secret,
    "secret": _secret,
    "config": _config,
    "dns": _dns,
    "route": _route,
}
