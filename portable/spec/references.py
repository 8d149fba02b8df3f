"""What one part of a spec says about another: placeholders, mounts, ports, routes, orders; and what nothing refers to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence

from portable.errors import Problem
from portable.spec.document import Path, did_you_mean, listed, shown
from portable.spec.facts import Facts
from portable.spec.model import Config, Container, Database, Probe, Registry, Route, Secret, Volume, Workload
from portable.spec.outputs import outputs
from portable.spec.placeholders import Placeholder, placeholders, unclosed

TLS_KEYS = ("tls.crt", "tls.key")
_ROOTS = ("metadata", "resources", "workloads")


def check_references(facts: Facts) -> Iterator[Problem]:
    """Every reference that leads nowhere or where it must not, and resources that nothing refers to (warnings)."""
    used = set(facts.document.used)
    for workload in facts.app.workloads.values():
        path = ("workloads", workload.name)
        for name, container in workload.containers.items():
            yield from _container_references(facts, workload, container, (*path, "containers", name), used)
        yield from _before_problems(facts, workload, path)
        yield from _after_problems(facts, workload, path)
        yield from _egress_problems(facts, workload, path, used)
        for route in workload.routes.values():
            yield from _route_problems(facts, workload, route, (*path, "routes", route.name), used)
    yield from _after_cycles(facts)
    yield from _same_routes(facts)
    if len(facts.app.workloads) == len(facts.workloads):
        yield from _unused(facts, used)


def _container_references(
    facts: Facts, workload: Workload, container: Container, path: Path, used: set[str]
) -> Iterator[Problem]:
    for key, text in container.variables.items():
        yield from _unclosed(facts, text, (*path, "variables", key))
        for placeholder in placeholders(text):
            yield from _placeholder_problems(facts, placeholder, (*path, "variables", key), used)
    for target, file in container.files.items():
        if file.content is None or not file.expand:
            continue
        place = _file_place(facts, (*path, "files", target))
        yield from _unclosed(facts, file.content, place)
        for placeholder in placeholders(file.content):
            yield from _placeholder_problems(facts, placeholder, place, used, in_file=True)
    for target, mount in container.volumes.items():
        used.add(mount.source)
        yield from _mount_problems(facts, mount.source, (*path, "volumes", target, "source"))
    for key, probe in (
        ("livenessProbe", container.liveness),
        ("readinessProbe", container.readiness),
        ("startupProbe", container.startup),
    ):
        if probe is not None:
            yield from _probe_port_problems(facts, workload, probe, (*path, key))
    for key, words in (("command", container.command), ("args", container.args)):
        yield from _not_expanded(facts, words, (*path, key))


def _file_place(facts: Facts, path: Path) -> Path:
    return next((place for key in ("content", "source") if facts.has(place := (*path, key))), path)


def _unclosed(facts: Facts, text: str, path: Path) -> Iterator[Problem]:
    if begun := unclosed(text, _ROOTS):
        yield facts.problem(
            path, f"{begun} is not closed", expected="a closing brace", hint=f"write ${begun} for that text"
        )


def _not_expanded(facts: Facts, words: Sequence[str], path: Path) -> Iterator[Problem]:
    for index, word in enumerate(words):
        for placeholder in placeholders(word):
            if placeholder.root in _ROOTS:
                yield facts.problem(
                    (*path, index),
                    f"{placeholder} stays as it is: placeholders work in variables and files only",
                    hint="put it into a variable, and use $(VARIABLE) here",
                    severity="warning",
                )


def _placeholder_problems(
    facts: Facts, placeholder: Placeholder, path: Path, used: set[str], *, in_file: bool = False
) -> Iterator[Problem]:
    escape = f"write ${placeholder} for that text" + (", or `noExpand: true` for the whole file" if in_file else "")
    match placeholder.root:
        case "resources":
            used.add(placeholder.name)
            yield from _resource_placeholder(facts, placeholder, path, in_file)
        case "workloads":
            yield from _workload_placeholder(facts, placeholder, path)
        case "metadata":
            yield facts.problem(path, f"there is no text at {placeholder}", expected="such as ${metadata.name}")
        case root:
            hint = did_you_mean(root, _ROOTS) if len(placeholder.path) > 1 else ""
            message = f"{placeholder} is not a placeholder"
            expected = "${resources...}, ${workloads...} or ${metadata...}"
            yield facts.problem(path, message, expected=expected, hint=hint or escape)


def _resource_placeholder(facts: Facts, placeholder: Placeholder, path: Path, in_file: bool) -> Iterator[Problem]:
    name, output = placeholder.name, placeholder.output
    if name not in facts.resources:
        yield _unknown(facts, path, "resource", name, facts.resources)
        return
    resource = facts.app.resources.get(name)
    if resource is None:  # it does not fit the schema, which is said elsewhere
        return
    known = outputs(resource)
    if not known:
        kind = "volume" if isinstance(resource, Volume) else "registry"
        hint = "mount it under `volumes`" if kind == "volume" else ""
        yield facts.problem(path, f"the {kind} {shown(name)} has no outputs", hint=hint)
    elif output not in known:
        what = f"has no output {shown(output)}" if output else "is a resource, not one of its outputs"
        message = f"{shown(name)} {what}"
        yield facts.problem(path, message, expected=f"one of {listed(known)}", hint=did_you_mean(output, known))
    elif in_file and isinstance(resource, Secret):
        yield facts.problem(
            path,
            f"the secret {shown(name)} cannot be put into a file's text: its value is in the cluster only",
            hint=f"mount it: volumes: {{/run/secrets/{name}: {{source: '${{resources.{name}}}'}}}}",
        )


def _workload_placeholder(facts: Facts, placeholder: Placeholder, path: Path) -> Iterator[Problem]:
    name, output = placeholder.name, placeholder.output
    if name not in facts.workloads:
        yield _unknown(facts, path, "workload", name, facts.workloads)
        return
    workload = facts.app.workloads.get(name)
    if workload is None:
        return
    known = ["host", *(f"port.{port}" for port in workload.ports)] if workload.ports else []
    if not known:
        yield facts.problem(
            path, f"{shown(name)} has no ports, so it cannot be reached", expected="service.ports there"
        )
    elif output not in known:
        message = f"{placeholder} is not known"
        hint = did_you_mean(output, known)
        yield facts.problem(path, message, expected=f"${{workloads.{name}.X}} with X one of {listed(known)}", hint=hint)


def _unknown(facts: Facts, path: Path, what: str, name: str, known: Iterable[str], **rest: str) -> Problem:
    names = sorted(known)
    expected = f"one of {listed(names)}" if names else f"a {what} of that name under `{what}s`"
    message = f"there is no {what} called {shown(name)}"
    return facts.problem(path, message, expected=expected, hint=did_you_mean(name, names), **rest)


def _mount_problems(facts: Facts, source: str, path: Path) -> Iterator[Problem]:
    mountable = [name for name, item in facts.app.resources.items() if isinstance(item, Volume | Secret | Config)]
    if source not in facts.resources:
        yield _unknown(facts, path, "resource", source, mountable)
    elif source in facts.app.resources and source not in mountable:
        yield facts.problem(path, f"{shown(source)} cannot be mounted", expected="a volume, secret or config")


def _probe_port_problems(facts: Facts, workload: Workload, probe: Probe, path: Path) -> Iterator[Problem]:
    for key, port in (("httpGet", probe.http.port if probe.http else None), ("tcpSocket", probe.tcp)):
        if isinstance(port, str) and port not in workload.ports:
            yield _no_port(facts, (*path, key, "port"), workload, port)


def _no_port(facts: Facts, path: Path, workload: Workload, port: str | int) -> Problem:
    known = list(workload.ports)
    expected = f"one of {listed(known)}" if known else "a port under `service.ports`"
    hint = did_you_mean(port, known)
    if isinstance(port, str) and port.isdecimal():
        hint = f"leave out the quotes: {port}"
    return facts.problem(path, f"{workload.name} has no port called {shown(port)}", expected=expected, hint=hint)


def _route_problems(facts: Facts, workload: Workload, route: Route, path: Path, used: set[str]) -> Iterator[Problem]:
    ports = workload.ports
    found = [port for port in ports.values() if route.port in (None, port.name, port.port)]
    if ports and not found:
        yield _no_port(facts, (*path, "port"), workload, route.port or "")
    elif route.port is None and len(found) > 1:
        message = f"{workload.name} has {len(found)} ports"
        yield facts.problem(path, message, at="key", expected=f"port: one of {listed(ports)}")
    elif found and all(port.protocol == "UDP" for port in found):
        yield facts.problem((*path, "port"), f"the port {shown(found[0].name)} is UDP", expected="a TCP port")
    if route.tls is not None and route.tls != "auto":
        used.add(route.tls)
        yield from _tls_problems(facts, route.tls, (*path, "tls"))


def _tls_problems(facts: Facts, name: str, path: Path) -> Iterator[Problem]:
    if name not in facts.resources:
        secrets = [key for key, item in facts.app.resources.items() if isinstance(item, Secret)]
        yield _unknown(facts, path, "resource", name, ["auto", *secrets])
        return
    resource = facts.app.resources.get(name)
    if resource is None:
        return
    keys = resource.keys if isinstance(resource, Secret) else ()
    if not set(TLS_KEYS) <= set(keys):
        what = "lacks the keys of a certificate" if isinstance(resource, Secret) else "is not a secret"
        expected = "auto, or a secret with `keys: [tls.crt, tls.key]`"
        yield facts.problem(path, f"{shown(name)} {what}", expected=expected)


def _same_routes(facts: Facts) -> Iterator[Problem]:
    seen: dict[tuple[str, str], Path] = {}
    for workload in facts.app.workloads.values():
        for route in workload.routes.values():
            path = ("workloads", workload.name, "routes", route.name)
            key = (route.host, route.path.rstrip("/") or "/")
            first = seen.setdefault(key, path)
            if first != path:
                yield facts.problem(
                    (*path, "host"),
                    f"{route.host}{route.path} is already the route {shown(first[3])} of {first[1]}",
                    expected="another host or path",
                )


def _egress_problems(facts: Facts, workload: Workload, path: Path, used: set[str]) -> Iterator[Problem]:
    for index, peer in enumerate(workload.security.egress or ()):
        used.add(peer)
        databases = {name for name, item in facts.app.resources.items() if isinstance(item, Database)}
        known = facts.workloads | databases
        if peer in known or peer in facts.resources - set(facts.app.resources) or _is_network(peer):
            continue
        yield facts.problem(
            (*path, "security", "egress", index),
            f"{shown(peer)} is no workload, database or network",
            expected="a name, or a CIDR such as 10.0.0.0/8",
            hint=did_you_mean(peer, sorted(known)),
        )


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return "/" in text


def _before_problems(facts: Facts, workload: Workload, path: Path) -> Iterator[Problem]:
    for name, container in workload.containers.items():
        for other, state in container.before.items():
            place = (*path, "containers", name, "before", other)
            if other not in workload.containers:
                known = [key for key in workload.containers if key != name]
                message = f"{workload.name} has no container called {shown(other)}"
                hint = did_you_mean(other, known)
                yield facts.problem(place, message, at="key", expected=f"one of {listed(known)}", hint=hint)
            elif state == "healthy" and not (container.readiness or container.startup):
                message = f"nothing says when {name} is healthy"
                yield facts.problem((*place, "ready"), message, expected=f"a readinessProbe for {name}")
    graph = {name: tuple(container.before) for name, container in workload.containers.items()}
    for circle in _circles(graph):
        place = (*path, "containers", circle[0], "before", circle[1])
        yield facts.problem(place, f"containers wait for each other: {' before '.join(circle)}", at="key")


def _after_problems(facts: Facts, workload: Workload, path: Path) -> Iterator[Problem]:
    for other, state in workload.after.items():
        place = (*path, "after", other)
        if other not in facts.workloads:
            hint = f"{other} is a resource, and those always come first" if other in facts.resources else ""
            known = sorted(facts.workloads - {workload.name})
            message = f"there is no workload called {shown(other)}"
            expected = f"one of {listed(known)}" if known else ""
            yield facts.problem(place, message, at="key", expected=expected, hint=hint or did_you_mean(other, known))
            continue
        first = facts.app.workloads.get(other)
        if first is None:
            continue
        if first.kind == "cron":
            yield facts.problem(place, f"{other} runs on a schedule; nothing can wait for it", at="key")
        elif (state == "complete") != (first.kind == "job"):
            right = "complete" if first.kind == "job" else "ready"
            message = f"{other} is a {first.kind}, which is never {state}"
            yield facts.problem(place, message, expected=right)


def _after_cycles(facts: Facts) -> Iterator[Problem]:
    graph = {name: tuple(workload.after) for name, workload in facts.app.workloads.items()}
    for circle in _circles(graph):
        place = ("workloads", circle[0], "after", circle[1])
        yield facts.problem(place, f"workloads wait for each other: {' after '.join(circle)}", at="key")


def _circles(graph: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """One circle for each group of names that wait for each other, first name repeated at the end. Depth is not limited."""
    done: set[str] = set()
    for start in graph:
        trail: dict[str, Iterator[str]] = {}
        if start not in done:
            trail[start] = iter(graph[start])
        while trail:
            name = next(reversed(trail))
            following = next(trail[name], None)
            if following is None:
                done.add(name)
                del trail[name]
            elif following in trail:
                names = list(trail)
                yield [*names[names.index(following) :], following]
                done.update(names)
                break
            elif following in graph and following not in done:
                trail[following] = iter(graph[following])


def _unused(facts: Facts, used: set[str]) -> Iterator[Problem]:
    for name, resource in facts.app.resources.items():
        if name not in used and not isinstance(resource, Registry):
            yield facts.problem(("resources", name), f"nothing uses {shown(name)}", at="key", severity="warning")
