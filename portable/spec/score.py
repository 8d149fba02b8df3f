"""Score files: a plain score.yaml as an app of one workload, or as the body of a workload (`score: ./score.yaml`).

Everything is done on nodes, so every later problem points into the Score file. Kept from Score v1b1 as published: the older
list forms of `files` and `volumes`; `exec` before `httpGet` where a probe has both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from portable.errors import Problem, SpecError
from portable.spec.document import Document, Node, did_you_mean, listed, merge, shown
from portable.spec.load import read_document
from portable.spec.placeholders import Placeholder, placeholders, replace
from portable.spec.validate import check_schema

API_GROUP = "score.dev/"


@dataclass
class _Score:
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


def with_score(document: Document) -> tuple[Document, list[Problem]]:
    """`document` as an app, Score files that it is or names included; and warnings. Raises SpecError for faults in them."""
    version = document.root.child("apiVersion")
    if version is not None and isinstance(version.content, str) and version.content.startswith(API_GROUP):
        return _whole(document)
    return _wrapped(document)


def _whole(document: Document) -> tuple[Document, list[Problem]]:
    document = _checked(document)
    metadata = document.root.plain()["metadata"]
    name = metadata["name"]
    score = _Score(document, name)
    body = _body(score)
    _raise_errors(score.problems, document)
    at = document.root.mark
    called = document.root.child("metadata")
    assert called is not None
    named = called.child("name")
    assert named is not None
    key = called.key or at
    content = {
        "apiVersion": Node("portable/v1", at),
        "kind": Node("App", at),
        "metadata": Node({"name": named}, called.mark, key),
        "workloads": Node({name: Node(body.content, at, named.mark)}, at, at),
        "resources": Node(dict(score.resources), at, at),
    }
    root, hidden = Node(content, at), ("workloads", name)
    app = Document(document.file, root, document.sources, {document.file: metadata}, hidden, frozenset(score.used))
    return app, score.problems


def _wrapped(document: Document) -> tuple[Document, list[Problem]]:
    """Each workload with a `score` key gets the file's body, overlaid by what stands beside the key."""
    workloads = document.root.child("workloads")
    if workloads is None or not isinstance(workloads.content, dict):
        return document, []
    problems: list[Problem] = []
    resources: dict[str, Node] = {}
    bodies: dict[str, Node] = {}
    sources: dict[str, str] = {}
    metadata: dict[str, Mapping[str, Any]] = {}
    used: set[str] = set()
    for name, workload in workloads.content.items():
        reference = workload.child("score")
        if reference is None or not isinstance(reference.content, str):
            continue
        read = _read(document, reference, problems)
        if read is None:
            continue
        score = _Score(read, name)
        body = _body(score)
        body.key = workload.key
        assert isinstance(workload.content, dict)
        beside = {key: child for key, child in workload.content.items() if key != "score"}
        bodies[name] = merge(body, Node(beside, workload.mark, workload.key))
        _join(score, resources)
        problems += score.problems
        sources.update(read.sources)
        metadata[read.file] = read.root.plain()["metadata"]
        used |= score.used
    _raise_errors(problems, document)
    if not bodies:
        return document, []
    assert isinstance(document.root.content, dict)
    content = dict(document.root.content)
    content["workloads"] = Node({**workloads.content, **bodies}, workloads.mark, workloads.key)
    own = content.get("resources")
    theirs = Node(resources, workloads.mark, workloads.key)
    content["resources"] = merge(theirs, own) if own is not None else theirs
    root = Node(content, document.root.mark)
    read_from = {**document.sources, **sources}
    return Document(document.file, root, read_from, metadata, used=frozenset(used)), problems


def _raise_errors(problems: list[Problem], document: Document) -> None:
    if any(problem.severity == "error" for problem in problems):
        raise SpecError(sorted(problems, key=document.order), file=document.file)


def _checked(document: Document) -> Document:
    """`document` with list forms turned into maps, valid by Score's schema. Raises SpecError."""
    document = document.replaced(_without_lists(document.root))
    problems = check_schema(document, "score.v1b1", document.root.plain()).problems
    _raise_errors(problems, document)
    return document


def _read(document: Document, reference: Node, problems: list[Problem]) -> Document | None:
    folder = Path(document.file).parent
    path = folder / str(reference.content)
    inside = path.resolve().is_relative_to(folder.resolve())
    if not inside or not path.is_file():
        message = f"there is no file {shown(reference.content)}" if inside else "score is outside the spec's folder"
        problems.append(document.problem_at(reference.mark, message, expected=f"a Score file in {folder}"))
        return None
    try:
        read = read_document(path)
        version = read.root.child("apiVersion")
        if version is None or not str(version.content).startswith(API_GROUP):
            problems.append(document.problem_at(reference.mark, f"{shown(reference.content)} is not a Score file"))
            return None
        return _checked(read)
    except SpecError as error:
        problems += error.problems
        return None


def _join(score: _Score, resources: dict[str, Node]) -> None:
    """Adds the file's resources to the app's. Score keeps resources of two files apart unless they have the same `id`."""
    for name, node in score.resources.items():
        other = resources.get(name)
        if other is not None and (node.text != other.text or not node.text):
            score.report(
                node,
                f"{shown(name)} is a resource of another Score file, too ({other.mark.file})",
                hint="give it the same `id` in both files to share it, or another name",
            )
        resources.setdefault(name, node)


def _without_lists(root: Node) -> Node:
    """`files` and `volumes` as maps by target, where an older file has lists."""
    containers = root.child("containers")
    if not isinstance(root.content, dict) or containers is None or not isinstance(containers.content, dict):
        return root
    changed: dict[str, Node] = {}
    for name, container in containers.content.items():
        content = container.content
        if isinstance(content, dict):
            keyed = {key: _by_target(content[key]) for key in ("files", "volumes") if key in content}
            container = Node({**content, **keyed}, container.mark, container.key)
        changed[name] = container
    content = {**root.content, "containers": Node(changed, containers.mark, containers.key)}
    return Node(content, root.mark)


def _by_target(node: Node) -> Node:
    if not isinstance(node.content, list):
        return node
    entries: dict[str, Node] = {}
    for item in node.content:
        target = item.child("target")
        if target is None or not isinstance(target.content, str) or target.content in entries:
            return node  # the schema will say that a map is wanted
        assert isinstance(item.content, dict)
        rest = {key: child for key, child in item.content.items() if key != "target"}
        entries[target.content] = Node(rest, item.mark, target.mark)
    return Node(entries, node.mark, node.key)


def _body(score: _Score) -> Node:
    """The workload that the file describes; fills the resources and routes of `score`."""
    root = score.document.root
    resources = root.child("resources")
    if resources is not None and isinstance(resources.content, dict):
        for name, node in resources.content.items():
            _resource(score, name, node)
        _routes(score, resources.content)
    containers = root.child("containers")
    assert containers is not None
    assert isinstance(containers.content, dict)
    body = {
        "containers": Node(
            {name: _container(node) for name, node in containers.content.items()}, containers.mark, containers.key
        )
    }
    service = root.child("service")
    if service is not None:
        body["service"] = service
    if score.routes:
        body["routes"] = Node(score.routes, root.mark, root.mark)
    metadata = root.child("metadata")
    annotations = metadata.child("annotations") if metadata is not None else None
    if annotations is not None:
        body["annotations"] = annotations
        for key, node in annotations.content.items() if isinstance(annotations.content, dict) else ():
            if key.startswith("k8s.score.dev/"):
                score.warn(node, f"{key} has no effect here", hint="name the `kind` of the workload in a portable.yaml")
    return Node(body, root.mark)


def _container(node: Node) -> Node:
    """Amounts in Kubernetes' own units, and one question for each probe."""
    assert isinstance(node.content, dict)
    content = dict(node.content)
    for key in ("livenessProbe", "readinessProbe"):
        probe = content.get(key)
        if probe is not None and isinstance(probe.content, dict) and len(probe.content) > 1:
            content[key] = Node({"exec": probe.content["exec"]}, probe.mark, probe.key)
    compute = content.get("resources")
    if compute is not None and isinstance(compute.content, dict):
        sections = {
            section: Node(
                {key: _quantity(amount) for key, amount in amounts.content.items()}, amounts.mark, amounts.key
            )
            for section, amounts in compute.content.items()
            if isinstance(amounts.content, dict)
        }
        content["resources"] = Node(sections, compute.mark, compute.key)
    return Node(content, node.mark, node.key)


def _quantity(node: Node) -> Node:
    text = str(node.content)
    text = text[:-1] + "k" if text.endswith("K") else text
    return Node("0" + text if text.startswith(".") else text, node.mark, node.key)


def _resource(score: _Score, name: str, node: Node) -> None:
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


def _only(score: _Score, node: Node, params: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
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
    def make(score: _Score, _name: str, node: Node, params: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": kind, **_only(score, node, params, ("version", "size"))}

    return make


def _volume(score: _Score, name: str, node: Node, params: Mapping[str, Any]) -> dict[str, Any]:
    if "size" not in params:
        score.warn(node, f"the volume {shown(name)} gets 1Gi: the file names no size", hint="`params: {size: 10Gi}`")
    return {"type": "volume", "size": "1Gi", **_only(score, node, params, ("size", "access"))}


def _secret(score: _Score, name: str, node: Node, params: Mapping[str, Any]) -> dict[str, Any]:
    """Values from outside, set with `portable secret set`. Their keys are those that the containers ask for."""
    given = _only(score, node, params, ("keys",))
    asked = list(dict.fromkeys(placeholder.output for placeholder in _asked(score) if placeholder.name == name))
    keys = given.get("keys") or [key for key in asked if key]
    return {"type": "secret", **({"keys": keys} if keys else {})}


def _asked(score: _Score) -> list[Placeholder]:
    found: list[Placeholder] = []
    for container in score.document.root.plain()["containers"].values():
        texts = [*container.get("variables", {}).values()]
        texts += [file.get("content", "") for file in container.get("files", {}).values()]
        found += [item for text in texts for item in placeholders(text) if item.root == "resources"]
    return found


def _config(score: _Score, _name: str, node: Node, params: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "config", "data": {}, **_only(score, node, params, ("data",))}


def _dns(score: _Score, _name: str, node: Node, params: Mapping[str, Any]) -> dict[str, Any]:
    # Score leaves the name to whoever runs the app; this one is the user's own machine by RFC 6761.
    host = _only(score, node, params, ("host",)).get("host", f"{score.name}.localhost")
    return {"type": "config", "data": {"host": host}}


def _route(_score: _Score, _name: str, _node: Node, _params: Mapping[str, Any]) -> None:
    """Becomes a route of the workload once all resources are known."""


def _routes(score: _Score, resources: Mapping[str, Node]) -> None:
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


def _host(score: _Score, placeholder: Placeholder) -> str | None:
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
