"""What a spec must hold beyond its schema: each workload for itself, and the app as a whole.

`portable.spec.references` checks what one part says about another.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from portable.errors import Problem
from portable.spec.cron import cron_fault
from portable.spec.document import Document, Path, shown
from portable.spec.facts import Facts
from portable.spec.foreign import SCORE_BUILD
from portable.spec.images import has_version, image_fault, is_pinned
from portable.spec.model import App, Build, Config, Container, Database, Probe, Volume, Workload
from portable.spec.quantities import parse_quantity
from portable.spec.references import check_references

# Kubernetes puts a hash or a number after these names, in a label or a name of 63 characters.
LONGEST_NAME = {"stateful": 52, "job": 52, "cron": 52}
_LONGEST_LABEL = 63
MAX_CONFIG_BYTES = 1024 * 1024  # the data of one ConfigMap or Secret
_RESERVED = ("default", "kube-system", "kube-public", "kube-node-lease")
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_RUNS_ONCE = ("job", "cron")
_SECRET_WORDS = re.compile(r"token|password|passwd|secret|credential|private_?key|api_?key", re.IGNORECASE)


def check_app(app: App, document: Document, value: Mapping[str, Any]) -> Iterator[Problem]:
    """The problems of those parts of `app` that fit the schema. `value` is the whole of `document` without places."""
    facts = Facts(app, document, _names(value, "workloads"), _names(value, "resources"))
    for workload in app.workloads.values():
        yield from _workload_problems(facts, workload, ("workloads", workload.name))
    yield from _name_problems(facts)
    yield from _resource_problems(facts)
    yield from _cluster_problems(facts)
    yield from _patch_problems(facts)
    yield from check_references(facts)


def _names(value: Mapping[str, Any], section: str) -> frozenset[str]:
    entries = value.get(section)
    return frozenset(entries) if isinstance(entries, dict) else frozenset()


def _workload_problems(facts: Facts, workload: Workload, path: Path) -> Iterator[Problem]:
    if facts.has((*path, "score")):
        yield facts.problem((*path, "score"), "an environment cannot bring a Score file", at="key")
    elif not workload.containers:
        yield facts.problem(
            path, f"{workload.name} has no containers", at="key", expected="containers, or a score file"
        )
    yield from _kind_problems(facts, workload, path)
    yield from _scale_problems(facts, workload, path)
    yield from _port_problems(facts, workload, path)
    yield from _size_problems(facts, workload, path)
    for name, container in workload.containers.items():
        yield from _container_problems(facts, container, (*path, "containers", name))


def _kind_problems(facts: Facts, workload: Workload, path: Path) -> Iterator[Problem]:
    kind = workload.kind
    if workload.schedule is not None:
        fault = cron_fault(workload.schedule)
        if fault:
            yield facts.problem(
                (*path, "schedule"), f"schedule is not right: {fault}", expected="such as `*/15 * * * *`"
            )
        if kind != "cron":
            yield facts.problem((*path, "schedule"), f"a {kind} has no schedule", at="key", hint="leave out `kind`")
    elif kind == "cron":
        yield facts.problem(
            (*path, "kind"), "a cron workload needs a schedule", expected="such as `schedule: '@daily'`"
        )
    if kind in _RUNS_ONCE:
        for key, there in (
            ("routes", bool(workload.routes)),
            ("service", bool(workload.ports)),
            ("scale", facts.has((*path, "scale"))),
            ("availability", facts.has((*path, "availability"))),
        ):
            if there:
                yield facts.problem((*path, key), f"a {kind} has no {key}", at="key", hint=f"leave out `{key}`")
    if kind == "service" and not workload.ports:
        place = (*path, "routes") if workload.routes else (*path, "kind")
        yield facts.problem(
            place, "a service needs ports", at="key", expected="such as `service: {ports: {http: {port: 80}}}`"
        )
    if kind == "worker" and (workload.ports or workload.routes):
        what = "service" if workload.ports else "routes"
        yield facts.problem((*path, what), f"a worker has no {what}", at="key", hint="use `kind: service`")
    if kind == "stateful" and workload.routes and not workload.ports:
        yield facts.problem((*path, "routes"), "a route needs a port to lead to", at="key", expected="service.ports")
    yield from _length_problem(facts, path, workload.name, kind)


def _length_problem(facts: Facts, path: Path, name: str, kind: str) -> Iterator[Problem]:
    longest = LONGEST_NAME.get(kind, _LONGEST_LABEL)
    if len(name) > longest:
        yield facts.problem(
            path,
            f"the name of a {kind} may have {longest} characters, this one has {len(name)}",
            at="key",
            hint="Kubernetes adds a suffix to it",
        )


def _scale_problems(facts: Facts, workload: Workload, path: Path) -> Iterator[Problem]:
    scale, path = workload.scale, (*path, "scale")
    if scale.min is not None and scale.max is not None and scale.min > scale.max:
        yield facts.problem((*path, "min"), f"min is {scale.min}, more than max, which is {scale.max}")
    elif scale.automatic and scale.max is None:
        yield facts.problem(path, "scaling with the load needs a max", at="key", expected="max, such as `max: 10`")
    elif not scale.automatic and scale.min != scale.max:
        message = "there is a max, but nothing that the number of copies should follow"
        yield facts.problem((*path, "max"), message, expected="cpu or memory, such as `cpu: 70`; or `min` alone")
    volume = _single_volume(facts.app, workload)
    copies = scale.max if scale.automatic else scale.min
    if volume is not None and workload.kind in ("service", "worker") and (copies or 1) > 1:
        yield facts.problem(
            path,
            f'{copies} copies of a {workload.kind} cannot share the volume "{volume}": its access is single',
            at="key",
            hint="use `kind: stateful` (a volume for each copy), or `access: shared` for the volume",
        )


def _single_volume(app: App, workload: Workload) -> str | None:
    for container in workload.containers.values():
        for mount in container.volumes.values():
            resource = app.resources.get(mount.source)
            if isinstance(resource, Volume) and resource.access == "single":
                return resource.name
    return None


def _port_problems(facts: Facts, workload: Workload, path: Path) -> Iterator[Problem]:
    seen: dict[tuple[int, str], str] = {}
    for port in workload.ports.values():
        first = seen.setdefault((port.port, port.protocol), port.name)
        if first != port.name:
            place = (*path, "service", "ports", port.name, "port")
            yield facts.problem(place, f"the port {port.port} is already called {shown(first)}")


def _size_problems(facts: Facts, workload: Workload, path: Path) -> Iterator[Problem]:
    files = [file for container in workload.containers.values() for file in container.files.values()]
    total = sum(len((file.content or "").encode()) + len(file.binary or b"") for file in files)
    if total > MAX_CONFIG_BYTES:
        message = f"the files of {workload.name} have {total:,} bytes; Kubernetes takes {MAX_CONFIG_BYTES:,}"
        yield facts.problem(path, message, at="key", hint="put large files into the image or a volume")


def _container_problems(facts: Facts, container: Container, path: Path) -> Iterator[Problem]:
    fault = image_fault(container.image)
    if container.build is not None:
        yield from _build_problems(facts, container.build, container.image, path)
    elif fault:
        hint = SCORE_BUILD if facts.document.hidden else "name the image that your build makes, or add `build: .`"
        hint = hint if container.image == "." else ""
        message = f"{shown(container.image)} is not an image: {fault}"
        yield facts.problem((*path, "image"), message, expected="such as ghcr.io/acme/api:1.4.2", hint=hint)
    elif not is_pinned(container.image):
        yield facts.problem(
            (*path, "image"),
            f"{container.image} may be another image tomorrow",
            expected="a tag other than latest, or a digest",
            severity="warning",
        )
    for name in container.variables:
        if not _VARIABLE.fullmatch(name):
            message = f"{shown(name)} is not a name for a variable"
            expected = "letters, digits, '_', '-' and '.', not beginning with a digit"
            yield facts.problem((*path, "variables", name), message, at="key", expected=expected)
    for target in container.files:
        if target in container.volumes:
            yield facts.problem((*path, "files", target), f"a volume is mounted at {target}, too", at="key")
    for key, probe in (
        ("livenessProbe", container.liveness),
        ("readinessProbe", container.readiness),
        ("startupProbe", container.startup),
    ):
        if probe is not None:
            yield from _probe_problems(facts, probe, (*path, key))
    yield from _compute_problems(facts, container, (*path, "resources"))


def _build_problems(facts: Facts, build: Build, image: str, path: Path) -> Iterator[Problem]:
    fault = image_fault(image) or ("it has a tag or digest" if has_version(image) else None)
    if fault:
        yield facts.problem(
            (*path, "image"),
            f"{shown(image)} is not where a built image can be pushed: {fault}",
            expected="a repository, such as ghcr.io/acme/api; its tag is made from what is built",
        )
    for name, value in build.args.items():
        place = (*path, "build", "args", name)
        if "${" in value:
            yield facts.problem(place, "build arguments have no placeholders", hint="write the value itself")
        elif _SECRET_WORDS.search(name):
            message = f"{name} looks like a secret: whoever has the image can read its build arguments"
            hint = f"use `secrets: {{{name.lower()}: {{env: {name}}}}}` and `RUN --mount=type=secret,id={name.lower()}`"
            yield facts.problem(place, message, at="key", hint=hint, severity="warning")
    for source in build.sync:
        if source.startswith("/") or ".." in source.split("/"):
            expected = "a path inside the build's context"
            yield facts.problem(
                (*path, "build", "sync", source), f"{shown(source)} is outside", at="key", expected=expected
            )


def _probe_problems(facts: Facts, probe: Probe, path: Path) -> Iterator[Problem]:
    ways = [way for way in (probe.http, probe.exec, probe.tcp) if way is not None]
    if len(ways) != 1:
        message = f"{path[-1]} asks {'nothing' if not ways else 'more than one thing'}"
        yield facts.problem(path, message, at="key", expected="exactly one of httpGet, exec and tcpSocket")
    if path[-1] != "readinessProbe" and probe.success_threshold not in (None, 1):
        yield facts.problem((*path, "successThreshold"), f"successThreshold of a {path[-1]} can only be 1")


def _compute_problems(facts: Facts, container: Container, path: Path) -> Iterator[Problem]:
    compute = container.resources
    for section, amounts in (("requests", compute.requests), ("limits", compute.limits)):
        for key, amount in amounts.items():
            if parse_quantity(amount) == 0:
                yield facts.problem((*path, section, key), f"{key} is 0", hint="leave it out, or give an amount")
    for key, amount in compute.requests.items():
        limit = compute.limits.get(key)
        if limit is not None and parse_quantity(amount) > parse_quantity(limit):
            message = f"the request for {key}, {amount}, is more than its limit, {limit}"
            yield facts.problem((*path, "requests", key), message)


def _name_problems(facts: Facts) -> Iterator[Problem]:
    app = facts.app
    place: Path = ("metadata", "name") if app.environment is None else ("environments", app.environment)
    if len(app.namespace) > _LONGEST_LABEL:
        yield facts.problem(
            place,
            f"the namespace {app.namespace} would have {len(app.namespace)} characters",
            expected="63 at most for the app's name, '-' and the environment together",
        )
    if app.namespace in _RESERVED or app.namespace.startswith("kube-"):
        yield facts.problem(place, f"the namespace {app.namespace} belongs to Kubernetes", hint="choose another name")
    for name, resource in app.resources.items():
        if not isinstance(resource, Database):
            continue
        if name in facts.workloads:
            message = f"a workload is called {shown(name)}, too, and both would get a Service of that name"
            yield facts.problem(("resources", name), message, at="key")
        yield from _length_problem(facts, ("resources", name), name, "stateful")


def _resource_problems(facts: Facts) -> Iterator[Problem]:
    users: dict[str, list[str]] = defaultdict(list)
    for workload in facts.app.workloads.values():
        mounts = (mount for container in workload.containers.values() for mount in container.volumes.values())
        for source in dict.fromkeys(mount.source for mount in mounts):
            users[source].append(workload.name)
    for name, resource in facts.app.resources.items():
        if (
            isinstance(resource, Config)
            and sum(len(text.encode()) for text in resource.data.values()) > MAX_CONFIG_BYTES
        ):
            yield facts.problem(("resources", name), f"the data of {shown(name)} is larger than 1 MiB", at="key")
        if isinstance(resource, Volume) and resource.access == "single" and len(users[name]) > 1:
            yield facts.problem(
                ("resources", name),
                f"{' and '.join(users[name][:3])} mount this volume, whose access is single",
                at="key",
                hint="use `access: shared`, or one volume for each",
            )


def _cluster_problems(facts: Facts) -> Iterator[Problem]:
    nodes = facts.app.cluster.nodes
    if nodes.max is not None and nodes.min > nodes.max:
        message = f"min is {nodes.min}, more than max, which is {nodes.max}"
        yield facts.problem(("cluster", "nodes", "min"), message)


def _patch_problems(facts: Facts) -> Iterator[Problem]:
    for name, patch in facts.app.patches.items():
        path: Path = ("patches", name)
        if patch.merge is None and not patch.json:
            yield facts.problem(path, "a patch that changes nothing", at="key", expected="merge, json or both")
        for index, operation in enumerate(patch.json):
            needed = {"add": "value", "replace": "value", "test": "value", "move": "from", "copy": "from"}
            missing = needed.get(operation["op"])
            if missing is not None and missing not in operation:
                yield facts.problem((*path, "json", index), f'"{missing}" is missing for {operation["op"]}')
