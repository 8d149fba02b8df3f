"""Makes the model from a document that fits the schema: defaults filled, kinds derived, files read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portable.errors import Problem
from portable.spec import document as places
from portable.spec.document import Document, Positions
from portable.spec.files import read_file
from portable.spec.image_builds import image_name, read_build
from portable.spec.model import (
    App,
    Availability,
    Cluster,
    ComputeResources,
    Config,
    Container,
    Database,
    HttpGet,
    Kind,
    Mount,
    Nodes,
    Patch,
    Port,
    Probe,
    Registry,
    Resource,
    Rollout,
    Route,
    Scale,
    Secret,
    Security,
    Volume,
    Workload,
)
from portable.spec.quantities import parse_duration
from portable.spec.reader import Reader, expanded

_MOUNT_SOURCE = re.compile(r"\$\{resources\.([-a-z0-9]+)(?:\.source)?\}")


def build(
    document: Document, value: Mapping[str, Any], broken: frozenset[places.Path], environment: str | None
) -> tuple[App, list[Problem]]:
    """The app that `value` (`document` without places) describes, without the parts in `broken`; and what is wrong in it."""
    metadata = {} if ("metadata",) in broken or ("metadata", "name") in broken else value["metadata"]
    reader = Reader(document, Path(document.file).parent, metadata)
    resources = {name: _resource(name, body) for name, body in _sound(value, "resources", broken).items()}
    workloads = {
        name: _workload(reader, name, body, resources) for name, body in _sound(value, "workloads", broken).items()
    }
    overlay = value.get("environments", {}).get(environment, {}) if environment else {}
    spec = {key: part for key, part in value.items() if key != "environments"}
    app = App(
        name=metadata.get("name", "app"),
        environment=environment,
        cloud=overlay.get("cloud"),
        workloads=workloads,
        resources=resources,
        cluster=Cluster() if any(path[:1] == ("cluster",) for path in broken) else _cluster(value.get("cluster", {})),
        patches={name: _patch(name, body) for name, body in _sound(value, "patches", broken).items()},
        positions=Positions(document),
        digest=_digest(environment, spec, reader.contents, [*document.metadata.values()]),
        annotations=metadata.get("annotations", {}),
        spec=spec,
        protected=overlay.get("protect", False),
    )
    return app, reader.problems


def _sound(value: Mapping[str, Any], section: str, broken: frozenset[places.Path]) -> dict[str, Any]:
    if (section,) in broken:
        entries = value.get(section)
        if not isinstance(entries, dict):
            return {}
    return {name: body for name, body in value.get(section, {}).items() if (section, name) not in broken}


def _digest(
    environment: str | None, spec: Mapping[str, Any], contents: Mapping[str, str], metadata: list[Mapping[str, Any]]
) -> str:
    canonical = json.dumps(
        {"environment": environment, "spec": spec, "files": contents, "metadata": metadata},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def _resource(name: str, body: Mapping[str, Any]) -> Resource:
    match body["type"]:
        case "volume":
            return Volume(name, body["size"], body.get("access", "single"))
        case "secret":
            return Secret(name, tuple(body.get("keys", ("value",))))
        case "config":
            return Config(name, dict(body["data"]))
        case "registry":
            return Registry(name, body["server"])
        case _:
            return Database(name, body["type"], body.get("version"), body.get("size", "1Gi"))


def _cluster(body: Mapping[str, Any]) -> Cluster:
    nodes = _nodes(body.get("nodes", {}))
    pools = {"default": nodes} if "nodes" in body else {}
    return Cluster(
        body.get("existing") or body.get("name", "portable"),
        body.get("version"),
        nodes,
        {**pools, **{name: _nodes(pool) for name, pool in body.get("pools", {}).items()}},
        body.get("region"),
        "existing" in body,
        tuple(body.get("api", {}).get("allow", ())),
        body.get("private", False),
    )


def _nodes(body: Mapping[str, Any]) -> Nodes:
    return Nodes(
        int(body.get("min", 1)),
        _whole(body.get("max")),
        _amount(body.get("cpu")),
        body.get("memory"),
        body.get("spot", False),
    )


def _patch(name: str, body: Mapping[str, Any]) -> Patch:
    return Patch(name, body["target"], body.get("cloud"), body.get("merge"), tuple(body.get("json", ())))


def _workload(reader: Reader, name: str, body: Mapping[str, Any], resources: Mapping[str, Resource]) -> Workload:
    path = ("workloads", name)
    containers = {
        key: _container(reader, (*path, "containers", key), key, container)
        for key, container in body.get("containers", {}).items()
    }
    ports = {key: _port(key, port) for key, port in body.get("service", {}).get("ports", {}).items()}
    routes = {key: _route(key, route) for key, route in body.get("routes", {}).items()}
    security = body.get("security", {})
    availability = body.get("availability", {})
    return Workload(
        name=name,
        kind=body.get("kind") or _kind(body, containers, resources),
        containers=containers,
        ports=ports,
        schedule=body.get("schedule"),
        after=dict(body.get("after", {})),
        scale=_scale(body.get("scale", {})),
        routes=routes,
        rollout=_rollout(reader, (*path, "rollout"), body.get("rollout", {})),
        availability=Availability(availability.get("spread", "soft"), _whole(availability.get("disruption", 1))),
        identity=body.get("identity"),
        security=Security(
            _whole(security.get("user")),
            tuple(security.get("writable", ())),
            security.get("level"),
            tuple(security["egress"]) if "egress" in security else None,
        ),
        annotations=dict(body.get("annotations", {})),
    )


def _kind(body: Mapping[str, Any], containers: Mapping[str, Container], resources: Mapping[str, Resource]) -> Kind:
    """The kind of a workload that names none: by its schedule, its volumes, its ports."""
    if "schedule" in body:
        return "cron"
    sources = [resources.get(mount.source) for item in containers.values() for mount in item.volumes.values()]
    if any(isinstance(source, Volume) and source.access == "single" for source in sources):
        return "stateful"
    return "service" if body.get("service", {}).get("ports") or body.get("routes") else "worker"


def _scale(body: Mapping[str, Any]) -> Scale:
    low, high = _whole(body.get("min")), _whole(body.get("max"))
    scale = Scale(low, high, _whole(body.get("cpu")), _whole(body.get("memory")))
    return scale if scale.automatic or high is not None else Scale(low, low)


def _rollout(reader: Reader, path: places.Path, body: Mapping[str, Any]) -> Rollout:
    usual = Rollout()
    timeout = parse_duration(body["timeout"]) if "timeout" in body else usual.timeout
    if timeout < 1:
        reader.error((*path, "timeout"), "timeout is too small: 0", expected="at least 1s")
    return Rollout(
        _whole(body.get("maxUnavailable", usual.max_unavailable)),
        _whole(body.get("maxSurge", usual.max_surge)),
        timeout,
        body.get("onFailure", usual.on_failure),
    )


def _port(name: str, body: Mapping[str, Any]) -> Port:
    port = int(body["port"])
    return Port(name, port, int(body.get("targetPort", port)), body.get("protocol", "TCP"))


def _route(name: str, body: Mapping[str, Any]) -> Route:
    return Route(name, body["host"], body.get("path", "/"), _whole(body.get("port")), body.get("tls"))


def _container(reader: Reader, path: places.Path, name: str, body: Mapping[str, Any]) -> Container:
    compute = body.get("resources", {})
    build = read_build(reader.document, (*path, "build"), body.get("build"), reader.problems)
    return Container(
        name=name,
        image=image_name(reader.metadata.get("name", "app"), path, body.get("image", ""), build),
        command=tuple(body.get("command", ())),
        args=tuple(body.get("args", ())),
        variables={
            key: expanded(reader, (*path, "variables", key), text) for key, text in body.get("variables", {}).items()
        },
        files={
            target: read_file(reader, (*path, "files", target), target, file)
            for target, file in body.get("files", {}).items()
        },
        volumes={target: _mount(target, mount) for target, mount in body.get("volumes", {}).items()},
        before={key: wait["ready"] for key, wait in body.get("before", {}).items()},
        resources=ComputeResources(_amounts(compute.get("requests", {})), _amounts(compute.get("limits", {}))),
        liveness=_probe(body.get("livenessProbe")),
        readiness=_probe(body.get("readinessProbe")),
        startup=_probe(body.get("startupProbe")),
        build=build,
    )


def _mount(target: str, body: Mapping[str, Any]) -> Mount:
    source = body["source"]
    named = _MOUNT_SOURCE.fullmatch(source)
    return Mount(target, named[1] if named else source, body.get("path"), body.get("readOnly", False))


def _probe(body: Mapping[str, Any] | None) -> Probe | None:
    if body is None:
        return None
    http, command, tcp = body.get("httpGet"), body.get("exec"), body.get("tcpSocket")
    return Probe(
        http=None
        if http is None
        else HttpGet(
            http["path"],
            _whole(http["port"]),
            http.get("host"),
            http.get("scheme", "HTTP"),
            {header["name"]: header["value"] for header in http.get("httpHeaders", ())},
        ),
        exec=None if command is None else tuple(command["command"]),
        tcp=None if tcp is None else _whole(tcp["port"]),
        initial_delay=_whole(body.get("initialDelaySeconds")),
        period=_whole(body.get("periodSeconds")),
        timeout=_whole(body.get("timeoutSeconds")),
        success_threshold=_whole(body.get("successThreshold")),
        failure_threshold=_whole(body.get("failureThreshold")),
    )


def _whole(value: Any) -> Any:
    """JSON Schema takes 2.0 for an integer; Kubernetes does not."""
    return int(value) if isinstance(value, float) else value


def _amount(value: str | float | None) -> str | None:
    return value if value is None or isinstance(value, str) else f"{value:g}"


def _amounts(body: Mapping[str, Any]) -> dict[str, str]:
    """Of the known keys only: an unknown one is a fault, but not one that keeps the workload from being looked at."""
    return {key: amount for key in ("cpu", "memory") if (amount := _amount(body.get(key))) is not None}
