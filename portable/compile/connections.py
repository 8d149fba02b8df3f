"""Which workload connects to which: read from the spec, for NetworkPolicy and for the order of a first `up`.

A connection is what the spec says in one of these ways (docs/decisions/0003-network-policy.md tells why):

- a placeholder of a database or of another workload in a variable or a file;
- an address with a workload's or database's name as its host: `http://api:8080`, `redis://:pw@cache/0`, `api:80`, or a
  variable whose whole value is the name;
- `after`, when it waits for the other to be ready;
- `security.egress`, which names what may be reached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from portable.spec.model import App, Container, Database, Workload
from portable.spec.placeholders import placeholders

# A host after a scheme or credentials ("//api", "@db"), or before a port ("api:8080"); with or without the namespace's suffix.
_HOST = re.compile(r"(?:(?<=//)|(?<=@))([a-z0-9][a-z0-9-]*)|(?<![\w.@/-])([a-z0-9][a-z0-9-]*)(?=(?:\.[a-z0-9.-]+)?:\d)")


def links(app: App) -> dict[str, frozenset[str]]:
    """Workload name -> the workloads and databases that it connects to, itself left out."""
    known = frozenset(app.workloads) | frozenset(databases(app))
    return {name: frozenset(_of(workload, known)) - {name} for name, workload in app.workloads.items()}


def databases(app: App) -> dict[str, Database]:
    found = {name: resource for name, resource in app.resources.items() if isinstance(resource, Database)}
    return dict(sorted(found.items()))


def used_databases(app: App, links: frozenset[str]) -> list[str]:
    return sorted(name for name in links if isinstance(app.resources.get(name), Database))


def _of(workload: Workload, known: frozenset[str]) -> set[str]:
    found = {name for name, state in workload.after.items() if state == "ready"}
    found.update(workload.security.egress or ())
    for container in workload.containers.values():
        for value in container.variables.values():
            found.update(_mentioned(value))
            found.add(value)
        for text in _texts(container):
            found.update(_mentioned(text))
    return found & known


def _texts(container: Container) -> Iterator[str]:
    yield from container.command
    yield from container.args
    for file in container.files.values():
        if file.content is not None:
            yield file.content


def _mentioned(text: str) -> Iterator[str]:
    for after_scheme, before_port in _HOST.findall(text):
        yield after_scheme or before_port
    for placeholder in placeholders(text):
        yield placeholder.name
