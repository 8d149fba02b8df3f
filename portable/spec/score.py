"""Score files: a plain score.yaml as an app of one workload, or as the body of a workload (`score: ./score.yaml`).

Everything is done on nodes, so every later problem points into the Score file. Kept from Score v1b1 as published: the older
list forms of `files` and `volumes`; `exec` before `httpGet` where a probe has both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portable.errors import Problem, SpecError
from portable.spec.document import Document, Node, merge, shown
from portable.spec.load import read_document
from portable.spec.score_resources import ScoreFile, take_resource, take_routes
from portable.spec.validate import check_schema

API_GROUP = "score.dev/"


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
    score = ScoreFile(document, name)
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
        score = ScoreFile(read, name)
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


def _join(score: ScoreFile, resources: dict[str, Node]) -> None:
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


def _body(score: ScoreFile) -> Node:
    """The workload that the file describes; fills the resources and routes of `score`."""
    root = score.document.root
    resources = root.child("resources")
    if resources is not None and isinstance(resources.content, dict):
        for name, node in resources.content.items():
            take_resource(score, name, node)
        take_routes(score, resources.content)
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
